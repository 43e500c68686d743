"""Where the source of a module lies, found by looking at folders: nothing is ever imported.

``importlib.util.find_spec`` would run ``a/__init__.py`` to find ``a.b``.
"""

from __future__ import annotations

import ast
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

from pipeflow.values import dataclass

#: Larger files are data in disguise.
_MOST_BYTES: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """A module.

    Attributes:
        path: Its source; ``None``: it exists, but there is no source to read (compiled, in a
            zip, a namespace, found by a hook).
        root: The folder it was found from.
    """

    path: Path | None
    root: Path


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A source that cannot be parsed: line and reason."""

    line: int
    reason: str


def find_module(module: str, folder: str, search_path: Sequence[str]) -> Found | None:
    """The module of a dotted name: beside the pipeline file first, then on the path."""
    first, *rest = module.split(".")
    namespace: Found | None = None
    for root in _roots(folder, search_path):
        if not root.is_dir():
            if _in_zip(root, first):
                return Found(None, root)
            continue
        package = root / first
        if (package / "__init__.py").is_file():
            # A package hides all that lies behind it on the path.
            return _inside(package, rest, root)
        if not rest and (found := _leaf(package, root)) is not None:
            return found
        if package.is_dir() and namespace is None:
            namespace = _inside(package, rest, root) if rest else Found(None, root)
    if namespace is not None:
        return namespace
    if first in sys.builtin_module_names or _by_hook(first, search_path):
        return Found(None, Path(folder))
    return None


def modules_beside(folder: str) -> Iterator[str]:
    """Names of the modules and packages in a folder."""
    try:
        entries = sorted(Path(folder).iterdir())
    except OSError:
        # Only hints and a doubt are made of this.
        return
    for entry in entries:
        if entry.suffix == ".py" and entry.stem.isidentifier():
            yield entry.stem
        elif (entry / "__init__.py").is_file():
            yield entry.name


def parse(path: Path) -> ast.Module | Unreadable:
    """The syntax tree of a source file, or why there is none."""
    try:
        status = path.stat()
    except OSError as error:
        return Unreadable(1, error.strerror or "it cannot be read")
    # A file that changed is another file: editors ask again and again.
    return _parse(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _parse(path: Path, _changed: int, size: int) -> ast.Module | Unreadable:
    if size > _MOST_BYTES:
        return Unreadable(1, "the file is too large to read")
    try:
        with warnings.catch_warnings():
            # Doubts of the compiler about the user's code are shown when it runs.
            warnings.simplefilter("ignore")
            return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        return Unreadable(error.lineno or 1, error.msg or "invalid syntax")
    except OSError as error:
        return Unreadable(1, error.strerror or "it cannot be read")
    except (ValueError, RecursionError, MemoryError) as error:
        return Unreadable(1, str(error) or type(error).__name__)


def _roots(folder: str, search_path: Sequence[str]) -> Iterator[Path]:
    yield Path(folder)
    for entry in search_path:
        yield Path(entry or os.curdir)


def _inside(package: Path, rest: Sequence[str], root: Path) -> Found | None:
    if not rest:
        return Found(package / "__init__.py", root)
    for index, name in enumerate(rest):
        start = package / "__init__.py"
        if start.is_file() and _moves_its_path(start):
            return Found(None, root)
        if index == len(rest) - 1:
            return _leaf(package / name, root)
        package /= name
        if not package.is_dir():
            return None
    return None


def _leaf(base: Path, root: Path) -> Found | None:
    if (base / "__init__.py").is_file():
        return Found(base / "__init__.py", root)
    if any(base.with_name(base.name + suffix).is_file() for suffix in EXTENSION_SUFFIXES):
        return Found(None, root)
    source = base.with_name(base.name + ".py")
    if source.is_file():
        return Found(source, root)
    # A stub alone says that there is such a module, somewhere that only Python will find.
    if any(base.with_name(base.name + suffix).is_file() for suffix in (".pyc", ".pyi")):
        return Found(None, root)
    return None


def _moves_its_path(start: Path) -> bool:
    tree = parse(start)
    if isinstance(tree, Unreadable):
        return True
    return any(isinstance(node, ast.Name) and node.id == "__path__" for node in ast.walk(tree))


def _in_zip(root: Path, name: str) -> bool:
    if not root.is_file():
        return False  # most often: the path names a zip that is not there
    import zipfile

    try:
        if not zipfile.is_zipfile(root):
            return False
        with zipfile.ZipFile(root) as archive:
            return any(entry.split("/")[0].split(".")[0] == name for entry in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        # What is no zip holds no modules.
        return False


def _by_hook(name: str, search_path: Sequence[str]) -> bool:
    """Whether an editable install brings the module by a hook instead of a folder."""
    for root in _roots(os.curdir, search_path):
        for hook in root.glob("__editable___*_finder.py"):
            try:
                if f"'{name}'" in hook.read_text("utf-8", "replace"):
                    return True
            except OSError:
                continue  # an unreadable hook brings nothing
    return False

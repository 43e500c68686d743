"""Importing the author's module from the folder of the pipeline file.

A worker imports once and is done. The inline executor and tests load one pipeline after the other
in one process, and two folders may each hold an ``imaging.py``: so what came from the folder
before is forgotten when another takes its place.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from pipeflow.suggest import did_you_mean

#: The folder that is first on the path by our doing, and the modules that were loaded from it.
_folder: str | None = None
_modules: set[str] = set()


def import_target(call: str, folder: str) -> Any:
    """The object that ``module:attribute`` names; the module is looked up in the folder first.

    What the module raises while it is imported is the author's own, and passes.

    Raises:
        ModuleNotFoundError: No such module; the text says where it was looked for.
        AttributeError: The module has no such name.
    """
    module_name, _, attribute = call.partition(":")
    put_first(folder)
    before = set(sys.modules)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # a module that the author's module imports
        raise ModuleNotFoundError(
            f"no module {error.name!r} in {folder} or elsewhere on the path", name=error.name
        ) from None
    finally:
        _modules.update(name for name in set(sys.modules) - before if _lies_in(name, folder))
    for part in attribute.split("."):
        found = _member(found, part)
    return found


def put_first(folder: str) -> None:
    """Look for modules in the folder before anywhere else."""
    global _folder  # noqa: PLW0603 - as above
    if _folder != folder:
        forget()
        _folder = folder
        # Also when it stands further back: that entry is another's, and stays when ours goes.
        sys.path.insert(0, folder)
    # A file written a moment ago may be missing in the finder's listing of its folder.
    # As ``importlib.invalidate_caches`` does, which from Python 3.12 on loads importlib.metadata.
    for finder in list(sys.path_importer_cache.values()):
        if finder is not None and hasattr(finder, "invalidate_caches"):
            finder.invalidate_caches()


def forget() -> None:
    """Undo what ``import_target`` did to this process: the path, and the modules of the folder."""
    global _folder  # noqa: PLW0603 - the path is the process's own, and so is what we did to it
    if _folder in sys.path:
        sys.path.remove(_folder)
    for name in _modules:
        sys.modules.pop(name, None)
    _modules.clear()
    _folder = None


def _lies_in(name: str, folder: str) -> bool:
    """Whether a module is the author's own: in the folder, but not installed below it."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if not isinstance(file, str):
        return False
    path = Path(file)
    return path.is_relative_to(folder) and "site-packages" not in path.parts


def _member(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        near = did_you_mean(name, dir(owner))
        hint = f"; did you mean {near!r}?" if near else ""
        where = getattr(owner, "__file__", None) or getattr(owner, "__qualname__", repr(owner))
        raise AttributeError(f"{where} has no {name!r}{hint}") from None

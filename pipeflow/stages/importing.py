"""Importing the author's modules from the folders of the pipeline files.

A worker imports once and is done. The inline executor and tests load one pipeline after the other
in one process, and two folders may each hold an ``imaging.py``: so what came from the folders
before is forgotten when others take their place. Where the stages of one run come from several
folders, each stage's own is first, and the others lie behind it: an item of a class of theirs may
come to any stage.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pipeflow.suggest import did_you_mean

#: What is used when something fails, and is not to be a module of that name in the folder.
_FOR_LATER: Final = ("traceback",)

#: The folders that are first on the path by our doing, and the modules that were loaded from each.
_folders: list[str] = []
_on_path: list[str] = []
_modules: dict[str, set[str]] = {}


def import_target(call: str, folder: str, folders: Sequence[str] = ()) -> Any:
    """The object that ``module:attribute`` names; the module is looked up in the folder first.

    What the module raises while it is imported is the author's own, and passes.

    Args:
        call: ``module:attribute``.
        folder: Of the pipeline file that says so.
        folders: Of all pipeline files of the run.

    Raises:
        ModuleNotFoundError: No such module; the text says where it was looked for.
        AttributeError: The module has no such name.
        ImportError: Two folders have a module of that name, and this process needs both.
    """
    module_name, _, attribute = call.partition(":")
    put_first(folder, folders)
    _put_on_path([folder])  # a file names modules beside itself, not beside others
    hidden = _hide(folder)
    newest = next(reversed(sys.modules))
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # a module that the author's module imports
        raise ModuleNotFoundError(
            f"no module {error.name!r} in {folder} or elsewhere on the path", name=error.name
        ) from None
    finally:
        new = {name for name in _newer_than(newest) if _lies_in(name, folder)}
        _modules.setdefault(folder, set()).update(new)
        twins = [name for name in hidden if name in sys.modules]
        _modules[folder].difference_update(twins)
        sys.modules.update(hidden)
        _put_on_path(_folders)
    if twins:
        raise ImportError(
            f"there are two modules '{twins[0]}', one of them in {folder}, and one process can "
            "have but one: give it another name, or run each stage in a process (--executor local)"
        )
    for part in attribute.split("."):
        found = _member(found, part)
    return found


def put_first(folder: str, folders: Sequence[str] = ()) -> None:
    """Look for modules in the folder before anywhere else, and in the others right behind it."""
    ours = [folder, *(each for each in folders if each != folder)]
    for name in _FOR_LATER:
        importlib.import_module(name)
    if {*_folders} != {*ours}:
        forget()
    _folders[:] = ours
    _put_on_path(ours)
    # A file written a moment ago may be missing in the finder's listing of its folder. All that
    # ``importlib.invalidate_caches`` does would touch what is shared with other workers, and loads
    # importlib.metadata from Python 3.12 on.
    below, on_path = tuple(ours), {*sys.path}
    for place in list(sys.path_importer_cache):
        if place in on_path or place.startswith(below):
            finder = sys.path_importer_cache.get(place)
            if finder is not None and hasattr(finder, "invalidate_caches"):
                finder.invalidate_caches()


def forget() -> None:
    """Undo what ``import_target`` did to this process: the path, and the modules of the folders."""
    _put_on_path([])
    for names in _modules.values():
        for name in names:
            sys.modules.pop(name, None)
    _modules.clear()
    _folders.clear()


def _put_on_path(folders: Sequence[str]) -> None:
    """Let these be first on the path, and none of those that were so by our doing before."""
    for folder in _on_path:
        if folder in sys.path:
            sys.path.remove(folder)
    # Also when one stands further back: that entry is another's, and stays when ours goes.
    sys.path[:0] = folders
    _on_path[:] = folders


def _hide(folder: str) -> dict[str, ModuleType]:
    """Take modules out that came from other folders and have a name that this folder has too."""
    hidden = {}
    for other, names in _modules.items():
        for name in names if other != folder else ():
            beside = Path(folder, name.partition(".")[0])
            if name in sys.modules and (beside.is_dir() or beside.with_suffix(".py").is_file()):
                hidden[name] = sys.modules.pop(name)
    return hidden


def _newer_than(module: str) -> list[str]:
    """The modules that were loaded after one; the hundreds before it are not even looked at.

    A worker shares them with all others until it touches them, if only to count a reference.
    """
    return list(takewhile(lambda name: name != module, reversed(sys.modules)))


def _lies_in(name: str, folder: str) -> bool:
    """Whether a module is the author's own: in the folder, but not installed below it."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if not isinstance(file, str) or not file.startswith(folder.rstrip(os.sep) + os.sep):
        return False
    return "site-packages" not in Path(file).parts


def _member(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        near = did_you_mean(name, dir(owner))
        hint = f"; did you mean {near!r}?" if near else ""
        where = getattr(owner, "__file__", None) or getattr(owner, "__qualname__", repr(owner))
        raise AttributeError(f"{where} has no {name!r}{hint}") from None

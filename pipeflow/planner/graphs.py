"""networkx as the planner uses it: the graph and a few algorithms, without loading all the rest.

``import networkx`` loads some 300 modules, which takes as long as the rest of a small run. Here
its own ``__init__`` runs, with empty packages in the place of those that hold the algorithms; then
the few that are used are loaded into it. The result is ours alone: who imports networkx afterwards
gets it whole. Where anything is unusual - another version that is built otherwise, a name that was
not foreseen, networkx loaded or configured already - the whole of it is loaded.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

__all__ = ["nx"]

#: Packages that stay empty.
_LEFT_OUT: Final = ("algorithms", "drawing", "generators", "linalg", "readwrite")
_PACKAGES_INSIDE: Final = ("algorithms.components", "algorithms.traversal")

#: Modules whose public names are put where the whole networkx has them.
_USED: Final = (
    "algorithms.traversal.breadth_first_search",
    "algorithms.traversal.edgedfs",
    "algorithms.components.strongly_connected",
    "algorithms.dag",
    "algorithms.cycles",
)


def load() -> ModuleType:
    """The networkx of the planner."""
    configured = any(name.startswith("NETWORKX_") for name in os.environ)
    # Another thread that imports networkx must not meet what takes its place meanwhile.
    alone = threading.active_count() == 1
    if not configured and alone and "networkx" not in sys.modules:
        try:
            return _in_part()
        except Exception:  # built otherwise than we know: whatever it was, the whole of it works
            _forget()
    return importlib.import_module("networkx")


def _in_part() -> ModuleType:
    found = find_spec("networkx")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("networkx is not installed", name="networkx")
    root = Path(found.submodule_search_locations[0])
    for name in (*_LEFT_OUT, *_PACKAGES_INSIDE):
        empty = ModuleType(f"networkx.{name}")
        empty.__path__ = [str(root / name.replace(".", "/"))]
        sys.modules[empty.__name__] = empty
    with _no_plugins():
        part = importlib.import_module("networkx")
    for name in _USED:
        module = importlib.import_module(f"networkx.{name}")
        vars(part).update({each: getattr(module, each) for each in module.__all__})
    vars(part)["__getattr__"] = _of_the_whole
    _forget()
    return part


@contextmanager
def _no_plugins() -> Iterator[None]:
    """Spare networkx the search for its plug-ins, which is slow; none of them plans for us."""
    name = "importlib.metadata"
    if name in sys.modules:
        yield
        return
    stand_in = ModuleType(name)
    vars(stand_in)["entry_points"] = lambda **_: ()
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]


def _forget() -> None:
    """Let the next import of networkx be an ordinary one."""
    for name in [each for each in sys.modules if each.split(".", maxsplit=1)[0] == "networkx"]:
        del sys.modules[name]


def _of_the_whole(name: str) -> Any:
    """A name that was not foreseen; the algorithms take graphs of either copy."""
    return getattr(importlib.import_module("networkx"), name)


if TYPE_CHECKING:
    import networkx as nx
else:  # under the name by which everybody knows it
    nx = load()

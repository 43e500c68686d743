"""networkx as the planner uses it: the graph and a few algorithms, without loading all the rest.

``import networkx`` loads some 300 modules, which takes as long as the rest of a small run. Here
empty packages stand in the place of its own, and the few modules that are used are loaded into
them. What hands its functions over to other libraries, and compiles each when it is first called,
stays away: none of those plans for us. The result is ours alone: who imports networkx afterwards
gets it whole. Where anything is unusual - another version that is built otherwise, a name that was
not foreseen, networkx loaded or configured already - the whole of it is loaded.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

__all__ = ["nx"]

#: What stands in the place of networkx and of the packages in it.
_PACKAGES: Final = (
    "networkx",
    *("networkx.algorithms", "networkx.algorithms.traversal"),
    *("networkx.classes", "networkx.utils"),
)

#: Modules whose public names are put where the whole networkx has them: all that a file without
#: circles needs, each behind those that it asks for such names.
_USED: Final = (
    *("exception", "classes.graph", "classes.digraph"),
    *("algorithms.traversal.breadth_first_search", "algorithms.dag"),
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
    found = PathFinder.find_spec("networkx")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("networkx is not installed", name="networkx")
    above = Path(found.submodule_search_locations[0]).parent
    for name in _PACKAGES:
        empty = ModuleType(name)
        empty.__path__ = [str(above / name.replace(".", "/"))]
        sys.modules[name] = empty
    part = sys.modules["networkx"]
    vars(part).update(_dispatchable=_as_it_is, _clear_cache=_keep)
    helpers = vars(sys.modules["networkx.utils"])
    helpers.update(not_implemented_for=lambda *_: _as_it_is, __getattr__=_helper)
    for name in _USED:
        module = importlib.import_module(f"networkx.{name}")
        public = {each: getattr(module, each) for each in module.__all__}
        vars(part).update(public)
        vars(sys.modules[module.__name__.rpartition(".")[0]]).update(public)
    vars(part)["__getattr__"] = _of_the_whole
    _forget()
    return part


def _as_it_is(function: Any = None, **_: object) -> Any:
    """Decorates a function by nothing: our graphs are directed, and of no other library."""
    return _as_it_is if function is None else function


def _helper(name: str) -> Callable[..., Any]:
    """One of networkx's own helpers, which is loaded when it is called: seldom."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module("networkx.utils"), name)(*args, **kwargs)

    return call


def _keep(_graph: object) -> None:
    """No copy of our graphs in another library is out of date."""


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

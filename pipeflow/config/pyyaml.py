"""PyYAML as files are read with it: its scanner and its parser, without loading all the rest.

``import yaml`` loads loaders and dumpers too, and compiles an expression of all characters that
YAML allows: an eighth of what a small run does. So the modules that are used are loaded into an
empty package that takes the place of ``yaml`` meanwhile. They are ours alone: who imports yaml
afterwards gets it whole. Where anything is unusual - yaml is loaded already, other threads might
load it meanwhile, a version that is built otherwise - the whole of it is loaded.
"""

from __future__ import annotations

import importlib
import sys
import threading
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = [
    "AliasEvent",
    "CollectionEndEvent",
    "DocumentStartEvent",
    "Event",
    "MappingEndEvent",
    "MappingStartEvent",
    "Mark",
    "MarkedYAMLError",
    "NodeEvent",
    "Parser",
    "ScalarEvent",
    "ScalarToken",
    "Scanner",
    "SequenceEndEvent",
    "SequenceStartEvent",
    "StreamEndEvent",
]


def _load() -> None:
    """Load the modules whose names are imported below, and only these."""
    if "yaml" in sys.modules or threading.active_count() > 1:
        return  # another thread that imports yaml must not meet what takes its place
    found = PathFinder.find_spec("yaml")
    if found is None or not found.submodule_search_locations:
        return  # the import below tells what is wrong, or finds it in another way
    stand_in = ModuleType("yaml")
    stand_in.__path__ = list(found.submodule_search_locations)
    sys.modules["yaml"] = stand_in
    try:
        for name in ("parser", "scanner"):
            importlib.import_module(f"yaml.{name}")
    except Exception:  # built otherwise than we know: whatever it was, the whole of it works
        _forget()


def _forget() -> None:
    """Let the next import of yaml be an ordinary one."""
    if hasattr(sys.modules.get("yaml"), "__version__"):
        return  # it is the whole
    for name in [each for each in sys.modules if each.split(".", maxsplit=1)[0] == "yaml"]:
        del sys.modules[name]


if not TYPE_CHECKING:
    _load()

from yaml.error import Mark, MarkedYAMLError  # noqa: E402 - behind what makes it cheap
from yaml.events import (  # noqa: E402 - likewise
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.parser import Parser  # noqa: E402
from yaml.scanner import Scanner  # noqa: E402
from yaml.tokens import ScalarToken  # noqa: E402

if not TYPE_CHECKING:
    _forget()

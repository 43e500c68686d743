"""The operators there are, by name; the code of each is imported when it is asked for.

Built-in names have no slash. Plug-ins add theirs by the entry points ``pipeflow.operators``, named
``plugin/operator``; they are listed from metadata and source, without running their code.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeflow.spec.stage_type import StageType
from pipeflow.suggest import meant_names, spell_choice

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pipeflow.stages.declare import Declaration

ENTRY_POINTS: Final = "pipeflow.operators"

#: Where the code of each built-in operator lies.
BUILT_IN: Final[Mapping[str, str]] = {
    "files": "pipeflow.stages.sources.files:Files",
    "lines": "pipeflow.stages.sources.lines:Lines",
    "jsonl.read": "pipeflow.stages.sources.jsonl:ReadJsonLines",
    "csv.read": "pipeflow.stages.sources.csv:ReadCsv",
    "parquet.read": "pipeflow.stages.sources.parquet:ReadParquet",
    "npy.read": "pipeflow.stages.sources.npy:ReadNpy",
    "sqlite.read": "pipeflow.stages.sources.sqlite:ReadSqlite",
    "http.get": "pipeflow.stages.sources.http:Get",
    "stdin": "pipeflow.stages.sources.stdin:Stdin",
    "timer": "pipeflow.stages.sources.timer:Timer",
    "watch": "pipeflow.stages.sources.watch:Watch",
    "random": "pipeflow.stages.sources.random:Random",
    "range": "pipeflow.stages.sources.range:numbers",
    "map": "pipeflow.stages.operators.map:Map",
    "flat_map": "pipeflow.stages.operators.flat_map:FlatMap",
    "filter": "pipeflow.stages.operators.filter:Filter",
    "route": "pipeflow.stages.operators.route:Route",
    "take": "pipeflow.stages.operators.take:take",
    "skip": "pipeflow.stages.operators.skip:Skip",
    "sample": "pipeflow.stages.operators.sample:Sample",
    "distinct": "pipeflow.stages.operators.distinct:Distinct",
    "batch": "pipeflow.stages.operators.batch:Batch",
    "unbatch": "pipeflow.stages.operators.unbatch:unbatch",
    "window": "pipeflow.stages.operators.window:Window",
    "count": "pipeflow.stages.operators.count:Count",
    "reduce": "pipeflow.stages.operators.reduce:Reduce",
    "group": "pipeflow.stages.operators.group:Group",
    "top": "pipeflow.stages.operators.top:Top",
    "sort": "pipeflow.stages.operators.sort:Sort",
    "join": "pipeflow.stages.operators.join:JoinTable",
    "throttle": "pipeflow.stages.operators.throttle:Throttle",
    "delay": "pipeflow.stages.operators.delay:Delay",
    "log": "pipeflow.stages.operators.log:LogItems",
    "print": "pipeflow.stages.sinks.print:Print",
    "null": "pipeflow.stages.sinks.null:null",
    "lines.write": "pipeflow.stages.sinks.lines:WriteLines",
    "jsonl.write": "pipeflow.stages.sinks.jsonl:WriteJsonLines",
    "csv.write": "pipeflow.stages.sinks.csv:WriteCsv",
    "parquet.write": "pipeflow.stages.sinks.parquet:WriteParquet",
    "npy.write": "pipeflow.stages.sinks.npy:WriteNpy",
    "sqlite.write": "pipeflow.stages.sinks.sqlite:WriteSqlite",
    "http.post": "pipeflow.stages.sinks.http:Post",
}


class UnknownOperator(LookupError):
    """No operator has that name."""


def stage_types() -> Mapping[str, StageType]:
    """All operators by name: the built-in ones, then those of installed plug-ins.

    Each is looked up when it is asked for: most files use a few, and many none.
    """
    return _Operators()


def find(name: str) -> StageType | None:
    """One operator by name, or ``None``. A plug-in's is read from its source, never run."""
    if name in BUILT_IN:
        return _built_in_type(name)
    if "/" in name and name in _plugins():
        return _plugin_type(name)
    return None


def plugin_code() -> Mapping[str, str]:
    """Where the code of each plug-in's operator lies: name to ``module:attribute``."""
    return {name: point.value for name, point in _plugins().items()}


class _Operators(Mapping[str, StageType]):
    """See ``stage_types``."""

    def __getitem__(self, name: str) -> StageType:
        found = find(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        yield from BUILT_IN
        yield from _plugins()

    def __len__(self) -> int:
        return len(BUILT_IN) + len(_plugins())

    def __contains__(self, name: object) -> bool:
        return name in BUILT_IN or (isinstance(name, str) and "/" in name and name in _plugins())


def load_operator(name: str) -> Any:
    """The class or function of an operator: imports its module, and no other operator's.

    Raises:
        UnknownOperator: There is none of that name.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    if "/" in name and name in _plugins():
        return _plugins()[name].load()
    meant = meant_names(name, BUILT_IN)
    hint = f"; did you mean {spell_choice(meant)}?" if meant else ""
    raise UnknownOperator(f"no operator is named {name!r}{hint}")


def examples() -> dict[str, str]:
    """A pipeline file that runs, for each built-in operator; see ``example_files``."""
    return {name: _built_in(name).example for name in BUILT_IN}


def example_files(name: str) -> Mapping[str, bytes]:
    """The files that an operator's example reads: name to contents, for the folder that it runs in.

    ``-`` stands for standard input.
    """
    files = _built_in(name).example_files
    return {
        path: contents.encode() if isinstance(contents, str) else contents()
        for path, contents in files.items()
    }


@cache
def _built_in_type(name: str) -> StageType:
    return _built_in(name).stage_type()


def _built_in(name: str) -> Declaration:
    from pipeflow.stages.declare import declaration_of  # for files that use an operator

    declaration = declaration_of(load_operator(name))
    assert declaration is not None, f"{name} lacks its @operator"
    return declaration


@cache
def _plugins() -> Mapping[str, EntryPoint]:
    # Costs tens of milliseconds to load, and most machines have no plug-in.
    if "importlib.metadata" not in sys.modules and not _any_announced(sys.path):
        return {}
    from importlib.metadata import entry_points

    points = [point for point in entry_points(group=ENTRY_POINTS) if "/" in point.name]
    # Sorted backwards, so that of two with one name the first distribution's stays: one plan.
    points.sort(key=_origin, reverse=True)
    return dict(sorted((point.name, point) for point in points))


def _any_announced(path: Sequence[str]) -> bool:
    """Whether an installed package may have operators; looks where ``importlib.metadata`` would."""
    others = (finder for finder in sys.meta_path if finder is not PathFinder)
    if any(hasattr(finder, "find_distributions") for finder in others):
        return True  # it may know of packages that lie nowhere
    for folder in map(Path, path):
        if folder.is_file():
            return True  # a zip: not looked into here
        for pattern in ("*.dist-info/entry_points.txt", "*.egg-info/entry_points.txt"):
            for file in folder.glob(pattern):
                try:
                    if ENTRY_POINTS.encode() in file.read_bytes():
                        return True
                except OSError:
                    return True  # it cannot be told from here
    return False


@cache
def _plugin_type(name: str) -> StageType:
    from pipeflow.stages.plugins import plugin_type  # for files that use one

    point = _plugins()[name]
    return plugin_type(name, point.value, _origin(point))


def _origin(point: EntryPoint) -> str:
    dist = point.dist
    return f"{dist.name} {dist.version}" if dist is not None else point.value

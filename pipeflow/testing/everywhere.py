"""Whether a pipeline gives the same in each executor: items, ids, order."""

from __future__ import annotations

import dataclasses
import math
import os
import reprlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeflow.errors import UsageError
from pipeflow.planner.expand import expand
from pipeflow.planner.graph import without_disabled
from pipeflow.planner.shared import with_stages
from pipeflow.planner.traits import answers, operator_role
from pipeflow.spec.pipeline import Call, Edge, Pipeline, PortRef, Stage
from pipeflow.spec.policies import Overflow
from pipeflow.spec.ports import ERRORS, OUT
from pipeflow.spec.shapes import Role, Shape
from pipeflow.spec.shared import names_of
from pipeflow.spec.stage_type import CallFacts
from pipeflow.testing.stand_ins import Record, recorded
from pipeflow.values import dataclass, replace

if TYPE_CHECKING:
    from pipeflow.api import Source
    from pipeflow.telemetry.report import Report

EXECUTORS: Final = ("inline", "local")

_SUCCEEDED: Final = "succeeded"

#: What of a dead letter is another each time.
_OF_THE_RUN: Final = frozenset({"time", "replica"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where items are recorded.

    Attributes:
        name: As people know it: ``"shrink -> save"``.
        edges: What is read there.
        named: The edges are named inputs.
        in_order: The order says something: arrival does not decide it.
    """

    name: str
    edges: tuple[Edge, ...]
    named: bool
    in_order: bool


def assert_same_everywhere(
    pipeline: Source,
    *,
    params: Mapping[str, object] | None = None,
    sets: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, list[Any]]:
    """Run a pipeline by every executor, and hold what comes out against each other.

    Sinks do not run: what reaches each of them is compared, and what stages give that nobody reads;
    items, ids and order. Behind merges and unordered replicas arrival decides the order, so there
    it is left out. Of runs that fail it is compared how. Sources run once for each executor.

    Args:
        pipeline: Path of a pipeline file, or its content as a mapping.
        params: Values of its ``params``.
        sets: Single values to change.
        seed: Of ``pipeflow.rng``.

    Returns:
        What came, by where: ``{"shrink -> save": [...]}``.

    Raises:
        AssertionError: The executors differ; the text says where they do so first.
        UsageError: Arrival decides what comes out (``overflow``, ``shared``), not only its order.
    """
    from pipeflow.api import load

    whole = expand(load(pipeline, params=params, sets=sets)).pipeline
    running = without_disabled(whole).pipeline
    _require_comparable(running)
    places = list(_places(running))
    with tempfile.TemporaryDirectory() as folder:
        ends, came = _run_all(running, places, Path(folder), seed)
    first, *others = EXECUTORS
    for other in others:
        if ends[first] != ends[other]:
            raise AssertionError(f"{first} {ends[first]}, but {other} {ends[other]}")
        for place in places:
            _compare(place, (first, came[first][place.name]), (other, came[other][place.name]))
    return {place.name: [item for _, item in came[first][place.name]] for place in places}


def _require_comparable(pipeline: Pipeline) -> None:
    for stage in pipeline.stages:
        if names_of(stage.parameters):
            raise UsageError(
                f"stage '{stage.name}' uses shared state, so who comes first decides what it gives"
            )
        if any(edge.overflow is not Overflow.BLOCK for edge in stage.edges):
            raise UsageError(f"an edge of stage '{stage.name}' drops items, as time has it")


def _places(pipeline: Pipeline) -> Iterator[_Place]:
    read = {edge.source for stage in pipeline.stages for edge in stage.edges}
    stages = {stage.name: stage for stage in pipeline.stages}
    for stage in pipeline.stages:
        if _is_sink(stage, read):
            # Merged inputs come as they come; each has an order of its own.
            groups = [stage.edges] if stage.named_inputs else [(edge,) for edge in stage.edges]
            for edges in groups:
                yield _place(stage.name, edges, stages, named=stage.named_inputs)
        elif not any(PortRef(stage.name, port) in read for port in (OUT, *stage.outputs)):
            edge = Edge(source=PortRef(stage.name), at=stage.at)
            yield _place("", (edge,), stages, named=False)


def _place(
    reader: str, edges: tuple[Edge, ...], stages: Mapping[str, Stage], *, named: bool
) -> _Place:
    sources = ", ".join(str(edge.source) for edge in edges)
    return _Place(
        name=f"{sources} -> {reader}" if reader else sources,
        edges=edges,
        named=named,
        in_order=not any(_by_arrival(edge.source.stage, stages) for edge in edges),
    )


def _is_sink(stage: Stage, read: set[PortRef]) -> bool:
    if not stage.edges or operator_role(stage) is Role.SINK:
        return bool(stage.edges)
    own = {PortRef(stage.name, port) for port in (OUT, *stage.outputs)}
    return not own & read and answers(stage) is not True


def _by_arrival(name: str, stages: Mapping[str, Stage]) -> bool:
    """Whether somewhere before the results of a stage arrival decides their order."""
    stage = stages[name]
    merges = len(stage.edges) > 1 and not stage.named_inputs
    spreads = not stage.ordered and stage.replicas != 1
    return merges or spreads or any(_by_arrival(e.source.stage, stages) for e in stage.edges)


def _run_all(
    pipeline: Pipeline, places: Sequence[_Place], folder: Path, seed: int
) -> tuple[dict[str, str], dict[str, dict[str, list[Record]]]]:
    """How the run of each executor ended, and what came at each place, with ids."""
    from pipeflow.stages.importing import forget, put_first

    ends: dict[str, str] = {}
    came: dict[str, dict[str, list[Record]]] = {}
    try:
        for executor in EXECUTORS:
            ends[executor] = _run(pipeline, places, executor, folder, seed)
            forget()
        # What came may be of classes in modules beside the file: the same for all.
        put_first(pipeline.folder, [stage.home.folder for stage in pipeline.stages if stage.home])
        for executor in EXECUTORS:
            # How far a run has come that fails is a matter of time.
            whole = ends[executor] == _SUCCEEDED
            came[executor] = {
                place.name: recorded(_file(folder, executor, number)) if whole else []
                for number, place in enumerate(places)
            }
    finally:
        forget()
    return ends, came


def _run(
    pipeline: Pipeline, places: Sequence[_Place], executor: str, folder: Path, seed: int
) -> str:
    """Run it; how that ended."""
    from pipeflow.api import make_executor
    from pipeflow.executors.base import RunOptions
    from pipeflow.planner.make import make_plan
    from pipeflow.runtime.machine import read_machine

    files = [_file(folder, executor, number) for number in range(len(places))]
    plan = make_plan(_recording(pipeline, places, files), read_machine())
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
        options = RunOptions(
            seed=seed, signals=False, stdout_fd=nowhere.fileno(), progress_s=0.0, still_s=0.0
        )
        return _ending(make_executor(executor).run(plan, options, lambda _event: None))


def _file(folder: Path, executor: str, number: int) -> Path:
    return folder / f"{executor}-{number}.pickle"


def _ending(report: Report) -> str:
    if not report.errors:
        return _SUCCEEDED if report.ledger.balanced else "has a ledger that does not balance"
    error = report.errors[0]
    return f"failed in stage '{error.stage}' on item '{error.item}': {error.type}: {error.message}"


def _recording(pipeline: Pipeline, places: Sequence[_Place], files: Sequence[Path]) -> Pipeline:
    """The pipeline with recorders in the places of its sinks."""
    read = {edge.source for stage in pipeline.stages for edge in stage.edges}
    kept = [stage for stage in pipeline.stages if not _is_sink(stage, read)]
    beside = {stage.name: stage for stage in pipeline.stages}
    recorders = [
        _recorder(place, file, beside[place.edges[0].source.stage])
        for place, file in zip(places, files, strict=True)
    ]
    return replace(with_stages(pipeline, (*kept, *recorders)), tests=())


def _recorder(place: _Place, file: Path, beside: Stage) -> Stage:
    facts = CallFacts(shape=Shape.CLASS, answers=False)
    return Stage(
        name=f"recorder of {place.name}",
        at=beside.at,
        work=Call(module="pipeflow.testing.stand_ins", attribute="Recorder", facts=facts),
        work_at=beside.at,
        parameters={"path": str(file)},
        edges=place.edges,
        named_inputs=place.named,
        replicas_at=beside.at,
        partition_at=beside.at,
        on_error_at=beside.at,
    )


def _compare(place: _Place, one: tuple[str, list[Record]], other: tuple[str, list[Record]]) -> None:
    (name, left), (other_name, right) = one, other
    if not place.in_order:
        left, right = (sorted(records, key=lambda record: record[0]) for records in (left, right))
    if any(edge.source.port == ERRORS for edge in place.edges):
        left, right = list(map(_lasting, left)), list(map(_lasting, right))
    for number, (a, b) in enumerate(zip(left, right, strict=False)):
        if a[0] != b[0] or not _equal(a[1], b[1]):
            raise AssertionError(
                f"'{place.name}', item {number}: {name} gives {_shown(a)}, "
                f"{other_name} gives {_shown(b)}"
            )
    if len(left) != len(right):
        raise AssertionError(
            f"'{place.name}': {name} gives {len(left)} items, {other_name} {len(right)}"
        )


def _shown(record: Record) -> str:
    item_id, item = record
    return f"{reprlib.repr(item)} (id {'.'.join(map(str, item_id))})"


def _lasting(record: Record) -> Record:
    """A dead letter without what is another each time."""
    item_id, letter = record
    if not isinstance(letter, dict):
        return record
    return item_id, {key: value for key, value in letter.items() if key not in _OF_THE_RUN}


def _equal(one: Any, other: Any) -> bool:
    """Whether two items are the same, arrays and what is not a number too."""
    if type(one) is not type(other):
        return False
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(one, numpy.ndarray):
        return bool(
            one.dtype == other.dtype
            and one.shape == other.shape
            and all(map(_equal, one.ravel().tolist(), other.ravel().tolist()))
        )
    match one:
        case dict():
            return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
        case list() | tuple():
            return len(one) == len(other) and all(map(_equal, one, other))
        case float():
            return bool(one == other) or (math.isnan(one) and math.isnan(other))
        case _:
            return _equal_objects(one, other)


def _equal_objects(one: Any, other: Any) -> bool:
    if dataclasses.is_dataclass(one):
        names = [each.name for each in dataclasses.fields(one)]
        return all(_equal(getattr(one, name), getattr(other, name)) for name in names)
    same = one == other
    # A data frame compares cell by cell, and has a method for the whole.
    return same if isinstance(same, bool) else bool(getattr(one, "equals", _never)(other))


def _never(_other: Any) -> bool:
    return False

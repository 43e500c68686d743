"""Creating: a test of a stage, made from a sample of what its sources really give.

    sources ──first items──> [stages on the way] ──> what the stage gives
                    └─ what can stand in a file is given ─┘   └─ is expected

What is given lies as near to the stage as its items can be written in a file. The test has passed
before it is written.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from pipeflow.api import Reading, Settings, read
from pipeflow.errors import UsageError
from pipeflow.planner.expand import Expanded, expand, port_in
from pipeflow.planner.graph import without_disabled
from pipeflow.planner.make import only_to
from pipeflow.planner.shared import with_stages
from pipeflow.planner.traits import answers, operator_role, ports_of, without_letters
from pipeflow.spec.pipeline import (
    Call,
    Edge,
    Expected,
    FileTest,
    Given,
    Pipeline,
    PortRef,
    Stage,
)
from pipeflow.spec.stage_type import CallFacts, Role, Shape
from pipeflow.testing.comparing import as_written
from pipeflow.testing.file_tests import Outcome, try_test
from pipeflow.testing.inserting import inserted
from pipeflow.testing.updating import yaml_text
from pipeflow.values import dataclass, field, replace

if TYPE_CHECKING:
    from pipeflow.telemetry.report import Report

#: The longest list that is expected item by item, in characters.
_MOST: Final = 4000
#: Stands for the folder of the file until the text is whole: no item has this character.
_MARK: Final = "\ue000"
#: As YAML writes it in quotes, and what takes its place.
_FOLDER, _FILE_DIR = r"\ue000", "${file.dir}"
#: Columns that a list in brackets may reach.
_WIDEST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A new test.

    Attributes:
        text: The file with the test in it.
        name: Of the test.
        given: Port to how many of its items are given.
        expected: The port whose items are expected.
        count: How many there are.
        exact: Each of them is written down, not only their number.
    """

    text: str
    name: str
    given: Mapping[str, int] = field(default_factory=dict)
    expected: str
    count: int
    exact: bool


def create_test(
    file: str, text: str, target: str, settings: Settings, environ: Mapping[str, str], *, take: int
) -> Created:
    """Make a test of a stage, and see that it passes.

    Args:
        file: The pipeline file.
        text: What it holds.
        target: ``stage`` or ``stage.port``.
        settings: What is laid over the file; ``params`` become those of the test.
        environ: For ``${env.NAME}``.
        take: How many items of each source.

    Raises:
        InvalidPipeline: The file has mistakes.
        UsageError: No such test can be made; the text says why.
        MachineError: A limit of the machine forbids the run.
    """
    reading = read(file, settings, environ)
    pipeline = replace(reading.require(), tests=())
    expanded = expand(pipeline)
    expected = port_in(expanded, target)
    name, named = expected.stage, _names(pipeline, expanded)
    running = without_disabled(only_to(pipeline, name)).pipeline
    stages = {stage.name: stage for stage in running.stages}
    _require_testable(pipeline, stages[name], expected, named)
    ways_up = [port for port in _ways_up(name, stages) if port in named]
    came = _sampled(replace(reading, pipeline=pipeline), running, [*ways_up, expected], take)
    nearest = _nearest_writable(name, ways_up, stages, came)
    if lost := [port for port in nearest if port not in named]:
        raise UsageError(
            f"what '{lost[0]}' gives cannot be named in {file}: it stays inside of another file"
        )
    given = {named[port]: items for port, items in nearest.items()}
    shown = named[expected]
    new = _free(f"{shown.stage}-sample", reading)
    results = came[expected]
    for exact in [True, False] if _is_writable(results, exactly=True) else [False]:
        body = _body(new, given, shown, results if exact else len(results), settings.params)
        written = inserted(text, body)
        if _passes(file, written, new, settings, environ):
            return Created(
                text=written,
                name=new,
                given={str(port): len(items) for port, items in given.items()},
                expected=str(shown),
                count=len(results),
                exact=exact,
            )
    raise UsageError(
        f"'{name}' gives something else when the same items are given again: "
        "a test of it is yours to write"
    )


def _sampled(
    reading: Reading, running: Pipeline, ports: Sequence[PortRef], take: int
) -> dict[PortRef, list[object]]:
    """What the sources give, and what comes of it at some ports.

    Args:
        reading: The file, without its tests.
        running: The part of it that is run.
        ports: The ports.
        take: How many items of each source.

    Raises:
        UsageError: The sample cannot be run.
    """
    from pipeflow.stages.importing import forget

    stages = {stage.name: stage for stage in running.stages}
    try:
        sample = _first_items(running, take)
        # With the same modules: the items may be of their classes.
        outcome = try_test(reading, _probe(stages, sample, ports))
    finally:
        forget()
    if not outcome.passed:
        raise UsageError(f"the sample could not be run: {outcome.differences[0].problem}")
    came = sample | {each.port: items for each, items in outcome.came}
    folder = reading.require().folder
    return {port: [_below(folder, item) for item in items] for port, items in came.items()}


def _require_testable(
    pipeline: Pipeline, stage: Stage, expected: PortRef, named: Mapping[PortRef, PortRef]
) -> None:
    if pipeline.ports_at is not None:
        raise UsageError(
            f"'{pipeline.file}' is run as a stage of other files, so there is no sample of what "
            "it is given: its tests are yours to write"
        )
    if stage.home is not None and expected not in named:
        raise UsageError(
            f"'{expected}' stays inside of another file: its test belongs there, or name a stage "
            "that reads it"
        )
    if not stage.edges:
        raise UsageError(
            f"'{stage.name}' is a source: name a stage behind it, and its items are given"
        )


def _names(pipeline: Pipeline, expanded: Expanded) -> dict[PortRef, PortRef]:
    """Port of the flat pipeline to the name that the file has for it; others it cannot name."""
    own = {
        PortRef(stage.name, port): PortRef(stage.name, port)
        for stage in pipeline.stages
        if stage.inner is None
        for port in ports_of(stage)
    }
    given_out = {ports[0]: outer for outer, ports in expanded.sources.items() if len(ports) == 1}
    return given_out | own


def _ways_up(name: str, stages: Mapping[str, Stage]) -> list[PortRef]:
    """The ports before a stage, nearest first, as far as there is but one way.

    What a sink reads is what it is compared by, so there the next one is nearest.
    """
    found: list[PortRef] = []
    gives = operator_role(stages[name]) is not Role.SINK and answers(stages[name]) is not False
    edges = stages[name].edges
    while len(edges) == 1 and not stages[name].named_inputs:
        source = edges[0].source
        if not stages[source.stage].edges:
            break
        found.append(source)
        name, edges = source.stage, stages[source.stage].edges
    return found if gives else found[1:]


def _below(folder: str, item: object) -> object:
    """An item in which the folder of the file is named as such, so that it is found elsewhere."""
    match item:
        case PurePath():
            return _below(folder, str(item))
        case str() if item.startswith(f"{folder}{os.sep}"):
            return _MARK + item.removeprefix(folder)
        case list():
            return [_below(folder, each) for each in item]
        case dict():
            return {key: _below(folder, each) for key, each in item.items()}
        case _:
            return item


def _nearest_writable(
    name: str,
    ways_up: Sequence[PortRef],
    stages: Mapping[str, Stage],
    came: Mapping[PortRef, Sequence[object]],
) -> dict[PortRef, Sequence[object]]:
    """What can be given in a file, as near to the stage as may be."""
    for port in ways_up:
        if came[port] and _is_writable(came[port]):
            return {port: came[port]}
    sources = {port: items for port, items in came.items() if not stages[port.stage].edges}
    for port, items in sources.items():
        if not _is_writable(items):
            kind = next(type(item).__name__ for item in items if not _is_plain(item))
            raise UsageError(
                f"what '{port}' gives ({kind}) cannot be written in a file, and neither can what "
                f"comes between it and '{name}'"
            )
    return sources


def _first_items(running: Pipeline, take: int) -> dict[PortRef, Sequence[object]]:
    """What each source gives first; nothing behind it runs."""
    from pipeflow.executors.base import RunOptions
    from pipeflow.executors.inline import InlineExecutor
    from pipeflow.planner.make import make_plan
    from pipeflow.runtime.machine import read_machine
    from pipeflow.testing.stand_ins import collecting

    read_ports = {edge.source for stage in running.stages for edge in stage.edges}
    sources = [stage for stage in running.stages if not stage.edges]
    ports = [
        port for port in sorted(read_ports, key=str) if port.stage in {s.name for s in sources}
    ]
    takers = [
        _taker(port, take, next(s for s in sources if s.name == port.stage)) for port in ports
    ]
    kept = [without_letters(source, set(ports)) for source in sources]
    plan = make_plan(with_stages(running, (*kept, *takers)), read_machine())
    with collecting(map(str, ports)) as came, open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
        options = RunOptions(signals=False, stdout_fd=nowhere.fileno(), progress_s=0.0)
        _require_whole(InlineExecutor().run(plan, options, lambda _event: None))
        return {port: tuple(came[str(port)]) for port in ports}


def _require_whole(report: Report) -> None:
    if report.errors:
        error = report.errors[0]
        if error.type == KeyboardInterrupt.__name__:
            raise KeyboardInterrupt  # it met a stage in its turn, and means all of us
        raise UsageError(f"no sample: stage '{error.stage}' failed: {error.type}: {error.message}")


def _taker(port: PortRef, take: int, source: Stage) -> Stage:
    facts = CallFacts(shape=Shape.STREAM, keeps_state=True, answers=False)
    return Stage(
        name=f"first of {port}",
        at=source.at,
        work=Call(module="pipeflow.testing.stand_ins", attribute="first", facts=facts),
        work_at=source.at,
        parameters={"count": take, "collection": str(port)},
        edges=(Edge(source=port, at=source.at),),
        replicas_at=source.at,
        partition_at=source.at,
        on_error_at=source.at,
    )


def _probe(
    stages: Mapping[str, Stage],
    sample: Mapping[PortRef, Sequence[object]],
    ports: Sequence[PortRef],
) -> FileTest:
    """A test that expects nothing, and so tells what comes."""
    at = next(iter(stages.values())).at
    return FileTest(
        name="sample",
        at=at,
        given=tuple(Given(port=port, at=at, items=tuple(items)) for port, items in sample.items()),
        expect=tuple(Expected(port=port, at=at, value_at=at) for port in ports),
    )


def _is_writable(items: Sequence[object], *, exactly: bool = False) -> bool:
    """Whether a file can hold items such that they mean the same.

    Args:
        items: The items.
        exactly: They are only compared, as they would be written.
    """
    if exactly:
        if any(map(_has_arrays, items)):
            return False
    elif not all(map(_is_plain, items)):
        return False
    return sum(len(yaml_text(as_written(item))) for item in items) <= _MOST


def _has_arrays(item: object) -> bool:
    """Whether there are arrays or tables in it: their numbers are no reading."""
    if isinstance(item, dict):
        return any(map(_has_arrays, item.values()))
    if isinstance(item, list | tuple | set | frozenset):
        return any(map(_has_arrays, item))
    if type(item).__module__.partition(".")[0] in {"numpy", "pandas", "pyarrow"}:
        return not hasattr(item, "__float__") or hasattr(item, "__len__")
    return any(map(_has_arrays, getattr(item, "__dict__", {}).values()))


def _is_plain(item: object) -> bool:
    match item:
        case None | bool() | int() | float() | str() | PurePath():
            return not isinstance(item, Enum | dt.date)
        case list():
            return all(map(_is_plain, item))
        case dict():
            return all(isinstance(key, str) and _is_plain(each) for key, each in item.items())
        case _:
            return False


def _free(name: str, reading: Reading) -> str:
    """A name that no test has."""
    taken = {test.name for test in reading.require().tests}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _body(
    name: str,
    given: Mapping[PortRef, Sequence[object]],
    expected: PortRef,
    results: Sequence[object] | int,
    params: Mapping[str, str],
) -> list[str]:
    """The lines of the test, without the indentation that all have.

    Args:
        name: Of the test.
        given: What is given.
        expected: Of which port something is expected.
        results: The items, or how many.
        params: Those of the test.
    """
    lines = [f"{name}:"]
    if params:
        lines.append(f"  params: {yaml_text(dict(params))}")
    lines.append("  given:")
    for port, items in given.items():
        lines += _list_lines(f"    {port}:", items)
    lines.append("  expect:")
    if isinstance(results, int):
        lines.append(f"    {expected}: {{count: {results}}}")
    else:
        lines += _list_lines(f"    {expected}:", results)
    return lines


def _list_lines(head: str, items: Sequence[object]) -> Iterator[str]:
    written = [yaml_text(as_written(item)).replace(_FOLDER, _FILE_DIR) for item in items]
    flow = f"{head} [{', '.join(written)}]"
    if len(flow) + 2 <= _WIDEST:
        yield flow
        return
    yield head
    yield from (f"      - {item}" for item in written)


def _passes(
    file: str, text: str, name: str, settings: Settings, environ: Mapping[str, str]
) -> bool:
    from pipeflow.stages.importing import forget

    reading = read(file, settings, environ, text=text)
    pipeline = reading.require()
    if any(secret in text for secret in pipeline.secrets if secret):
        raise UsageError("the sample holds a secret parameter, which must not be written down")
    try:
        outcome: Outcome = try_test(reading, next(t for t in pipeline.tests if t.name == name))
    finally:
        forget()
    return outcome.passed

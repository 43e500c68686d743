"""Creating: a test of a stage, made from a sample of what its sources really give.

    sources ──first items──> [stages on the way] ──> what the stage gives
                    └─ what can stand in a file is given ─┘   └─ is expected

What is given lies as near to the stage as its items can be written in a file. The test has passed
before it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeflow.api import Reading, Settings, read
from pipeflow.errors import UsageError
from pipeflow.planner.expand import Expanded, expand, port_in
from pipeflow.planner.graph import without_disabled
from pipeflow.planner.make import only_to
from pipeflow.planner.traits import answers, operator_role, ports_of
from pipeflow.spec.pipeline import Pipeline, PortRef, Stage
from pipeflow.spec.shapes import Role
from pipeflow.testing.file_tests import Outcome, try_test
from pipeflow.testing.inserting import inserted
from pipeflow.testing.sampling import sampled
from pipeflow.testing.written import below, is_plain, is_writable, lines_of
from pipeflow.values import dataclass, field, replace


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
    sample = sampled(replace(reading, pipeline=pipeline), running, [*ways_up, expected], take)
    came = {port: [below(pipeline.folder, item) for item in sample[port]] for port in sample}
    nearest = _nearest_writable(name, ways_up, stages, came)
    if lost := [port for port in nearest if port not in named]:
        raise UsageError(
            f"what '{lost[0]}' gives cannot be named in {file}: it stays inside of another file"
        )
    given = {named[port]: items for port, items in nearest.items()}
    shown = named[expected]
    new = _free(f"{shown.stage}-sample", reading)
    results = came[expected]
    for exact in [True, False] if is_writable(results, exactly=True) else [False]:
        body = lines_of(new, given, shown, results if exact else len(results), settings.params)
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


def _nearest_writable(
    name: str,
    ways_up: Sequence[PortRef],
    stages: Mapping[str, Stage],
    came: Mapping[PortRef, Sequence[object]],
) -> dict[PortRef, Sequence[object]]:
    """What can be given in a file, as near to the stage as may be."""
    for port in ways_up:
        if came[port] and is_writable(came[port]):
            return {port: came[port]}
    sources = {port: items for port, items in came.items() if not stages[port.stage].edges}
    for port, items in sources.items():
        if not is_writable(items):
            kind = next(type(item).__name__ for item in items if not is_plain(item))
            raise UsageError(
                f"what '{port}' gives ({kind}) cannot be written in a file, and neither can what "
                f"comes between it and '{name}'"
            )
    return sources


def _free(name: str, reading: Reading) -> str:
    """A name that no test has."""
    taken = {test.name for test in reading.require().tests}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


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

"""Expand: the stages of inner files in the place of the stages that run them; pure.

    outer:  find ──> small: {pipeline: resize.yaml} ──> save
    flat:   find ──> small/decode ──> small/shrink ──> save

After it there is one graph, and nobody need know that it came from several files: an edge leads
from the stage that writes to the stage that reads, through any number of files. An edge of the
outer file and the edge of the inner file that goes on from it are one edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeflow.errors import Finding, UsageError
from pipeflow.planner.listing import listed
from pipeflow.planner.traits import AN_INPUT, open_letters
from pipeflow.spec.pipeline import (
    Call,
    Edge,
    FileTest,
    Given,
    Home,
    InPort,
    Pipeline,
    PortRef,
    Stage,
)
from pipeflow.spec.policies import ArrayMode, Capacity, Overflow, TransportKind
from pipeflow.spec.ports import ERRORS, OUT
from pipeflow.spec.shapes import Shape
from pipeflow.spec.shared import Shared, renamed
from pipeflow.spec.stage_type import CallFacts
from pipeflow.values import dataclass, field, replace

#: Port of a stage that runs a file to the ports of the stages that give its items.
_Sources = Mapping[PortRef, tuple[PortRef, ...]]


@dataclass(frozen=True, slots=True)
class Expanded:
    """A pipeline in which no enabled stage runs a file.

    Attributes:
        pipeline: The flat pipeline; stages that ``enabled: false`` takes out stay as they are.
        findings: Ends of edges that cannot be joined.
        sources: Port of a stage that ran a file to the ports that give its items now.
    """

    pipeline: Pipeline
    findings: tuple[Finding, ...] = ()
    sources: Mapping[PortRef, tuple[PortRef, ...]] = field(default_factory=dict)


def runs_files(pipeline: Pipeline) -> bool:
    """Whether there is anything to expand."""
    return any(stage.inner is not None and stage.enabled for stage in pipeline.stages)


def expand(pipeline: Pipeline) -> Expanded:
    """Put the stages of inner files in the place of those that run them.

    Every edge must name a port that there is; ``checks`` sees to that, file by file.
    """
    if not runs_files(pipeline):
        return Expanded(pipeline)
    findings: list[Finding] = []
    stages, sources, shared = _flat(pipeline, findings)
    tests = tuple(_flat_test(test, sources, findings) for test in pipeline.tests)
    outputs = tuple(
        replace(port, source=sources.get(port.source, (port.source,))[0])
        for port in pipeline.outputs
    )
    flat = replace(pipeline, stages=stages, shared=shared, tests=tests, outputs=outputs)
    return Expanded(flat, tuple(findings), sources)


def port_in(expanded: Expanded, target: str) -> PortRef:
    """The port in the flat pipeline that a command line names, as ``small`` or ``small/shrink``.

    Raises:
        UsageError: It is a stage that runs a file, and that file has no such output, or several
            stages give it.
    """
    name, _, port = target.partition(".")
    wanted = PortRef(name, port or OUT)
    known = [each for each in expanded.sources if each.stage == name]
    inside = [each.name for each in expanded.pipeline.stages if each.name.startswith(f"{name}/")]
    if any(each.name == name for each in expanded.pipeline.stages) or not inside:
        return wanted
    ports = expanded.sources.get(wanted, ())
    if len(ports) == 1:
        return ports[0]
    others = listed(f"'{each}'" for each in [*known, *inside] if each != wanted)
    problem = f"several stages give '{wanted}'" if ports else f"there is no output '{wanted}'"
    raise UsageError(f"'{name}' runs another file, and {problem}; there are {others}")


def alone(pipeline: Pipeline) -> Pipeline:
    """A file with inputs and outputs by itself, as far as that goes.

    A source of the same name stands in for each input, and what is given out counts as read.
    """
    if pipeline.ports_at is None:
        return pipeline
    sources = tuple(_source(port) for port in pipeline.inputs)
    stages = tuple(
        stage if stage.home else replace(stage, home=_home(pipeline, stage))
        for stage in pipeline.stages
    )
    return replace(pipeline, stages=(*sources, *stages))


def _home(pipeline: Pipeline, stage: Stage) -> Home:
    exported = (port.source.port for port in pipeline.outputs if port.source.stage == stage.name)
    return Home(
        folder=pipeline.folder, parameters=pipeline.parameters, exported=frozenset(exported)
    )


def _source(port: InPort) -> Stage:
    facts = CallFacts(shape=Shape.GENERATOR, yields=True, answers=True)
    return Stage(
        name=port.name,
        at=port.at,
        work=Call(module=AN_INPUT, attribute=port.name, facts=facts),
        work_at=port.at,
        replicas_at=port.at,
        partition_at=port.at,
        on_error_at=port.at,
    )


def _flat(
    pipeline: Pipeline, findings: list[Finding]
) -> tuple[tuple[Stage, ...], _Sources, tuple[Shared, ...]]:
    """The stages of a file with those of its inner files, who gives what these gave, and the state.

    Each stage that runs a file has state of its own for it.
    """
    stages: list[Stage] = []
    shared = [*pipeline.shared]
    sources: dict[PortRef, tuple[PortRef, ...]] = {}
    for stage in pipeline.stages:
        if stage.inner is None or not stage.enabled:
            stages.append(stage)
            continue
        inner, deeper, state = _flat(stage.inner, findings)
        stages += _moved_in(stage, stage.inner, inner, findings)
        sources |= _given_out(stage.name, stage.inner, deeper)
        shared += (replace(each, name=f"{stage.name}/{each.name}") for each in state)
    return tuple(_resolved(stage, sources, findings) for stage in stages), sources, tuple(shared)


def _given_out(name: str, inner: Pipeline, deeper: _Sources) -> _Sources:
    given = {
        PortRef(name, port.name): _prefixed(name, deeper.get(port.source, (port.source,)))
        for port in inner.outputs
    }
    letters = [each for port in open_letters(inner) for each in deeper.get(port, (port,))]
    if letters:
        given[PortRef(name, ERRORS)] = _prefixed(name, letters)
    return given


def _prefixed(name: str, ports: Sequence[PortRef]) -> tuple[PortRef, ...]:
    return tuple(replace(port, stage=f"{name}/{port.stage}") for port in ports)


def _moved_in(
    outer: Stage, inner: Pipeline, stages: Sequence[Stage], findings: list[Finding]
) -> Iterator[Stage]:
    """The stages of the inner file under their new names, fed by what feeds the outer stage."""
    fed: dict[str, tuple[Edge, ...]] = {port.name: () for port in inner.inputs}
    only = inner.inputs[0].name if inner.inputs else ""
    for edge in outer.edges:
        name = edge.input or only
        fed[name] = (*fed.get(name, ()), edge)
    for stage in stages:
        edges: list[Edge] = []
        for edge in stage.edges:
            feeders = fed.get(edge.source.stage)
            if feeders is None:
                (source,) = _prefixed(outer.name, [edge.source])
                edges.append(replace(edge, source=source))
                continue
            if stage.named_inputs and len(feeders) > 1:
                findings.append(_several(feeders[1], f"{outer.name}/{stage.name}", edge))
                feeders = feeders[:1]
            edges += (_joined(edge, feeder) for feeder in feeders)
        yield replace(
            stage,
            name=f"{outer.name}/{stage.name}",
            edges=tuple(edges),
            parameters=renamed(stage.parameters, f"{outer.name}/"),
            home=stage.home or _home(inner, stage),
        )


def _joined(inner: Edge, outer: Edge) -> Edge:
    """Two ends of one edge: what the outer file says of it counts, else what the inner says."""
    return replace(
        inner,
        source=outer.source,
        transport=outer.transport if outer.transport is not TransportKind.AUTO else inner.transport,
        capacity=Capacity(
            items=outer.capacity.items or inner.capacity.items,
            bytes=outer.capacity.bytes or inner.capacity.bytes,
        ),
        overflow=outer.overflow if outer.overflow is not Overflow.BLOCK else inner.overflow,
        # Who writes into arrays needs copies, wherever that is said.
        arrays=ArrayMode.COPY if ArrayMode.COPY in {inner.arrays, outer.arrays} else inner.arrays,
    )


def _resolved(stage: Stage, sources: _Sources, findings: list[Finding]) -> Stage:
    """The stage with edges that read the stages of inner files, where it read an outer one."""
    if not any(edge.source in sources for edge in stage.edges):
        return stage
    edges: list[Edge] = []
    for edge in stage.edges:
        ports = sources.get(edge.source, (edge.source,))
        if stage.named_inputs and len(ports) > 1:
            findings.append(_several(edge, stage.name, edge))
            ports = ports[:1]
        edges += (replace(edge, source=port) for port in ports)
    return replace(stage, edges=tuple(edges))


def _several(at: Edge, stage: str, edge: Edge) -> Finding:
    return Finding(
        at=at.at,
        code="join-merged",
        problem=f"input '{edge.input}' of stage '{stage}' would be fed by several outputs at once, "
        "and a named input takes one",
        hint="merge them in a stage before it: inputs: [a, b]",
        length=len(str(at.source)),
    )


def _flat_test(test: FileTest, sources: _Sources, findings: list[Finding]) -> FileTest:
    """The test with the ports of inner stages, where it names a stage that runs a file."""
    given: list[Given] = []
    for each in test.given:
        first, *others = sources.get(each.port, (each.port,))
        given.append(replace(each, port=first))
        # What several stages give comes from the first of them.
        given += (replace(each, port=port, items=()) for port in others)
    expect = []
    for expected in test.expect:
        ports = sources.get(expected.port, (expected.port,))
        if len(ports) > 1:
            findings.append(
                Finding(
                    at=expected.at,
                    code="test-path",
                    problem=f"test '{test.name}' expects '{expected.port}', which several stages "
                    "of the inner file give",
                    hint="expect what reaches a stage that reads it",
                    length=len(str(expected.port)),
                )
            )
        expect.append(replace(expected, port=ports[0]))
    return replace(test, given=tuple(given), expect=tuple(expect))

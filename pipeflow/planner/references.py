"""References: do the edges name stages and ports there are, and do they lead forward?

What is wrong is reported, and taken out, so that the rules after it judge only what is sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeflow.errors import Finding
from pipeflow.planner.graphs import nx
from pipeflow.planner.listing import listed
from pipeflow.planner.traits import AN_INPUT, is_known, ports_of
from pipeflow.spec.pipeline import Call, Edge, Pipeline, PortRef, Stage
from pipeflow.spec.ports import ERRORS, OUT, UNMATCHED
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class Resolved:
    """A pipeline all of whose edges lead somewhere, and what was wrong with the others.

    Attributes:
        pipeline: Without the edges that were found wrong; it has no cycle.
        findings: One for each edge that was taken out, and for each cycle.
        maybe_read: Stages that a wrong edge was probably meant to read: that nobody reads them now
            is no mistake of its own.
        incomplete: Stages that lost an edge, or whose work could not be read: what they lack is no
            mistake of its own.
    """

    pipeline: Pipeline
    findings: tuple[Finding, ...]
    maybe_read: frozenset[str]
    incomplete: frozenset[str]


def resolve(pipeline: Pipeline) -> Resolved:
    """Judge every edge on its own, then look for circles among the sound ones."""
    stages = {stage.name: stage for stage in pipeline.stages}
    findings: list[Finding] = []
    maybe_read: set[str] = set()
    incomplete: set[str] = set()
    sound: dict[str, Stage] = {}
    for stage in pipeline.stages:
        mistakes = [(edge, _judge_edge(stage, edge, stages)) for edge in stage.edges]
        edges = tuple(edge for edge, mistake in mistakes if mistake is None)
        findings.extend(mistake for _, mistake in mistakes if mistake is not None)
        for edge, mistake in mistakes:
            if mistake is not None:
                maybe_read |= _meant(stage, edge, stages)
        findings.extend(_repeated(_with_edges(stage, edges)))
        sound[stage.name] = _with_edges(stage, _without_repeats(stage, edges))
        if len(edges) < len(stage.edges) or not is_known(stage):
            incomplete.add(stage.name)
        if not is_known(stage) and not stage.edges:
            # Its inputs may be what could not be read.
            maybe_read |= stages.keys()
    for circle in _circles(sound):
        findings.append(_circle_finding(circle, sound))
        reader, writer = circle[0], circle[-1]
        stage = sound[reader]
        left = tuple(edge for edge in stage.edges if edge.source.stage != writer)
        sound[reader] = _with_edges(stage, left)
        # One edge of the circle is wrong, and was meant to read any stage.
        maybe_read |= stages.keys()
        incomplete.add(reader)
    return Resolved(
        pipeline=replace(pipeline, stages=tuple(sound.values())),
        findings=tuple(findings),
        maybe_read=frozenset(maybe_read),
        incomplete=frozenset(incomplete),
    )


def _with_edges(stage: Stage, edges: tuple[Edge, ...]) -> Stage:
    """A stage with these edges: itself, most often, as they are all of them."""
    return stage if edges == stage.edges else replace(stage, edges=edges)


def _judge_edge(stage: Stage, edge: Edge, stages: Mapping[str, Stage]) -> Finding | None:
    if edge.source.stage == stage.name:
        return Finding(
            at=edge.at,
            code="self-edge",
            problem=f"stage '{stage.name}' reads its own output",
            hint="name another stage; feedback is refused, since it would wait for itself",
            length=len(str(edge.source)),
        )
    writer = stages.get(edge.source.stage)
    if writer is None:
        return _unknown_stage(stage, edge, stages)
    only_its_name = not is_known(writer) and not writer.edges and writer.work_at == writer.at
    sure = writer.ports_known and not only_its_name
    if sure and edge.source.port not in ports_of(writer):
        return _unknown_port(stage, edge, writer)
    return None


def _meant(stage: Stage, edge: Edge, stages: Mapping[str, Stage]) -> set[str]:
    """The stage that a wrong edge names, or was probably meant to name; all where none is near."""
    if edge.source.stage in stages and edge.source.stage != stage.name:
        return {edge.source.stage}
    near = did_you_mean(edge.source.stage, _others(stage, stages))
    return {near} if near else set(stages)


def _others(stage: Stage, stages: Mapping[str, Stage]) -> list[str]:
    return [name for name in stages if name != stage.name]


def _unknown_stage(stage: Stage, edge: Edge, stages: Mapping[str, Stage]) -> Finding:
    near = did_you_mean(edge.source.stage, _others(stage, stages))
    meant = f"did you mean '{near}' (line {stages[near].at.line})? " if near else ""
    return Finding(
        at=edge.at,
        code="unknown-stage",
        problem=f"stage '{stage.name}' reads from '{edge.source.stage}', "
        "and no stage has that name",
        hint=f"{meant}The stages are: {listed(stages)}.",
        length=len(edge.source.stage),
    )


def _unknown_port(stage: Stage, edge: Edge, writer: Stage) -> Finding:
    port, name = edge.source.port, writer.name
    if port == ERRORS and writer.inner is not None:
        problem = f"stage '{name}' has no port 'errors': '{writer.inner.file}' leaves no dead "
        problem += "letters unread"
        hint = "it opens when a stage of that file has `on_error: dead_letter`, and no reader"
        code = "errors-not-open"
    elif port == ERRORS:
        problem = f"stage '{name}' has no port 'errors': its on_error is not dead_letter"
        hint = f"write `on_error: dead_letter` in stage '{name}' (line {writer.at.line})"
        code = "errors-not-open"
    elif writer.inner is not None:
        known = ports_of(writer)
        near = did_you_mean(port, known)
        meant = f"did you mean '{PortRef(name, near)}'? " if near else ""
        problem = f"stage '{stage.name}' reads '{name}.{port}', and '{writer.inner.file}' has no "
        problem += f"output '{port}'"
        hint = f"{meant}The ports of '{name}' are: {listed(known)}."
        if not known:
            hint = f"write in that file: outputs: {{{port}: …}}"
        code = "unknown-port"
    elif port == UNMATCHED:
        problem = f"stage '{name}' has no port 'unmatched': it does not join several named inputs"
        hint = f"its ports are: {listed(ports_of(writer))}"
        code = "unknown-port"
    elif port == OUT:
        problem = f"stage '{stage.name}' reads '{name}', which has no port 'out'"
        hint = "name one of its ports: " + listed(
            str(PortRef(name, one)) for one in ports_of(writer)
        )
        code = "unknown-port"
    else:
        near = did_you_mean(port, dict.fromkeys((*ports_of(writer), ERRORS)))
        meant = f"did you mean '{PortRef(name, near)}'? " if near else ""
        if near == ERRORS and ERRORS not in ports_of(writer):
            meant += "It opens with `on_error: dead_letter`. "
        problem = f"stage '{stage.name}' reads '{edge.source}', and '{name}' has no port '{port}'"
        hint = f"{meant}The ports of '{name}' are: {listed(ports_of(writer))}."
        if not meant and isinstance(writer.work, Call) and writer.work.module != AN_INPUT:
            hint += f" Write `outputs: [{port}]` there if it sends to one."
        code = "unknown-port"
    return Finding(at=edge.at, code=code, problem=problem, hint=hint, length=len(str(edge.source)))


def _repeated(stage: Stage) -> Iterator[Finding]:
    """Inputs that stand twice in one list; two arguments may well read the same port."""
    if stage.named_inputs:
        return
    seen: set[PortRef] = set()
    for edge in stage.edges:
        if edge.source in seen:
            yield Finding(
                at=edge.at,
                code="duplicate-input",
                problem=f"stage '{stage.name}' lists the input '{edge.source}' twice",
                hint="take one out: every reader of a port gets every item anyway",
                length=len(str(edge.source)),
            )
        seen.add(edge.source)


def _without_repeats(stage: Stage, edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    if stage.named_inputs:
        return edges
    first: dict[PortRef, Edge] = {}
    for edge in edges:
        first.setdefault(edge.source, edge)
    return tuple(first.values())


def _circles(stages: Mapping[str, Stage]) -> Iterator[list[str]]:
    """Circles of stages, writers before readers, each begun at the stage that is first in the file.

    Each is broken at the edge that leads back to its beginning before the next is looked for.
    """
    place = {name: number for number, name in enumerate(stages)}
    links = [(edge.source.stage, stage.name) for stage in stages.values() for edge in stage.edges]
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from(links)
    if nx.is_directed_acyclic_graph(graph):
        return  # as nearly all are: what follows is loaded for the others
    knots = [
        sorted(knot, key=place.__getitem__) for knot in nx.strongly_connected_components(graph)
    ]
    for knot in sorted((knot for knot in knots if len(knot) > 1), key=lambda knot: place[knot[0]]):
        # Built anew in the order of the file: a view would follow the order of a set.
        tangle: nx.DiGraph[str] = nx.DiGraph()
        tangle.add_nodes_from(knot)
        tangle.add_edges_from(link for link in links if link[0] in tangle and link[1] in tangle)
        while not nx.is_directed_acyclic_graph(tangle):
            circle = [writer for writer, _ in nx.find_cycle(tangle)]
            first = min(range(len(circle)), key=lambda number: place[circle[number]])
            circle = circle[first:] + circle[:first]
            yield circle
            tangle.remove_edge(circle[-1], circle[0])


def _circle_finding(circle: list[str], stages: Mapping[str, Stage]) -> Finding:
    closing = next(edge for edge in stages[circle[0]].edges if edge.source.stage == circle[-1])
    steps = " -> ".join(f"{name} (line {stages[name].at.line})" for name in circle)
    return Finding(
        at=closing.at,
        code="cycle",
        problem=f"cycle: {steps} -> {circle[0]}",
        hint="take one of these edges out: items flow one way, feedback is refused",
        length=len(str(closing.source)),
    )

"""Trial: what of a pipeline runs for one of its tests, and what is compared; pure.

    given ─> [stages on the way] ─> expected

Only these stages run. What is given stands in place of a port's output, a collector stands behind
each port that is expected, and in the place of each sink: sinks do not run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pipeflow.errors import Finding, InvalidPipeline, Location
from pipeflow.planner.expand import alone, expand
from pipeflow.planner.graph import without_disabled
from pipeflow.planner.listing import listed
from pipeflow.planner.shared import with_stages
from pipeflow.planner.traits import answers, ports_of, without_letters
from pipeflow.spec.pipeline import (
    ERRORS,
    OUT,
    Call,
    Edge,
    Expected,
    FileTest,
    Given,
    Pipeline,
    PortRef,
    Stage,
    Use,
)
from pipeflow.spec.program import Program
from pipeflow.spec.stage_type import CallFacts, Role, Shape
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass, replace

#: The module whose ``given`` and ``Collector`` stand in for stages; nothing here imports it.
STAND_INS: Final = "pipeflow.testing.stand_ins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one test runs.

    Attributes:
        pipeline: The part that runs, with what stands in.
        collected: Each expectation of the test, with the name by which its collector keeps items.
        at_input: Expectations of sinks: what reached them is compared, not what they emitted.
    """

    pipeline: Pipeline
    collected: Mapping[str, Expected]
    at_input: frozenset[PortRef]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """The stages between what is given and what is expected.

    Attributes:
        stages: All stages by name.
        given: What is given, by its port.
        running: Names of those that run.
        sinks: Ports of the expectations that are compared by what reached them.
        reached: Ports of the expectations to which a path leads.
    """

    stages: Mapping[str, Stage]
    given: Mapping[PortRef, Given]
    running: frozenset[str]
    sinks: frozenset[PortRef]
    reached: frozenset[PortRef]

    def feeds(self, edge: Edge) -> bool:
        """Whether anything comes by an edge."""
        return edge.source in self.given or edge.source.stage in self.running


def decide_trial(pipeline: Pipeline, test: FileTest) -> Trial:
    """Decide what runs for a test, and where items are collected.

    Raises:
        InvalidPipeline: The test names what there is not, or no path joins what it names.
    """
    expanded = expand(pipeline).pipeline
    # The expansion renames what tests name.
    test = next((each for each in expanded.tests if each.name == test.name), test)
    pipeline = alone(expanded)
    given_stages = {given.port.stage for given in test.given}
    enabled = tuple(
        replace(stage, enabled=stage.enabled or stage.name in given_stages)
        for stage in pipeline.stages
    )
    trimmed = without_disabled(replace(pipeline, stages=enabled)).pipeline
    findings = [*_disabled(pipeline, trimmed, test), *trial_findings(trimmed, test)]
    if findings:
        raise InvalidPipeline(tuple(findings))
    way = _way(trimmed, test)
    names = {given.port: _stand_in(given.port, way.stages) for given in test.given}
    sources = [_source(given, names[given.port], way.stages) for given in test.given]
    collected = {f"what '{each.port}' emits": each for each in test.expect}
    collectors = [_collector(name, each, way, names) for name, each in collected.items()]
    running = [_fed(stage, way, names) for stage in trimmed.stages if stage.name in way.running]
    read = {edge.source for stage in (*running, *collectors) for edge in stage.edges}
    stages = (*sources, *(without_letters(stage, read) for stage in running), *collectors)
    return Trial(
        pipeline=replace(
            with_stages(pipeline, stages), tests=(), inputs=(), outputs=(), ports_at=None
        ),
        collected=collected,
        at_input=way.sinks,
    )


def trial_findings(pipeline: Pipeline, test: FileTest) -> list[Finding]:
    """What a test says that the pipeline has not, or that no path joins."""
    stages = {stage.name: stage for stage in pipeline.stages}
    named: tuple[Given | Expected, ...] = (*test.given, *test.expect)
    found = [each for one in named for each in _reference(one.port, one.at, test, stages)]
    if found or not test.complete:
        return found
    way = _way(pipeline, test)
    unfed = list(_unfed(pipeline, way, test))
    return unfed or list(_no_path(way, test)) or [*_for_nothing(way, test), *_lacking(way, test)]


def _disabled(whole: Pipeline, trimmed: Pipeline, test: FileTest) -> Iterator[Finding]:
    left = {stage.name for stage in trimmed.stages}
    out = {stage.name for stage in whole.stages} - left
    for expected in test.expect:
        if expected.port.stage in out:
            yield _finding(
                expected,
                "test-path",
                f"test '{test.name}' expects '{expected.port}', which `enabled: false` takes out",
                "give the test params with which it runs",
            )


def _reference(
    port: PortRef, at: Location, test: FileTest, stages: Mapping[str, Stage]
) -> Iterator[Finding]:
    stage = stages.get(port.stage)
    if stage is None:
        near = did_you_mean(port.stage, stages)
        meant = f"did you mean '{near}'? " if near else ""
        yield Finding(
            at=at,
            code="unknown-stage",
            problem=f"test '{test.name}' names '{port.stage}', and no stage has that name",
            hint=f"{meant}The stages are: {listed(stages)}.",
            length=len(port.stage),
        )
    elif stage.ports_known and port.port not in (ports := ports_of(stage)):
        near = did_you_mean(port.port, ports)
        meant = f"did you mean '{PortRef(port.stage, near)}'? " if near else ""
        if port.port == ERRORS:
            meant = "It opens with `on_error: dead_letter`. "
        yield Finding(
            at=at,
            code="unknown-port",
            problem=f"test '{test.name}' names '{port}', and '{port.stage}' has no port "
            f"'{port.port}'",
            hint=f"{meant}The ports of '{port.stage}' are: {listed(ports)}."
            if ports
            else "it gives nothing: name the stage before it, or test the file that it runs",
            length=len(str(port)),
        )


def _no_path(way: _Way, test: FileTest) -> Iterator[Finding]:
    given = listed(f"'{each.port}'" for each in test.given)
    replaced = {port.stage for port in way.given}
    for expected in test.expect:
        if expected.port.stage in replaced:
            yield _finding(
                expected,
                "test-path",
                f"test '{test.name}' expects '{expected.port}', "
                f"but '{expected.port.stage}' does not run: its output is given",
                "expect what a stage behind it makes of that",
            )
        elif expected.port not in way.reached:
            yield _finding(
                expected,
                "test-path",
                f"no path leads from what test '{test.name}' gives ({given}) to '{expected.port}'",
                "give the output of a stage that it reads, or of one further up",
            )


def _unfed(pipeline: Pipeline, way: _Way, test: FileTest) -> Iterator[Finding]:
    """Inputs of the file, when it is tested alone, that have nothing to give."""
    for port in pipeline.inputs:
        if port.name in way.running:
            yield Finding(
                at=test.at,
                code="test-input",
                problem=f"test '{test.name}' needs the input '{port.name}', "
                "and nothing feeds it while the file is tested alone",
                hint=f"write under given: {port.name}: […]",
                length=len(test.name),
            )


def _for_nothing(way: _Way, test: FileTest) -> Iterator[Finding]:
    for each in test.given:
        if not _is_read(each.port, way):
            yield _finding(
                each,
                "test-path",
                f"what test '{test.name}' gives as '{each.port}' reaches nothing that it expects",
                "take it out, or expect something of a stage behind it",
            )


def _lacking(way: _Way, test: FileTest) -> Iterator[Finding]:
    """Joins on the way of which one input is neither given nor made on the way."""
    for expected in test.expect:
        joins = {name for name in way.running if way.stages[name].named_inputs}
        if expected.port in way.sinks and way.stages[expected.port.stage].named_inputs:
            joins.add(expected.port.stage)
        for name in sorted(joins & _leading_to(expected, way)):
            for edge in way.stages[name].edges:
                if not way.feeds(edge):
                    yield _finding(
                        expected,
                        "test-input",
                        f"'{name}' joins '{edge.input}' from '{edge.source}', "
                        f"which test '{test.name}' does not give",
                        f"write under given: {edge.source}: […]",
                    )


def _leading_to(expected: Expected, way: _Way) -> set[str]:
    return _upstream(expected.port.stage, way.stages, frozenset(way.given))


def _is_read(port: PortRef, way: _Way) -> bool:
    readers = {name for name, stage in way.stages.items() if port in _sources(stage)}
    return bool(readers & (way.running | {sink.stage for sink in way.sinks}))


def _way(pipeline: Pipeline, test: FileTest) -> _Way:
    """Walk backwards from what is expected, and keep what can be reached from what is given."""
    stages = {stage.name: stage for stage in pipeline.stages}
    given = {each.port: each for each in test.given}
    sinks = frozenset(
        each.port
        for each in test.expect
        if each.port.stage in stages and _is_sink(each.port, stages)
    )
    wanted: set[str] = set()
    for expected in test.expect:
        leading = _upstream(expected.port.stage, stages, frozenset(given))
        wanted |= leading - ({expected.port.stage} if expected.port in sinks else set())
    reachable = _downstream(stages, frozenset(given)) if given else set(stages)
    running = (wanted & reachable) - {port.stage for port in given}
    reached = {
        each.port
        for each in test.expect
        if each.port.stage in running
        or (
            each.port in sinks
            and any(
                source in given or source.stage in running
                for source in _sources(stages[each.port.stage])
            )
        )
    }
    return _Way(
        stages=stages,
        given=given,
        running=frozenset(running),
        sinks=sinks,
        reached=frozenset(reached),
    )


def _is_sink(port: PortRef, stages: Mapping[str, Stage]) -> bool:
    """Whether a stage only takes: a sink by its kind, or code of the user's that gives nothing."""
    stage = stages[port.stage]
    exported = stage.home.exported if stage.home else frozenset()
    if port.port != OUT or not stage.edges or OUT in exported or stage.inner is not None:
        return False
    match stage.work:
        case Use(operator=operator):
            return operator.role is Role.SINK
        case Call() | Program():
            ports = {PortRef(stage.name, each) for each in (OUT, *stage.outputs)}
            is_read = any(ports & _sources(other) for other in stages.values())
            return not is_read and answers(stage) is not True


def _upstream(name: str, stages: Mapping[str, Stage], given: frozenset[PortRef]) -> set[str]:
    """A stage and all before it, up to what is given."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in stages and current not in found:
            found.add(current)
            waiting += [source.stage for source in _sources(stages[current]) - given]
    return found


def _downstream(stages: Mapping[str, Stage], given: frozenset[PortRef]) -> set[str]:
    """All stages that something given can reach."""
    replaced = {port.stage for port in given}
    found: set[str] = set()
    while True:
        more = {
            name
            for name, stage in stages.items()
            if name not in found | replaced
            and any(source in given or source.stage in found for source in _sources(stage))
        }
        if not more:
            return found
        found |= more


def _sources(stage: Stage) -> set[PortRef]:
    return {edge.source for edge in stage.edges}


def _stand_in(port: PortRef, stages: Mapping[str, Stage]) -> str:
    """What stands in for ``out`` is called as the stage is, so that ids begin with its name."""
    if port.port == OUT:
        return port.stage
    taken = {name.casefold() for name in stages}
    name = f"{port.stage}-{port.port}"
    while name.casefold() in taken:
        name += "-given"
    return name


def _source(given: Given, name: str, stages: Mapping[str, Stage]) -> Stage:
    """Emits what is given."""
    work = Call(
        module=STAND_INS,
        attribute="given",
        facts=CallFacts(shape=Shape.GENERATOR, yields=True, answers=True),
    )
    return _in_place_of(stages[given.port.stage], name, work, {"items": list(given.items)}, ())


def _collector(key: str, expected: Expected, way: _Way, names: Mapping[PortRef, str]) -> Stage:
    """Keeps what reaches a sink, or what a port emits."""
    original = way.stages[expected.port.stage]
    work = Call(
        module=STAND_INS,
        attribute="Collector",
        facts=CallFacts(shape=Shape.CLASS, is_class=True, answers=False),
    )
    parameters = {"collection": key}
    if expected.port in way.sinks:
        edges = _fed(original, way, names).edges
        made = _in_place_of(original, original.name, work, parameters, edges)
        return replace(made, named_inputs=original.named_inputs)
    edge = Edge(source=expected.port, at=expected.at)
    return _in_place_of(original, key, work, parameters, (edge,))


def _in_place_of(
    original: Stage,
    name: str,
    work: Call,
    parameters: Mapping[str, object],
    edges: tuple[Edge, ...],
) -> Stage:
    """A stage that no file holds; what is said of it points at the one that it stands for."""
    return Stage(
        name=name,
        at=original.at,
        work=work,
        work_at=original.work_at,
        parameters=parameters,
        edges=edges,
        replicas_at=original.at,
        partition_at=original.at,
        on_error_at=original.at,
    )


def _fed(stage: Stage, way: _Way, names: Mapping[PortRef, str]) -> Stage:
    """The stage with the inputs that it has in the trial."""
    edges = tuple(
        replace(edge, source=PortRef(names[edge.source])) if edge.source in names else edge
        for edge in stage.edges
        if way.feeds(edge)
    )
    # Between two tries there is nothing to wait for here, and what is given comes at once.
    batch = None if stage.batch is None else replace(stage.batch, wait_s=None)
    # A share of the few items of a test says nothing about those of a run.
    budget = stage.on_error.budget
    on_error = replace(
        stage.on_error, backoff_s=0.0, budget=None if budget and budget.percent else budget
    )
    return replace(stage, edges=edges, on_error=on_error, batch=batch)


def _finding(named: Given | Expected, code: str, problem: str, hint: str) -> Finding:
    return Finding(at=named.at, code=code, problem=problem, hint=hint, length=len(str(named.port)))

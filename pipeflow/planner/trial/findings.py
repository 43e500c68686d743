"""What is wrong with a test: it names what there is not, or what no path joins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeflow.errors import Finding, Location
from pipeflow.planner.listing import listed
from pipeflow.planner.traits import ports_of
from pipeflow.planner.trial.way import Way, find_way, sources_of, upstream
from pipeflow.spec.pipeline import Expected, FileTest, Given, Pipeline, PortRef, Stage
from pipeflow.spec.ports import ERRORS
from pipeflow.suggest import did_you_mean


def trial_findings(pipeline: Pipeline, test: FileTest) -> list[Finding]:
    """What a test says that the pipeline has not, or that no path joins."""
    stages = {stage.name: stage for stage in pipeline.stages}
    named: tuple[Given | Expected, ...] = (*test.given, *test.expect)
    found = [each for one in named for each in _reference(one.port, one.at, test, stages)]
    if found or not test.complete:
        return found
    way = find_way(pipeline, test)
    unfed = list(_unfed(pipeline, way, test))
    return unfed or list(_no_path(way, test)) or [*_for_nothing(way, test), *_lacking(way, test)]


def disabled(whole: Pipeline, trimmed: Pipeline, test: FileTest) -> Iterator[Finding]:
    """Expectations of what is taken out.

    Args:
        whole: The pipeline.
        trimmed: The same without what is not enabled.
        test: The test.
    """
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


def _no_path(way: Way, test: FileTest) -> Iterator[Finding]:
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


def _unfed(pipeline: Pipeline, way: Way, test: FileTest) -> Iterator[Finding]:
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


def _for_nothing(way: Way, test: FileTest) -> Iterator[Finding]:
    for each in test.given:
        if not _is_read(each.port, way):
            yield _finding(
                each,
                "test-path",
                f"what test '{test.name}' gives as '{each.port}' reaches nothing that it expects",
                "take it out, or expect something of a stage behind it",
            )


def _lacking(way: Way, test: FileTest) -> Iterator[Finding]:
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


def _leading_to(expected: Expected, way: Way) -> set[str]:
    return upstream(expected.port.stage, way.stages, frozenset(way.given))


def _is_read(port: PortRef, way: Way) -> bool:
    readers = {name for name, stage in way.stages.items() if port in sources_of(stage)}
    return bool(readers & (way.running | {sink.stage for sink in way.sinks}))


def _finding(named: Given | Expected, code: str, problem: str, hint: str) -> Finding:
    return Finding(at=named.at, code=code, problem=problem, hint=hint, length=len(str(named.port)))

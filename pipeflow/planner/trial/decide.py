"""Deciding a trial: the stages that run, and what stands in for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeflow.errors import InvalidPipeline
from pipeflow.planner.expand import alone, expand
from pipeflow.planner.graph import without_disabled
from pipeflow.planner.shared import with_stages
from pipeflow.planner.traits import without_letters
from pipeflow.planner.trial.findings import disabled, trial_findings
from pipeflow.planner.trial.way import Way, find_way
from pipeflow.spec.pipeline import Call, Edge, Expected, FileTest, Given, Pipeline, PortRef, Stage
from pipeflow.spec.ports import OUT
from pipeflow.spec.shapes import Shape
from pipeflow.spec.stage_type import CallFacts
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
    findings = [*disabled(pipeline, trimmed, test), *trial_findings(trimmed, test)]
    if findings:
        raise InvalidPipeline(tuple(findings))
    way = find_way(trimmed, test)
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


def _collector(key: str, expected: Expected, way: Way, names: Mapping[PortRef, str]) -> Stage:
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


def _fed(stage: Stage, way: Way, names: Mapping[PortRef, str]) -> Stage:
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

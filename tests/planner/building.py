"""Pipelines for tests, as short as they can be said; every stage stands on a line of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeflow.errors import Location
from pipeflow.planner.plan import EdgePlan, Machine, Plan, StagePlan
from pipeflow.spec.pipeline import Call, Edge, Pipeline, PortRef, Stage, Use
from pipeflow.spec.policies import ErrorPolicy, Limits, OnError
from pipeflow.spec.shapes import Role, Shape
from pipeflow.spec.stage_type import CallFacts, StageType

MACHINE = Machine(cores=4, memory=8 * 2**30, processes=1000, descriptors=4096)

#: What reading the source of common kinds of functions tells.
MAP = CallFacts(shape=Shape.FUNCTION, yields=False, answers=True)
SAVE = CallFacts(shape=Shape.FUNCTION, yields=False, answers=False)
FLAT_MAP = CallFacts(shape=Shape.GENERATOR, yields=True, answers=True)
STREAM = CallFacts(shape=Shape.STREAM, keeps_state=True, yields=True, answers=True)
STATEFUL = CallFacts(shape=Shape.CLASS, keeps_state=True, yields=False, answers=True)
UNKNOWN = CallFacts()

FILTER = StageType(
    name="filter", role=Role.OPERATOR, shape=Shape.FUNCTION, one_to_one=True, may_drop=True
)
TAKE = StageType(name="take", role=Role.OPERATOR, shape=Shape.STREAM, keeps_state=True)
FILES = StageType(name="files", role=Role.SOURCE, shape=Shape.GENERATOR, single=True)
WRITER = StageType(
    name="jsonl.write", role=Role.SINK, shape=Shape.CLASS, keeps_state=True, single=True
)

Inputs = str | list[str] | dict[str, str]


def at(line: int, column: int = 3) -> Location:
    return Location("p.yaml", line, column)


def stage(
    name: str,
    inputs: Inputs = "",
    work: Call | CallFacts | StageType = MAP,
    *,
    edge: Mapping[str, Any] | None = None,
    **more: Any,
) -> Stage:
    """A stage; ``pipeline`` gives it its place. ``edge`` says what holds for all of its inputs."""
    if isinstance(more.get("on_error"), OnError):
        more["on_error"] = ErrorPolicy(then=more["on_error"])
    if "replicas" in more:
        more.setdefault("replicas_given", True)
    made = Stage(
        name=name,
        at=at(1),
        work=_work(name, work),
        work_at=at(1, 11),
        edges=_edges(inputs, edge or {}),
        named_inputs=isinstance(inputs, dict),
        replicas_at=at(1, 21),
        partition_at=at(1, 31),
        on_error_at=at(1, 41),
    )
    return replace(made, **more)


def _work(name: str, work: Call | CallFacts | StageType) -> Call | Use:
    match work:
        case StageType():
            return Use(operator=work)
        case CallFacts():
            return Call(module="work", attribute=name, facts=work)
        case Call():
            return work


def _edges(inputs: Inputs, more: Mapping[str, Any]) -> tuple[Edge, ...]:
    match inputs:
        case "":
            named = []
        case str():
            named = [("", inputs)]
        case list():
            named = [("", source) for source in inputs]
        case _:
            named = list(inputs.items())
    return tuple(
        replace(Edge(source=_port(source), at=at(1, 51 + number), input=argument), **more)
        for number, (argument, source) in enumerate(named)
    )


def _port(text: str) -> PortRef:
    name, _, port = text.partition(".")
    return PortRef(name, port or "out")


def pipeline(*stages: Stage, memory: int | None = None, processes: int | None = None) -> Pipeline:
    """A pipeline whose stages stand on lines 2, 3, 4, ..."""
    return Pipeline(
        name="p",
        file="p.yaml",
        folder="/somewhere",
        stages=tuple(_on_line(stage, line) for line, stage in enumerate(stages, start=2)),
        stages_at=at(1, 1),
        limits=Limits(memory=memory, processes=processes),
        limits_at=at(1, 9),
    )


def _on_line(made: Stage, line: int) -> Stage:
    def moved(place: Location) -> Location:
        return replace(place, line=line)

    return replace(
        made,
        at=moved(made.at),
        work_at=moved(made.work_at),
        replicas_at=moved(made.replicas_at),
        partition_at=moved(made.partition_at),
        on_error_at=moved(made.on_error_at),
        edges=tuple(replace(edge, at=moved(edge.at)) for edge in made.edges),
    )


def the_stage(plan: Plan, name: str) -> StagePlan:
    return next(stage for stage in plan.stages if stage.name == name)


def the_edge(plan: Plan, source: str, target: str) -> EdgePlan:
    """The first edge from one stage to another."""
    ends = (the_stage(plan, source).index, the_stage(plan, target).index)
    return next(edge for edge in plan.edges if (edge.source, edge.target) == ends)


def names(plan: Plan, numbers: tuple[int, ...]) -> list[str]:
    return [plan.stages[number].name for number in numbers]

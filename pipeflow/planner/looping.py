"""Looping: a pipeline cut behind a stage, whose results a loop of the caller's takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeflow.errors import UsageError
from pipeflow.planner.expand import expand, port_in
from pipeflow.planner.graph import without_disabled
from pipeflow.planner.listing import listed
from pipeflow.planner.make import only_to
from pipeflow.planner.traits import answers, operator_role, ports_of
from pipeflow.spec.pipeline import Call, Edge, Pipeline, PortRef, Stage
from pipeflow.spec.ports import ERRORS, OUT
from pipeflow.spec.shapes import Role, Shape
from pipeflow.spec.stage_type import CallFacts
from pipeflow.suggest import did_you_mean
from pipeflow.values import replace

#: What the stage is called that stands for the loop, if no other has that name.
LOOP: Final = "loop"


def with_loop(pipeline: Pipeline, target: str) -> tuple[Pipeline, str]:
    """Keep what leads to a stage, and let a stage that the caller is read what it gives.

    Args:
        pipeline: The whole.
        target: ``stage`` or ``stage.port``; empty: the one stage that nobody reads.

    Returns:
        The pipeline that runs, and the name of the stage that stands for the loop.

    Raises:
        UsageError: There is no such stage or port, it gives nothing, or it must be named.
    """
    expanded = expand(pipeline)
    pipeline = expanded.pipeline
    read = port_in(expanded, target or _only_end(pipeline))
    name, port = read.stage, read.port
    cut = only_to(pipeline, name, with_letters=port == ERRORS)
    stage = next(each for each in pipeline.stages if each.name == name)
    if operator_role(stage) is Role.SINK and port == OUT:
        raise UsageError(_sink(stage))
    if port not in (ports := ports_of(stage)):
        near = did_you_mean(port, ports)
        meant = f"did you mean '{PortRef(name, near)}'? " if near else ""
        raise UsageError(f"'{name}' has no port '{port}'; {meant}its ports are: {listed(ports)}")
    loop = _loop(stage, PortRef(name, port), _free({each.name for each in pipeline.stages}))
    return replace(cut, stages=(*cut.stages, loop), tests=()), loop.name


def _only_end(pipeline: Pipeline) -> str:
    """The one stage whose results nobody reads."""
    ends = [stage.name for stage in _ends(without_disabled(pipeline).pipeline)]
    if len(ends) == 1:
        return ends[0]
    stages = listed(f"'{stage.name}'" for stage in pipeline.stages)
    named = listed(f"'{end}'" for end in ends)
    found = f"{named} are" if ends else "none that gives anything is"
    raise UsageError(
        f"say which stage to read: stage=NAME; of the stages ({stages}) {found} read by no other"
    )


def _ends(running: Pipeline) -> Iterator[Stage]:
    read = {edge.source.stage for stage in running.stages for edge in stage.edges}
    for stage in running.stages:
        gives = operator_role(stage) is not Role.SINK and answers(stage) is not False
        if stage.name not in read and gives:
            yield stage


def _sink(stage: Stage) -> str:
    sources = listed(f"'{edge.source}'" for edge in stage.edges)
    return f"'{stage.name}' is a sink and gives nothing; read what it reads: {sources}"


def _loop(beside: Stage, port: PortRef, name: str) -> Stage:
    """A stage that no file holds; what is said of it points at the one that it reads."""
    facts = CallFacts(shape=Shape.STREAM, keeps_state=True, answers=False)
    return Stage(
        name=name,
        at=beside.at,
        work=Call(module="builtins", attribute="iter", facts=facts),
        work_at=beside.at,
        edges=(Edge(source=port, at=beside.at, decides=True),),
        replicas_at=beside.at,
        partition_at=beside.at,
        on_error_at=beside.at,
    )


def _free(taken: set[str]) -> str:
    """A name that no stage has."""
    folded = {name.casefold() for name in taken}
    candidates = (LOOP, *(f"{LOOP}-{number}" for number in range(1, len(taken) + 2)))
    return next(each for each in candidates if each not in folded)

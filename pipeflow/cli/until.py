"""``--until STAGE --take N``: a pipeline cut behind a stage, its first items printed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pipeflow.errors import UsageError
from pipeflow.planner.make import only_to
from pipeflow.planner.traits import ports_of
from pipeflow.spec.pipeline import Edge, Pipeline, PortRef, Stage, Use
from pipeflow.spec.ports import ERRORS, OUT
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import StageType
from pipeflow.values import replace


def until(
    pipeline: Pipeline,
    target: str,
    count: int,
    *,
    stage_types: Mapping[str, StageType],
) -> Pipeline:
    """Keep what leads to a stage, and print its first items.

    Of a sink, which gives nothing, what reaches it is printed, and it does not run.

    Args:
        pipeline: The whole.
        target: ``stage`` or ``stage.port``.
        count: How many items.
        stage_types: The operators; ``take`` and ``print`` are used.

    Raises:
        UsageError: There is no such stage or port, or it is disabled.
    """
    name, _, port = target.partition(".")
    cut = only_to(pipeline, name, with_letters=port == ERRORS)
    stage = next(each for each in pipeline.stages if each.name == name)
    if not _is_sink(stage):
        _require_port(stage, port or OUT)
    if _is_sink(stage) and not stage.named_inputs:
        kept = tuple(each for each in cut.stages if each.name != name)
        edges = next(each for each in cut.stages if each.name == name).edges
    else:
        kept = cut.stages
        edges = (Edge(source=PortRef(name, port or OUT), at=stage.at, decides=True),)
    taken = {each.name.casefold() for each in pipeline.stages}
    take = _operator(stage, _free("take", taken), stage_types["take"], edges, {"n": count})
    shown = _operator(
        stage,
        _free("print", taken),
        stage_types["print"],
        (Edge(source=PortRef(take.name), at=stage.at),),
        {},
    )
    return replace(cut, stages=(*kept, take, shown))


def _require_port(stage: Stage, port: str) -> None:
    known = ports_of(stage)
    if port not in known:
        hint = "it opens with 'on_error: dead_letter'; " if port == ERRORS else ""
        there = ", ".join(str(PortRef(stage.name, each)) for each in known)
        raise UsageError(f"stage '{stage.name}' has no port '{port}'; {hint}there are: {there}")


def _is_sink(stage: Stage) -> bool:
    match stage.work:
        case Use(operator=operator):
            return operator.role is Role.SINK
        case _:
            return False


def _operator(
    beside: Stage,
    name: str,
    operator: StageType,
    edges: tuple[Edge, ...],
    parameters: Mapping[str, object],
) -> Stage:
    """A stage that no file holds; what is said of it points at the one it stands behind."""
    defaults = {option.name: option.default for option in operator.options if not option.required}
    return Stage(
        name=name,
        at=beside.at,
        work=Use(operator=operator),
        work_at=beside.at,
        parameters=defaults | dict(parameters),
        edges=edges,
        replicas_at=beside.at,
        partition_at=beside.at,
        on_error_at=beside.at,
    )


def _free(name: str, taken: Collection[str]) -> str:
    """A name that no stage has."""
    candidates = (name, *(f"{name}-{number}" for number in range(1, len(taken) + 2)))
    return next(each for each in candidates if each not in taken)

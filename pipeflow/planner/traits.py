"""Traits: what the planner may ask of one stage, answered the same for operators and own code.

What a stage is together with its neighbours is in ``graph``, ``joins`` and ``checks``.
"""

from __future__ import annotations

from enum import Enum

from pipeflow.spec.pipeline import ERRORS, OUT, UNMATCHED, Call, PortRef, Stage, Use
from pipeflow.spec.policies import Balance, Broadcast, OnError
from pipeflow.spec.stage_type import Role, Shape
from pipeflow.values import replace


class Blocker(Enum):
    """Why results of a stage cannot be told by the id of the item that they come from."""

    FLAT_MAP = "gives any number of results for an item"
    STREAM = "is a stream function, which counts its results anew"
    STATE = "keeps state and gives results of its own at the end"
    MERGE = "merges several inputs"
    JOIN = "joins inputs itself"
    COPIES = "gives every item to all of its replicas"


def is_known(stage: Stage) -> bool:
    """Whether its work could be read; config says what is wrong with the others."""
    return isinstance(stage.work, Use) or bool(stage.work.module)


def title(stage: Stage) -> str:
    """What the stage runs, as the file has it: ``module:attribute`` or the operator's name."""
    match stage.work:
        case Call(module=module, attribute=attribute):
            return f"{module}:{attribute}"
        case Use(operator=operator):
            return operator.name


def shape_of(stage: Stage) -> Shape:
    """How the stage's code meets the items, as far as it is known."""
    match stage.work:
        case Call(facts=facts):
            return facts.shape
        case Use(operator=operator):
            return operator.shape


def operator_role(stage: Stage) -> Role | None:
    """Where an operator may stand; ``None`` for the user's own code, which may stand anywhere."""
    return stage.work.operator.role if isinstance(stage.work, Use) else None


def is_zip(stage: Stage) -> bool:
    """Whether it joins several named inputs; one named input needs no partner."""
    return stage.named_inputs and len(stage.edges) > 1


def is_merge(stage: Stage) -> bool:
    """Whether it takes several inputs as they come."""
    return not stage.named_inputs and len(stage.edges) > 1


def keeps_state(stage: Stage) -> bool:
    """Whether its replicas cannot stand in for each other."""
    if shape_of(stage) is Shape.STREAM:
        return True
    match stage.work:
        case Call(facts=facts):
            return facts.keeps_state
        case Use(operator=operator):
            return operator.keeps_state


def is_isolated(stage: Stage) -> bool:
    """Whether its code runs in a process beside its worker's: its death must be an item's own.

    That is so where a time limit asks for it, or where ``on_error`` goes on, as far as another
    process could go on where one has died.
    """
    if not stage.edges or shape_of(stage) is Shape.STREAM:
        return False
    goes_on = stage.on_error.then is not OnError.STOP or stage.on_error.retries > 0
    own = isinstance(stage.work, Call) and not keeps_state(stage)
    return stage.timeout_s is not None or (goes_on and own)


def always_alone(stage: Stage) -> bool:
    """Whether it has one replica whatever the file says: sources and file sinks."""
    return not stage.edges or (isinstance(stage.work, Use) and stage.work.operator.single)


def needs_partition(stage: Stage) -> bool:
    """Whether it keeps state and nothing says which replica keeps whose."""
    return keeps_state(stage) and isinstance(stage.partition, Balance)


def wanted_replicas(stage: Stage) -> int | None:
    """Replicas as asked for, ``None`` for ``auto``; 1 for a stage that cannot have more."""
    return 1 if always_alone(stage) or needs_partition(stage) else stage.replicas


def may_spread(stage: Stage) -> bool:
    """Whether it may have several workers on some machine; ``auto`` may."""
    return wanted_replicas(stage) != 1


def copies_items(stage: Stage) -> bool:
    """Whether several replicas of it may each get every item."""
    return isinstance(stage.partition, Broadcast) and may_spread(stage)


def may_drop(stage: Stage) -> bool:
    """Whether it is known to answer some items with nothing."""
    filters = isinstance(stage.work, Use) and stage.work.operator.may_drop
    return filters or stage.on_error.then is not OnError.STOP


def blocker(stage: Stage) -> Blocker | None:
    """Why a zip by id cannot look through this stage; ``None``: it is one-to-one, or may be.

    Code that reading cannot judge is let through: its worker sees to it when it runs.
    """
    if is_zip(stage):
        return Blocker.JOIN
    if is_merge(stage):
        return Blocker.MERGE
    if copies_items(stage):
        return Blocker.COPIES
    match stage.work:
        case Use(operator=operator) if operator.one_to_one and operator.shape is not Shape.STREAM:
            return None
        case _ if shape_of(stage) is Shape.STREAM:
            return Blocker.STREAM
        case Use(operator=operator):
            return Blocker.STATE if operator.keeps_state else Blocker.FLAT_MAP
        case Call(facts=facts) if facts.shape is Shape.GENERATOR or facts.yields:
            return Blocker.FLAT_MAP
        case Call(facts=facts):
            return Blocker.STATE if facts.keeps_state else None


def ports_of(stage: Stage) -> tuple[str, ...]:
    """All its output ports: ``out``, its own, and those that its settings open."""
    errors = (ERRORS,) if stage.on_error.then is OnError.DEAD_LETTER else ()
    unmatched = (UNMATCHED,) if is_zip(stage) else ()
    return (OUT, *stage.outputs, *errors, *unmatched)


def answers(stage: Stage) -> bool | None:
    """Whether it gives results; ``None`` when that is not known."""
    match stage.work:
        case Call(facts=facts):
            return True if facts.yields else facts.answers
        case Use(operator=operator):
            return operator.role is not Role.SINK


def reads_stdin(stage: Stage) -> bool:
    """Whether it is an operator that reads standard input with the parameters it has."""
    if stage.edges or not isinstance(stage.work, Use):
        return False
    defaults = {option.name: option.default for option in stage.work.operator.options}
    return stage.parameters.get("path", defaults.get("path")) == "-"


def without_letters(stage: Stage, read: set[PortRef]) -> Stage:
    """The stage in a part of its pipeline: dead letters that nobody reads there are skipped.

    Args:
        stage: The stage.
        read: All ports that are read in that part.
    """
    if stage.on_error.then is OnError.DEAD_LETTER and PortRef(stage.name, ERRORS) not in read:
        return replace(stage, on_error=replace(stage.on_error, then=OnError.SKIP))
    return stage

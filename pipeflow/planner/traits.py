"""Traits: what the planner may ask of one stage, answered the same for operators and own code.

What a stage is together with its neighbours is in ``graph``, ``joins`` and ``checks``.
"""

from __future__ import annotations

import posixpath
from enum import Enum
from typing import Final

from pipeflow.spec.pipeline import Call, Pipeline, PortRef, Stage, Use
from pipeflow.spec.policies import (
    Balance,
    Broadcast,
    KeyedInputs,
    LatestInputs,
    OnError,
    ZipInputs,
)
from pipeflow.spec.ports import ERRORS, OUT, UNMATCHED
from pipeflow.spec.program import Program, ProgramMode
from pipeflow.spec.shapes import Role, Shape
from pipeflow.values import replace

#: Stands for the module of what stands in for an input of a file; it is never imported.
AN_INPUT: Final = "input"

#: The parameter by which a sink writes its file under its own name.
LIVE: Final = "live"


class Blocker(Enum):
    """Why results of a stage cannot be told by the id of the item that they come from."""

    FLAT_MAP = "gives any number of results for an item"
    STREAM = "is a stream function, which counts its results anew"
    PROGRAM = "is a program for the whole stream, which counts its results anew"
    STATE = "keeps state and gives results of its own at the end"
    MERGE = "merges several inputs"
    JOIN = "joins inputs itself"
    COPIES = "gives every item to all of its replicas"


def is_known(stage: Stage) -> bool:
    """Whether its work could be read; config says what is wrong with the others."""
    known = not isinstance(stage.work, Call) or bool(stage.work.module)
    return known or stage.inner is not None


def title(stage: Stage) -> str:
    """What the stage runs: ``module:attribute``, an operator, a program, or a file."""
    if stage.inner is not None:
        return stage.inner.file
    match stage.work:
        case Program() as program:
            return program.name
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
        case Program(mode=mode):
            return Shape.STREAM if mode is ProgramMode.STREAM else Shape.FUNCTION


def operator_role(stage: Stage) -> Role | None:
    """Where an operator may stand; ``None`` for other code, which may stand anywhere."""
    known = isinstance(stage.work, Use) and stage.work.operator.shape is not Shape.UNKNOWN
    return stage.work.operator.role if isinstance(stage.work, Use) and known else None


def is_join(stage: Stage) -> bool:
    """Whether it joins several named inputs; one named input needs no partner.

    A stage that runs a file feeds its inputs to the stages of that file, which may join them.
    """
    return stage.named_inputs and len(stage.edges) > 1 and stage.inner is None


def is_zip(stage: Stage) -> bool:
    """Whether it pairs its inputs by item id or by position."""
    return is_join(stage) and isinstance(stage.join, ZipInputs)


def joins_by_key(stage: Stage) -> bool:
    """Whether items with equal keys meet in it."""
    return is_join(stage) and isinstance(stage.join, KeyedInputs)


def joins_latest(stage: Stage) -> bool:
    """Whether each item of its first input meets the newest of the others."""
    return is_join(stage) and isinstance(stage.join, LatestInputs)


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
        case Program():
            return False


def is_isolated(stage: Stage) -> bool:
    """Whether its code runs in a process beside its worker's: its death must be an item's own.

    That is so where a time limit asks for it, or where ``on_error`` goes on, as far as another
    process could go on where one has died.
    """
    if not stage.edges or shape_of(stage) is Shape.STREAM:
        return False
    if isinstance(stage.work, Program):
        return False  # a program is a process of its own
    goes_on = stage.on_error.then is not OnError.STOP or stage.on_error.retries > 0
    own = isinstance(stage.work, Call) and not keeps_state(stage)
    timed = stage.timeout_s is not None and not _awaits(stage)
    return timed or (goes_on and own)


def _awaits(stage: Stage) -> bool:
    """Whether its code is ``async def``: a time limit cancels a task, and others go on."""
    return isinstance(stage.work, Call) and stage.work.facts.is_async


def has_one_beside(stage: Stage) -> bool:
    """Whether each of its workers has a process beside its own: one for its code, or a program."""
    return is_isolated(stage) or isinstance(stage.work, Program)


def always_alone(stage: Stage) -> bool:
    """Whether it has one replica whatever the file says.

    So have sources, file sinks, and programs for the whole stream: nobody knows which of its items
    a line of theirs belongs to, so lines of several could not be put in order.
    """
    match stage.work:
        case Use(operator=operator) if operator.single:
            return True
        case Program(mode=ProgramMode.STREAM):
            return True
        case _:
            return not stage.edges


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
    if is_join(stage):
        return Blocker.JOIN
    if is_merge(stage):
        return Blocker.MERGE
    if copies_items(stage):
        return Blocker.COPIES
    match stage.work:
        case Use(operator=operator) if operator.one_to_one and operator.shape is not Shape.STREAM:
            return None
        case _ if shape_of(stage) is Shape.STREAM:
            return Blocker.PROGRAM if isinstance(stage.work, Program) else Blocker.STREAM
        case Use(operator=operator):
            return Blocker.STATE if operator.keeps_state else Blocker.FLAT_MAP
        case Call(facts=facts) if facts.shape is Shape.GENERATOR or facts.yields:
            # One that gets batches yields one result for each item.
            return Blocker.FLAT_MAP if stage.batch is None else None
        case Call(facts=facts):
            return Blocker.STATE if facts.keeps_state else None
        case Program():
            return None


def ports_of(stage: Stage) -> tuple[str, ...]:
    """All its output ports: ``out``, its own, and those that its settings open.

    Of a stage that runs a file: those that the file names, and ``errors`` if it leaves some unread.
    """
    if stage.inner is not None:
        letters = (ERRORS,) if open_letters(stage.inner) else ()
        return (*(port.name for port in stage.inner.outputs), *letters)
    errors = (ERRORS,) if stage.on_error.then is OnError.DEAD_LETTER else ()
    own = stage.work.operator.ports if isinstance(stage.work, Use) else (OUT,)
    unmatched = (UNMATCHED,) if is_join(stage) or UNMATCHED in own else ()
    main = (port for port in own if port != UNMATCHED)
    return (*main, *stage.outputs, *errors, *unmatched)


def open_letters(pipeline: Pipeline) -> tuple[PortRef, ...]:
    """The ports of dead letters in a file that no stage of it reads: they come out of the file."""
    read = {edge.source for stage in pipeline.stages for edge in stage.edges}
    read |= {port.source for port in pipeline.outputs}
    ports = (
        PortRef(stage.name, port)
        for stage in pipeline.stages
        if stage.enabled
        for port in letter_ports(stage)
    )
    return tuple(port for port in ports if port not in read)


def letter_ports(stage: Stage) -> tuple[str, ...]:
    """The ports by which dead letters leave; a file may give them out under names of its own."""
    if stage.inner is None:
        return (ERRORS,) if stage.on_error.then is OnError.DEAD_LETTER else ()
    inside = {each.name: each for each in stage.inner.stages}
    named = (
        port.name
        for port in stage.inner.outputs
        if port.source.stage in inside
        and port.source.port in letter_ports(inside[port.source.stage])
    )
    return (*named, *((ERRORS,) if open_letters(stage.inner) else ()))


def answers(stage: Stage) -> bool | None:
    """Whether it gives results; ``None`` when that is not known."""
    match stage.work:
        case Call(facts=facts):
            return True if facts.yields else facts.answers
        case Use(operator=operator):
            return None if operator.shape is Shape.UNKNOWN else operator.role is not Role.SINK
        case Program():
            return None


def may_be_live(stage: Stage) -> bool:
    """Whether it is an operator that can write a file under its own name from the start."""
    return isinstance(stage.work, Use) and LIVE in {o.name for o in stage.work.operator.options}


def file_written(stage: Stage) -> str:
    """The file that an operator writes, as a plain path; empty if it writes none, or a device."""
    path = stage.parameters.get("path")
    if operator_role(stage) is not Role.SINK or not isinstance(path, str):
        return ""
    path = posixpath.normpath(path)
    return "" if path == "-" or path.startswith("/dev/") else path


def share_a_database(one: Stage, other: Stage) -> bool:
    """Whether two stages that write one file write tables of it, as only databases let them."""
    both = (one.parameters, other.parameters)
    return all(parameters.get(LIVE) is True and "table" in parameters for parameters in both)


def reads_stdin(stage: Stage) -> bool:
    """Whether it is an operator that reads standard input with the parameters it has."""
    if stage.edges or not isinstance(stage.work, Use):
        return False
    defaults = {option.name: option.default for option in stage.work.operator.options}
    if stage.work.operator.uses_stdin and "path" not in defaults:
        return True
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

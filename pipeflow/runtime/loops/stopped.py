"""What ends a stage before its work is done, and how that is told."""

from __future__ import annotations

from collections import Counter
from typing import Final

from pipeflow.errors import (
    ItemNotLoadable,
    MemoryLimitReached,
    PipeflowError,
    ProgramFailed,
    ProgramGivenUp,
)
from pipeflow.runtime.board import id_text
from pipeflow.runtime.failures import kind_of, own_traceback, users_traceback
from pipeflow.runtime.flow.refused import InputNotLoadable, NotOneToOne
from pipeflow.runtime.messages import Failure
from pipeflow.stages.work import DrainInterrupt, OutputClosed


class StageStopped(PipeflowError):
    """The stage failed and its policy ends the run.

    Attributes:
        failure: What went wrong.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Cancelled(BaseException):
    """Ends a stage where it is: nobody will feed it any more."""


#: What passes through the user's code without being a failure of it.
CONTROL: Final = (PipeflowError, OutputClosed, GeneratorExit, DrainInterrupt, Cancelled)


def failure_of(
    error: BaseException, names: tuple[str, ...], stage_of_pool: tuple[int, ...]
) -> Failure:
    """What ended a worker, of all that can end one besides the user's code."""
    if isinstance(error, StageStopped):
        return error.failure
    if isinstance(error, MemoryLimitReached):
        text = f"shared arrays would pass limits.memory ({_mib(error.limit)}): "
        text += _users_of_memory(error, names, stage_of_pool)
        return Failure(phase="run", kind="MemoryLimitReached", message=text)
    if isinstance(error, ProgramGivenUp):
        return Failure(phase="program", kind=ProgramFailed.__name__, message=str(error))
    if isinstance(error, InputNotLoadable | ItemNotLoadable):
        item, cause = (
            (error.item, error.cause) if isinstance(error, InputNotLoadable) else ((), error)
        )
        return Failure(
            phase="unpickling",
            kind=kind_of(cause),
            message=str(cause),
            traceback=own_traceback(cause),
            item=id_text(item, names),
        )
    if isinstance(error, NotOneToOne):
        place = id_text(error.item, names)
        return Failure(phase="join", kind=NotOneToOne.__name__, message=str(error), item=place)
    # Code of the user's runs beside its items too: the partition key of who reads its letters.
    told = "" if isinstance(error, PipeflowError) else users_traceback(error)
    return Failure(
        phase="run", kind=kind_of(error), message=str(error) or kind_of(error), traceback=told
    )


def _users_of_memory(
    error: MemoryLimitReached, names: tuple[str, ...], stage_of_pool: tuple[int, ...]
) -> str:
    """Who holds most, and whether one array is too large by itself."""
    held: Counter[int] = Counter()
    for worker, nbytes in error.holders:
        held[stage_of_pool[worker]] += nbytes
    users = [
        f"stage '{names[stage]}' holds {_mib(nbytes)}" for stage, nbytes in held.most_common(3)
    ]
    if error.wanted > error.limit:
        users.append(f"one array alone takes {_mib(error.wanted)}")
    return ", ".join(users) or f"the machine has not even {_mib(error.wanted)} for the first"


def _mib(nbytes: int) -> str:
    return f"{nbytes / 2**20:.0f} MiB"

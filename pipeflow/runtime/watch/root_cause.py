"""Which of several failures was the first cause, and how a death is told to people. Pure.

One failure pulls others along: a neighbour of a dead worker gets a broken pipe or an input without
an end. Those say that they are victims, and are never the cause while another failure is known.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from pipeflow.runtime.messages import Failure
from pipeflow.values import dataclass

#: Type of a failure that nobody reported: the process was gone.
DEATH = "WorkerDied"

#: Type of the failure that the manager of shared state was gone.
MANAGER_DEATH = "ManagerDied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One failure of a run, with the worker it belongs to.

    Attributes:
        worker: Number of the worker; -1 for the run as a whole.
        failure: What went wrong.
        order: The how-manieth that was seen; what came in one look counts as one moment.
    """

    worker: int
    failure: Failure
    order: int


def root_cause(causes: Sequence[Cause]) -> Cause | None:
    """The earliest failure that is no victim, else the earliest; ``None`` without a failure.

    Of those seen in one moment, one that says why comes before a death without a word (a worker
    that fails may take others down), and then the worker nearest to the sources.
    """
    return min(
        causes,
        key=lambda cause: (
            cause.failure.victim,
            cause.order,
            cause.failure.phase == "death",
            cause.worker,
        ),
        default=None,
    )


def signal_name(number: int) -> str:
    """A signal as people know it: ``SIGKILL``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def split_status(status: int) -> tuple[int | None, str | None]:
    """An exit status (negative: a signal) as exit code and signal name; one of them is ``None``."""
    return (None, signal_name(-status)) if status < 0 else (status, None)


def death(
    *,
    status: int,
    item: str,
    out_of_memory: bool | None,
    started: bool,
    loading: str = "",
    stack: str = "",
) -> Failure:
    """Say how a worker ended that did not say so itself.

    Args:
        status: Exit status; negative numbers are signals.
        item: Id of the item it had in hand, or empty.
        out_of_memory: The kernel killed for want of memory during the run; ``None``: it does not
            tell.
        started: The stage had been loaded.
        loading: What it was unpickling, in words, or empty.
        stack: Where it was when a signal ended it, as a traceback; or empty.
    """
    return Failure(
        phase="death",
        kind=DEATH,
        message=_sentence(status, item, loading, out_of_memory, started),
        traceback=stack,
        item=item,
    )


def manager_death(*, status: int, names: Sequence[str], out_of_memory: bool | None) -> Failure:
    """Say how the manager of shared dicts and lists ended.

    Args:
        status: Exit status; negative numbers are signals.
        names: Of what it kept.
        out_of_memory: As for ``death``.
    """
    exitcode, name = split_status(status)
    how = f"exit status {exitcode}" if name is None else name + _reason(-status, out_of_memory)
    kept = ", ".join(f"'{each}'" for each in names)
    text = f"the manager process, which keeps shared {kept}, was ended by {how}"
    return Failure(phase="run", kind=MANAGER_DEATH, message=text)


def _sentence(
    status: int, item: str, loading: str, out_of_memory: bool | None, started: bool
) -> str:
    exitcode, name = split_status(status)
    if name is not None:
        how = f"the worker was ended by {name}{_reason(-status, out_of_memory)}"
    elif exitcode == 0:
        how = "the worker ended without an end of input, with exit status 0"
    else:
        how = f"the worker ended without a word, with exit status {exitcode}"
    if loading:
        return f"{how}; it was unpickling {loading}"
    if item:
        return f"{how}; it had item {item} in hand"
    return how if started else f"{how}, while its stage was being loaded"


def _reason(number: int, out_of_memory: bool | None) -> str:
    """What such a signal means, as far as one can tell."""
    match number:
        case signal.SIGKILL if out_of_memory:
            return ": the machine, or its memory limit, ran out of memory"
        case signal.SIGKILL if out_of_memory is False:
            return ", which somebody sent: memory had not run out"
        case signal.SIGSEGV | signal.SIGBUS:
            return ": it touched memory that is not its own (a bug in compiled code?)"
        case signal.SIGABRT:
            return ": it called abort() (a check that failed in compiled code?)"
        case _:
            return ""

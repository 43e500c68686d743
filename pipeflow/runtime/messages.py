"""What travels besides the bytes of the items: within a worker, and from there to the supervisor.

Items reach a stage as ``Item``s, barriers and the end of input as messages of their own, so that
checkpoints can come without another loop. A report to the supervisor holds numbers and text only,
never an object of the user's.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any, Final

from pipeflow.values import dataclass, field

#: Where an item began and how it branched: number of the stage that numbered it, its ordinal there,
#: then one ordinal for each time it came out of a one-to-many.
ItemId = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One call's worth of items.

    Attributes:
        payload: What the user's function gets; for joined inputs a tuple, one for each port.
        id: Of the item (of a pair: of its first).
        lane: Lane of the unit it belongs to.
        unit: Number of that unit.
        edges: Numbers of the edges that it came over; their count is its count of items.
    """

    payload: Any
    id: ItemId
    lane: int
    unit: int
    edges: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnitDone:
    """All items of a unit have been handed out: what it gave is complete.

    Attributes:
        lane: Lane of the unit.
        unit: Its number; all units before it on this lane are done as well.
    """

    lane: int
    unit: int


@dataclass(frozen=True, slots=True)
class Barrier:
    """A marker among the items: all before it belongs to the checkpoint."""

    checkpoint: int


@dataclass(frozen=True, slots=True)
class EndOfInput:
    """Every input has ended.

    Attributes:
        units: For each input lane the number of units that came.
        ids: How many ids of the stage's own its join has given: what comes after counts on.
    """

    units: Mapping[int, int] = field(default_factory=dict)
    ids: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong in a worker, as text.

    Attributes:
        phase: ``import``, ``constructor``, ``item``, ``finish``, ``close``, ``pickling``,
            ``unpickling``, ``budget``, ``death`` or ``run``.
        kind: Type of the exception, with its module unless built in.
        message: The exception as text, one line or more.
        traceback: The user's own frames, as text; empty for mistakes found by us.
        item: Id of the item in hand (``"find:17"``), or empty.
        view: Short view of that item, or empty.
        attempt: Which try of that item it was, from 1.
        emitted: Results of that item that had left before.
        victim: It ended because a neighbour was gone: never the root cause.
    """

    phase: str
    kind: str
    message: str
    traceback: str = ""
    item: str = ""
    view: str = ""
    attempt: int = 1
    emitted: int = 0
    victim: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The stage is loaded; work begins."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker ends because of this; its process exits right after."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class ItemGivenUp:
    """An item failed and the stage's policy let the run go on."""

    failure: Failure
    dead_lettered: bool


#: Levels of log lines, the least first.
LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Logged:
    """A line of the stage's log."""

    level: str
    text: str

    def is_worth(self, least: str) -> bool:
        """Whether its level is ``least`` or above; a level that nobody knows is always told."""
        return self.level not in LEVELS or LEVELS.index(self.level) >= LEVELS.index(least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The worker has done all it had to, and its process exits with 0 right after.

    Attributes:
        metrics: Sums by name.
        cpu_s: Processor time of the process, its own children included.
        peak_rss_bytes: Greatest resident size.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RunnerStarted:
    """A process beside the worker's own runs the stage's code from now on."""

    pid: int


@dataclass(frozen=True, slots=True)
class RunnerReady:
    """A process that took the place of another has loaded the stage, and goes on."""


@dataclass(frozen=True, slots=True)
class RunnerDied:
    """That process is gone, and the run goes on all the same.

    Attributes:
        status: Exit status; negative numbers are signals.
        item: Id of the item that it had in hand, or empty.
    """

    pid: int
    status: int
    item: str


WorkerReport = (
    Ready | Failed | ItemGivenUp | Logged | Finished | RunnerStarted | RunnerReady | RunnerDied
)

#: Sent to a source whose grace is over when the run is drained: leave the blocking call.
DRAIN_SIGNAL: Final = signal.SIGUSR1

#: Exit status of a worker that failed and has said why in its report.
EXIT_FAILED: Final = 3
#: Exit status of a worker that ended because a neighbour was gone.
EXIT_VICTIM: Final = 4

"""What happens in a run, as it happens: one frozen value a kind, each a line of ``--events``."""

from __future__ import annotations

from pipeflow.telemetry.report import ErrorFacts, Report
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The run begins."""

    id: str
    pipeline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted:
    """A worker's process exists; ``pid`` is the process that runs the user's code."""

    stage: str
    replica: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady:
    """A worker has loaded its stage and begins."""

    stage: str
    replica: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDied:
    """A worker ended without saying so, or failed.

    Attributes:
        exitcode: Exit status, ``None`` when a signal ended it.
        signal: Name of the signal (``"SIGKILL"``), or ``None``.
        item: Id of the item in hand, or empty.
    """

    stage: str
    replica: int
    pid: int
    exitcode: int | None
    signal: str | None
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRestarted:
    """A new process has taken the place of a worker that died or ran out of time."""

    stage: str
    replica: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFailed:
    """An item failed; the stage's policy decides what follows."""

    stage: str
    replica: int
    item: str
    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDeadLettered:
    """An item was given up on and kept aside."""

    stage: str
    replica: int
    item: str
    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line that a stage printed or logged.

    Attributes:
        level: ``debug``, ``info``, ``warning``, ``error``; ``print`` for printed text.
    """

    stage: str
    replica: int
    level: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished:
    """All workers of a stage have ended."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGauge:
    """A stage, seen from outside while it runs; counts so far, seconds so far."""

    name: str
    replicas: int
    received: int
    emitted: int
    skipped: int
    dead_lettered: int
    busy_s: float
    wait_in_s: float
    wait_out_s: float
    running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeGauge:
    """An edge while it runs: items in flight, of how many, in all channels together.

    Attributes:
        dropped: Items that it has dropped so far, if it is one that drops.
    """

    source: str
    target: str
    in_flight: int
    capacity: int
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A look at the board, some times a second; for showing, not for ``--events``.

    Attributes:
        total: Items that the sources will give in all, when they know; else ``None``.
    """

    elapsed_s: float
    stages: tuple[StageGauge, ...]
    edges: tuple[EdgeGauge, ...]
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """The run was asked to end: sources stop, what is in flight is finished.

    Attributes:
        signal: Name of the signal that asked.
    """

    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:
    """The root cause of a failure, told once, as soon as it is known."""

    error: ErrorFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The run is over; nothing of it is left."""

    report: Report


Event = (
    RunStarted
    | WorkerStarted
    | WorkerReady
    | WorkerDied
    | WorkerRestarted
    | ItemFailed
    | ItemDeadLettered
    | LogLine
    | StageFinished
    | Progress
    | Draining
    | RunFailed
    | RunFinished
)

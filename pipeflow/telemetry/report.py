"""The report of a run, as frozen values in the form that ``--report`` writes.

Counts are items, never calls; times are seconds; sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from pipeflow.values import dataclass, field


class Status(Enum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """The run as a whole."""

    id: str
    pipeline: str
    file: str
    executor: str
    started: str  #: ISO 8601, UTC
    wall_s: float
    status: Status
    exit_code: int
    attempts: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """One worker: the process that ran the user's code."""

    replica: int
    pid: int
    cpu_s: float
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFacts:
    """One stage, all its workers together.

    For a stage with inputs ``received = processed + skipped + dead_lettered + failed`` holds, each
    counted on its own.

    Attributes:
        ended_early: It, or one of its workers, closed its inputs before their end.
        was_left: All its readers, or those of one of its workers, had gone before its own end.
    """

    name: str
    replicas: int
    workers: tuple[WorkerFacts, ...]
    received: int = 0
    processed: int = 0
    empty: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    failed: int = 0
    retried: int = 0
    emitted: Mapping[str, int] = field(default_factory=dict)
    busy_s: float = 0.0
    wait_in_s: float = 0.0
    wait_out_s: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    ended_early: bool = False
    was_left: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeFacts:
    """One edge, all its channels together.

    ``sent = delivered + dropped + unmatched + unread``; the writers count ``sent`` (with what they
    dropped), the readers ``delivered`` and ``unmatched``.

    Attributes:
        source: ``stage.port``; the key is ``from`` in JSON.
        target: Reading stage; the key is ``to`` in JSON.
        capacity: Items for each reading replica.
    """

    source: str
    target: str
    input: str
    transport: str
    capacity: int
    sent: int = 0
    delivered: int = 0
    dropped: int = 0
    unmatched: int = 0
    unread: int = 0
    bytes_copied: int = 0
    bytes_shared: int = 0
    slots: int = 0
    slot_waits: int = 0
    peak_in_flight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Whether every item is accounted for.

    Attributes:
        balanced: No finding.
        findings: Sentences, each naming the edge or stage and both numbers.
    """

    balanced: bool
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The stage that bounds the rate, and how one can tell."""

    stage: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFacts:
    """One error, as the report keeps it.

    Attributes:
        stage: Name of the stage, or empty.
        item: Id of the item in hand, or empty.
        type: Type of the exception; ``"WorkerDied"`` for a death.
        message: One line.
        traceback: The user's own traceback, or empty.
        at: The place in the file of what failed: of its stage, policy or `call`.
        view: Short view of the item, or empty; for the terminal.
        replica: Which of the stage's workers.
        phase: ``item``, ``import``, ``constructor``, ``finish``, ``close``, ``pickling``,
            ``unpickling``, ``join``, ``budget``, ``run`` or ``death``.
        attempt: Which try of the item it was, from 1.
        emitted: Results of the item that had left before.
    """

    stage: str
    item: str
    type: str
    message: str
    traceback: str
    at: str
    view: str = ""
    replica: int = 0
    phase: str = "item"
    attempt: int = 1
    emitted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did."""

    run: RunFacts
    stages: tuple[StageFacts, ...]
    edges: tuple[EdgeFacts, ...]
    ledger: Ledger
    bottleneck: Bottleneck | None
    errors: tuple[ErrorFacts, ...]

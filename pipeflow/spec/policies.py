"""The choices that a pipeline file offers, as values: errors, overflow, partitions, capacity."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from pipeflow.errors import Location
from pipeflow.values import dataclass, field

DEFAULT_CAPACITY_ITEMS: Final = 256
DEFAULT_CAPACITY_BYTES: Final = 64 * 2**20
DEFAULT_BACKOFF_S: Final = 0.2
#: Further items on its port for which an item of a join by key waits.
DEFAULT_WITHIN_ITEMS: Final = 1000
DEFAULT_CONCURRENCY: Final = 16


class OnError(Enum):
    """What follows when an item fails."""

    STOP = "stop"
    SKIP = "skip"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class Budget:
    """How many items a stage may give up before the run fails.

    Attributes:
        amount: So many items, or so many of each hundred.
        percent: Which of the two.
    """

    amount: float
    percent: bool = False

    def __post_init__(self) -> None:
        if self.amount < 0 or (self.percent and self.amount > 100):
            raise ValueError(f"a budget of {self.amount:g}{'%' if self.percent else ' items'}")

    def __str__(self) -> str:
        return f"{self.amount:.15g}%" if self.percent else f"{int(self.amount)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPolicy:
    """``on_error``, in its long form or its short one.

    Attributes:
        then: What follows when an item fails for the last time.
        retries: How often it is tried again before.
        backoff_s: Seconds before the second try; twice as long before each further one.
        budget: Of items given up, over all replicas; ``None``: no bound. Only with ``skip`` and
            ``dead_letter``.
    """

    then: OnError = OnError.STOP
    retries: int = 0
    backoff_s: float = DEFAULT_BACKOFF_S
    budget: Budget | None = None

    def __post_init__(self) -> None:
        if self.retries < 0 or self.backoff_s < 0:
            raise ValueError(f"{self.retries} retries from {self.backoff_s} s on")
        if self.budget is not None and self.then is OnError.STOP:
            raise ValueError("a budget needs `skip` or `dead_letter`")

    @property
    def is_short(self) -> bool:
        """Whether ``then`` says it all."""
        return not self.retries and self.budget is None


#: What holds where nothing is said.
STOP: Final = ErrorPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """``batch``, in its long form or its short one: the function gets many items at once.

    Attributes:
        size: So many; fewer at the end of the input.
        wait_s: Seconds after its first item when a batch goes, however few it has; ``None``: never.
        stack: The function gets one array, with the items along its first axis.
    """

    size: int
    wait_s: float | None = None
    stack: bool = False

    def __post_init__(self) -> None:
        if self.size < 1 or (self.wait_s is not None and self.wait_s < 0):
            raise ValueError(f"batches of {self.size} items, sent after {self.wait_s} s")


class TransportKind(Enum):
    """How the bytes of an edge cross."""

    AUTO = "auto"
    PIPE = "pipe"
    QUEUE = "queue"


class Overflow(Enum):
    """What a full edge does with the next item."""

    BLOCK = "block"
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"


class ArrayMode(Enum):
    """How the reader of an edge gets arrays."""

    SHARED = "shared"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Balance:
    """Items go to whichever replica has room."""


@dataclass(frozen=True, slots=True)
class ByKey:
    """Equal keys meet in one replica.

    Attributes:
        expression: Python expression over ``item``.
    """

    expression: str


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Every replica gets every item."""


Partition = Balance | ByKey | Broadcast


@dataclass(frozen=True, slots=True)
class ZipInputs:
    """Ports that come from one stage pair by item id, others by position."""


@dataclass(frozen=True, slots=True)
class LatestInputs:
    """Each item of the first port meets the newest of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedInputs:
    """Items with equal keys meet, in order of arrival.

    Attributes:
        expressions: Port to the Python expression over ``item`` that gives the key of its items.
        items: How many further items on its port an item waits for its partner; ``None``:
            ``seconds`` bounds that.
        seconds: How long it waits.
    """

    expressions: Mapping[str, str] = field(default_factory=dict)
    items: int | None = DEFAULT_WITHIN_ITEMS
    seconds: float | None = None


JoinPolicy = ZipInputs | LatestInputs | KeyedInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How much an edge holds for each reading replica before its writer waits.

    Attributes:
        items: Items between the writer's function and the reader's; ``None``: the default.
        bytes: Bytes of shared arrays among them; ``None``: the default.
    """

    items: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the processes of a stage may use.

    Attributes:
        cpus: Processors to be bound to; empty: all.
        threads: Threads of BLAS and OpenMP in each worker; ``None``: cores over workers.
        memory: Address space of each worker, in bytes, shared arrays not counted.
        gpus: Replica *i* sees one of these.
        spin: Whether a waiting worker may burn processor time for latency.
    """

    cpus: tuple[int, ...] = ()
    threads: int | None = None
    memory: int | None = None
    gpus: tuple[int, ...] = ()
    spin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the whole run.

    Attributes:
        memory: Bytes that shared arrays may take in all; ``None``: half of what is free.
        processes: Most worker processes; ``None``: what the machine allows.
        memory_at: Where the file says so; ``None`` if it does not.
        processes_at: Likewise.
    """

    memory: int | None = None
    processes: int | None = None
    memory_at: Location | None = None
    processes_at: Location | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Environment and resources of a stage's processes.

    Attributes:
        env: Variables set on top of the inherited ones; ``${replica}`` is still in them.
        resources: See ``Resources``.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)

"""What a keeper and its runner tell each other, as pickled tuples.

Made and read by processes of one run only.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from itertools import starmap
from typing import Final, NamedTuple

from pipeflow.runtime import board as cells
from pipeflow.runtime.framing import Unframing, frame
from pipeflow.runtime.messages import Failure, ItemId, WorkerReport
from pipeflow.transports.base import Packet
from pipeflow.transports.unloadable import NAMES_CLASS, Unopened, may_run_code

#: The counts of the loop that a record of results brings up to date. What was received is the
#: keeper's to count: an item is delivered once, however often it is tried.
COUNTS: Final = (
    *(cells.PROCESSED, cells.EMPTY, cells.SKIPPED, cells.DEAD_LETTERED),
    *(cells.FAILED, cells.RETRIED, cells.OVER),
)
#: Those of them that say that an item is done with.
DONE: Final = (0, 2, 3, 4)


class Place(NamedTuple):
    """Where an item lies that came in a frame which the keeper has not opened.

    Attributes:
        frame: Number of the frame.
        at: Place among its items.
    """

    frame: int
    at: int


class Pair(NamedTuple):
    """Where the items of a pair lie.

    Attributes:
        places: One for each input; ``None``: the call before had the same item there.
    """

    places: tuple[Place | None, ...]


class CallOrder(NamedTuple):
    """An item to work on; its payload travels beside it, or in a frame.

    Attributes:
        id: Of the item.
        lane, unit: Its place.
        items: How many the call takes.
        tried: How often it was tried before, and had to be given up because its runner died.
        alone: It goes to the user's function by itself.
        place: Where it lies in a frame; ``None``: beside.
    """

    id: ItemId
    lane: int
    unit: int
    items: int
    tried: int
    alone: bool
    place: Place | Pair | None = None


class RowOrder(NamedTuple):
    """Items to work on, each a unit of its own; their payloads travel beside it, or in a frame.

    Attributes:
        prefix: What their ids begin with.
        ordinals: Last parts of these.
        lane: Of all of them.
        unit: Of the first; they count on.
        place: Of the first, in a frame; ``None``: beside.
        units: Of all of them, if they do not count on.
    """

    prefix: ItemId
    ordinals: Sequence[int]
    lane: int
    unit: int
    place: Place | None = None
    units: tuple[int, ...] | None = None


class FailedOrder(NamedTuple):
    """An item that could not be loaded or joined; its payload travels beside it, or in a frame.

    Attributes:
        id: Of the item.
        lane, unit: Its place.
        failure: What was wrong with it.
        items: How many the call would have taken.
        place: Where it lies in a frame; ``None``: beside.
    """

    id: ItemId
    lane: int
    unit: int
    failure: Failure
    items: int = 1
    place: Place | Pair | None = None


class LoneOrder(NamedTuple):
    """An item without a partner; its payload travels beside it, or in a frame.

    Attributes:
        id: Of the item.
        lane, unit: Its place.
        place: Where it lies in a frame; ``None``: beside.
    """

    id: ItemId
    lane: int
    unit: int
    place: Place | None = None


class UnitOrder(NamedTuple):
    """A unit, or a run of empty ones, is complete."""

    lane: int
    unit: int
    span: int
    free: bool


class EndOrder(NamedTuple):
    """Every input has ended.

    Attributes:
        units: Pairs of a lane and the number of units that came on it.
        ids: How many ids of the stage's own its join has given.
    """

    units: tuple[tuple[int, int], ...]
    ids: int = 0


class KeyOrder(NamedTuple):
    """The keys of a frame's items are to be told, for a join by key.

    Attributes:
        frame: Its number.
        port: Which input it came on.
    """

    frame: int
    port: int


Order = CallOrder | RowOrder | FailedOrder | LoneOrder | UnitOrder | EndOrder | KeyOrder


class FrameOrder(NamedTuple):
    """A frame as it came, whose items orders refer to.

    Attributes:
        number: Its number.
        packet: Its bytes.
        left: How many of its items will be asked for.
        singly: It is to be loaded item by item.
        lost: Items not to be loaded.
        private: Its arrays are to be copies.
    """

    number: int
    packet: Packet
    left: int
    singly: bool
    lost: tuple[int, ...]
    private: bool


class Orders(NamedTuple):
    """Some orders, and the payloads of those that have one, in their order.

    Attributes:
        orders: The orders.
        packet: Payloads that travel beside them.
        private: Arrays of these are to be copies.
        frames: Those that orders from now on refer to.
    """

    orders: tuple[Order, ...]
    packet: Packet | None
    private: bool
    frames: tuple[FrameOrder, ...] = ()


class Emitted(NamedTuple):
    """A result; its payload travels beside it."""

    port: str
    id: ItemId
    lane: int
    unit: int


class Unread(NamedTuple):
    """A result for a port that nobody reads."""

    port: str


class Ended(NamedTuple):
    """A unit has been passed."""

    lane: int
    unit: int
    span: int
    free: bool


class LoneFailed(NamedTuple):
    """The next item without a partner could not be loaded: it fails, as if it had been called."""


Act = Emitted | Unread | Ended | LoneFailed


class Results(NamedTuple):
    """What the loop did since the last record.

    Attributes:
        counts: The cells of ``COUNTS``, as they are now.
        acts: In their order.
        packet: Payloads of what was emitted, in that order; ``None``: nothing was.
        metrics: All of the stage's metrics; ``None``: none changed.
    """

    counts: tuple[int, ...]
    acts: tuple[Act, ...]
    packet: Packet | None
    metrics: dict[str, float] | None


class Loaded(NamedTuple):
    """The stage's code is loaded.

    Attributes:
        keeps_state: No other runner could go on where this one stopped.
        ends: There is something of the user's to do at the end: ``finish``, or ``close``.
        path: Where its modules are found (``sys.path``), the classes of its items among them.
        awaits: It is ``async``, and sees to its time limit itself.
    """

    keeps_state: bool
    ends: bool
    path: tuple[str, ...]
    awaits: bool


class FrameKeys(NamedTuple):
    """The keys of a frame's items.

    Attributes:
        frame: Its number.
        keys: One for each item, or why it has none.
    """

    frame: int
    keys: tuple[object, ...]


class Told(NamedTuple):
    """Something for the supervisor."""

    report: WorkerReport


class Over(NamedTuple):
    """The loop has come to its end, and all that was the user's is closed.

    Attributes:
        early: It needed no more.
    """

    early: bool


class Broken(NamedTuple):
    """The loop was ended by a failure."""

    failure: Failure


class Quiet(NamedTuple):
    """So many calls of one item that gave nothing were done before what is told next.

    Such a call is but counted in the link: it needs no record of its own.

    Attributes:
        total: All of this runner.
    """

    total: int


Record = Results | Quiet | Loaded | FrameKeys | Told | Over | Broken

#: What a quick result begins with: the call in hand, of one item, is done, and gave one plain
#: result. Most of what is told is such, so it has a form of its own: this byte, and a pickle, which
#: begins with another byte.
_QUICK: Final = b"q"


def pack_orders(orders: Orders) -> bytes:
    """Orders as bytes of the pipe."""
    return frame(tuple(orders))


class OrderParser:
    """Turns the bytes of the pipe back into orders."""

    def __init__(self) -> None:
        self._unframing = Unframing()

    def feed(self, data: bytes) -> Iterator[Orders]:
        """Add what was read; what is whole now."""
        return starmap(Orders, self._unframing.feed(data))


def pack_record(record: Record) -> bytes:
    """A record as bytes."""
    return pickle.dumps(record, protocol=5)


def pack_quick(result: object) -> bytes:
    """A quick result as bytes."""
    return _QUICK + pickle.dumps(result, protocol=5)


def is_quick(data: bytes) -> bool:
    """Whether these bytes are a quick result, and no record."""
    return data[:1] == _QUICK


def unpack_quick(data: bytes, *, opens: bool = True) -> object:
    """The quick result again; one that cannot be loaded is its reader's to fail of.

    Args:
        data: Its bytes.
        opens: It is needed itself: else one that is more than plain data stays unopened.
    """
    if not opens and NAMES_CLASS in data and may_run_code(data, 1):
        return Unopened(data[1:])
    try:
        return pickle.loads(memoryview(data)[1:])
    except BaseException:  # whatever the user's own objects raise when rebuilt
        return Unopened(data[1:])


def is_plain(data: bytes) -> bool:
    """Whether a quick result holds no objects of any class, so that to load it runs no code."""
    return NAMES_CLASS not in data


def unpack_record(data: bytes) -> Record:
    """The record again."""
    record: Record = pickle.loads(data)
    return record


def bare(packet: Packet) -> Packet:
    """A packet as it travels: without what only its maker needs."""
    return Packet(
        packet.pickled, packet.buffers, packet.items, packet.shared_bytes, packet.copied_bytes
    )


def settled(counts: tuple[int, ...]) -> int:
    """Items that a loop is done with, whatever came of them."""
    return sum([counts[place] for place in DONE])

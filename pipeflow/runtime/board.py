"""The board: one block of shared counters, in which every cell has one writing process.

Workers write their rows, the supervisor reads all of them: for the live table, for the ledger (the
counts of a worker that was killed are still there), and to tell who waits on whom. The layout
follows from the plan alone, so nothing has to be told beside the block itself.

    word 0          the run is being drained (the supervisor writes)
    word 1          processes that have attached, unused otherwise
    then            a row for each worker          (WORKER_WORDS)
    then            a row for each worker and edge (EDGE_WORDS), writers and readers apart
    then            a row for each worker and port: items emitted
    then            the cells of each channel      (``ChannelCounters``)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from functools import partial
from typing import Any, Final, NamedTuple

from pipeflow.planner.plan import Plan
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.messages import ItemId
from pipeflow.transports.counters import ChannelCounters
from pipeflow.values import dataclass

Words = memoryview

#: Deepest item id whose every part is kept in the cells of the item in hand.
HAND_DEPTH_MAX = 12


class State(IntEnum):
    """What a worker is doing."""

    STARTING = 0  #: its process comes up, then its module is imported (from then on with a time)
    BUSY = 1
    WAITING_IN = 2
    WAITING_OUT = 3
    DONE = 4
    BACKING_OFF = 5  # before an item is tried again; its time is busy time: others wait for it
    BUILDING = 6  #: its module is imported; the object that does the work is being made
    AT_PROGRAM = 7  #: its external program has what it needs; its time is busy time
    IN_OR_PROGRAM = 8  #: waits for items, or for its external program to go on without them
    RESTING = 9  #: a source waits for the clock or the world; its time is waiting for input
    IN_OR_CLOCK = 10  #: waits for items, or for the time at which it goes on without them


# Cells of a worker's row. Plain numbers: they are used for every item.
STATE, WAITS_ON, TURNS = 0, 1, 2
RECEIVED, PROCESSED, EMPTY, SKIPPED, DEAD_LETTERED, FAILED, RETRIED = 3, 4, 5, 6, 7, 8, 9
BUSY_NS, WAIT_IN_NS, WAIT_OUT_NS, SINCE_NS = 10, 11, 12, 13
EARLY, TOTAL, IN_ROW = 14, 15, 16
ROW_BASE, ROW_FIRST, ROW_BEGUN = 17, 18, 19
OVER, HAND_DEPTH, HAND = 20, 21, 22
LOADING, LOAD_DEPTH = HAND + HAND_DEPTH_MAX, HAND + HAND_DEPTH_MAX + 1
LOAD = LOAD_DEPTH + 1
CUT = LOAD + HAND_DEPTH_MAX  # the supervisor writes: nobody needs it, so it ends it
LEFT = CUT + 1  # its readers had all gone before it came to its own end
WORKER_WORDS = LEFT + 1

#: In ``IN_ROW``: the number of the edge, plus 1, in these; below them how many items a call takes,
#: one of each of so many edges; and below these which cell of the row has the ordinal of the call
#: in hand, or 0.
IN_EDGE, IN_WIDTH = 65536, 256
#: Items that a call of a row may take.
WIDTH_MAX = 255

# Cells of an edge's row, as one worker sees it.
SENT, DROPPED, COPIED_BYTES, SHARED_BYTES, DELIVERED, UNMATCHED, DISCARDED = 0, 1, 2, 3, 4, 5, 6
#: Where the edge drops: the most items that a mailbox of the writer had on offer at a time.
OFFERED = 7
EDGE_WORDS = 8

_HEADER_WORDS = 2
DRAIN = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where each row begins.

    Attributes:
        edges: By worker and edge.
        ports: By worker and port.
        channels: By channel.
    """

    edges: Mapping[tuple[int, int], int]
    ports: Mapping[tuple[int, str], int]
    channels: Sequence[int]


class Board:
    """The rows of one run over a block of 64-bit words.

    Args:
        plan: The plan that decides the layout.
        channels: Its channels.
        words: The block, at least ``Board.size(plan, channels)`` long.
        layout: Its layout, if somebody has worked it out already.
    """

    def __init__(
        self,
        plan: Plan,
        channels: tuple[ChannelPlan, ...],
        words: Words,
        layout: Layout | None = None,
    ) -> None:
        self.words = words
        self._plan = plan
        self._layout = layout or lay_out(plan, channels)
        self._channels = channels

    @staticmethod
    def size(plan: Plan, channels: tuple[ChannelPlan, ...]) -> int:
        """Length of the block in words."""
        layout = lay_out(plan, channels)
        if channels:
            return layout.channels[-1] + ChannelCounters.words(channels[-1].spec)
        return (
            max(layout.ports.values(), default=_HEADER_WORDS + WORKER_WORDS * len(plan.workers)) + 1
        )

    def worker(self, index: int) -> Words:
        """The row of one worker."""
        start = _HEADER_WORDS + index * WORKER_WORDS
        return self.words[start : start + WORKER_WORDS]

    def mates(self, index: int) -> tuple[Words, ...]:
        """The rows of all workers of one worker's stage, its own among them."""
        stage = self._plan.workers[index].stage
        return tuple(self.worker(each.index) for each in self._plan.workers_of(stage))

    def edge(self, worker: int, edge: int) -> Words:
        """The row of an edge as one of its workers, writer or reader, sees it."""
        start = self._layout.edges[worker, edge]
        return self.words[start : start + EDGE_WORDS]

    def emitted(self, worker: int) -> Mapping[str, int]:
        """Output port to the number of its cell in ``words``."""
        ports = self._plan.stages[self._plan.workers[worker].stage].ports
        return {port: self._layout.ports[worker, port] for port in ports}

    def channel(self, number: int) -> ChannelCounters:
        """The counters of one channel."""
        spec = self._channels[number].spec
        start = self._layout.channels[number]
        return ChannelCounters(spec, self.words[start : start + ChannelCounters.words(spec)])

    def reads(self, worker: int) -> tuple[ChannelCounters, ...]:
        """The counters of the channels over which a worker hears of other processes."""
        fused = {edge.index for edge in self._plan.edges if edge.fused}
        return tuple(
            self.channel(each.spec.number)
            for each in self._channels
            if worker in each.readers and each.edge not in fused
        )

    def writes(self, worker: int) -> tuple[tuple[ChannelCounters, int], ...]:
        """Those of the channels that it writes, each with its number among the writers."""
        return tuple(
            (self.channel(each.spec.number), each.writers.index(worker))
            for each in self._channels
            if worker in each.writers
        )

    @property
    def draining(self) -> bool:
        """Whether the run was asked to end."""
        return bool(self.words[DRAIN])

    def stopping(self) -> Words:
        """One cell, ``draining``, for those who look with every item."""
        return self.words[DRAIN : DRAIN + 1]

    def drain(self) -> None:
        """Ask the sources to end."""
        self.words[DRAIN] = 1


class Marks(NamedTuple):
    """What is noted of each item of a row of calls before it is called.

    Attributes:
        row: The worker's row.
        last: The cell that takes its ordinal.
        begun: The cell that takes how many were begun, where ordinals do not count on.
        start: Place of the first item of the row.
        ordinals: Last parts of the ids, of which that of the first stands at ``start``.
    """

    row: Words
    last: int
    begun: int
    start: int
    ordinals: Sequence[int]


#: One is made for each frame, and this is the shortest way.
_make_marks: Final[Callable[[tuple[Any, ...]], Marks]] = partial(tuple.__new__, Marks)


def begin_row(
    row: Words,
    edge: int,
    prefix: ItemId,
    ordinals: Sequence[int],
    start: int = 0,
    *,
    width: int = 1,
) -> Marks:
    """Note that a row of calls begins.

    Within the row one store is made for each item: what was begun is counted from it. At the end
    the caller adds what it has done to the cells, and calls ``end_row``.

    Args:
        row: The worker's row.
        edge: Number of the edge that the items came over; of pairs: any of theirs.
        prefix: What their ids begin with; shorter than ``HAND_DEPTH_MAX``.
        ordinals: Last parts of their ids, a range or a list.
        start: Place of the first of the row.
        width: How many items each call takes, one of each of so many edges.
    """
    depth, first = len(prefix), ordinals[start]
    if depth == 1:  # most are: what a stage has made
        row[HAND] = prefix[0]
    else:
        for place, part in enumerate(prefix):
            row[HAND + place] = part
    last = HAND + depth
    row[last], row[HAND_DEPTH], row[ROW_BASE] = first, depth + 1, row[RECEIVED]
    if type(ordinals) is range:
        row[ROW_FIRST] = first + 1
    else:
        row[ROW_FIRST], row[ROW_BEGUN] = 0, 1
    row[IN_ROW] = IN_EDGE * (edge + 1) + IN_WIDTH * width + last
    return _make_marks((row, last, ROW_BEGUN, start, ordinals))


def end_row(row: Words) -> None:
    """The row of calls is over, and all it did is in the cells."""
    row[IN_ROW] = 0


def note_edge(row: Words, edge: int) -> None:
    """An item of this edge comes into hand: if we are killed, so the counts are to be read."""
    row[IN_ROW] = IN_EDGE * (edge + 1)


def have_ended(rows: Iterable[Words]) -> bool:
    """Whether all of these workers have ended as they should: done, or needed by nobody.

    ``EARLY`` does not tell: one that fails closes its inputs too, and more of it was to come.
    """
    return all(row[CUT] or row[STATE] == State.DONE for row in rows)


def put_hand(row: Words, item: ItemId) -> None:
    """Note the item in hand, so that it is known even if the process is killed."""
    depth = len(item)
    if depth == 2:  # most are: an ordinal of the stage where it began
        row[HAND], row[HAND + 1], row[HAND_DEPTH] = item[0], item[1], 2
        return
    depth = min(depth, HAND_DEPTH_MAX)
    for place in range(depth):
        row[HAND + place] = item[place]
    row[HAND_DEPTH] = depth


def put_loading(row: Words, first: ItemId, count: int) -> None:
    """Note that so many items are unpickled, which may run the user's code; ``LOADING`` ends it."""
    depth = min(len(first), HAND_DEPTH_MAX)
    for place in range(depth):
        row[LOAD + place] = first[place]
    row[LOAD_DEPTH] = depth
    row[LOADING] = count


def loading(row: Words) -> tuple[ItemId, int]:
    """The first of the items that are being unpickled, and how many they are; 0: none."""
    return tuple(row[LOAD : LOAD + row[LOAD_DEPTH]]), row[LOADING]


def received(row: Words) -> int:
    """Items that a worker has received, those of a row of calls that it is in the middle of too.

    It may go on meanwhile: what belongs to two rows of calls is no count of anything.
    """
    mark, base = row[IN_ROW], row[ROW_BASE]
    while mark % IN_EDGE:
        count = base + _begun(row, mark) * _width(mark)
        before, (mark, base) = (mark, base), (row[IN_ROW], row[ROW_BASE])
        if before == (mark, base):  # each row has another base
            return count
    return row[RECEIVED]


def begun(row: Words) -> int:
    """Calls of the row that we are in the middle of, the one in hand included."""
    return _begun(row, row[IN_ROW])


def _begun(row: Words, mark: int) -> int:
    first = row[ROW_FIRST]
    return row[mark % IN_WIDTH] - first + 2 if first else row[ROW_BEGUN]


def _width(mark: int) -> int:
    """How many items each call of the row takes."""
    return mark % IN_EDGE // IN_WIDTH


def processed(row: Words) -> int:
    """Items that a worker has done with; in the middle of a row, all but the last begun."""
    if not row[IN_ROW]:
        return row[PROCESSED]
    others = row[SKIPPED] + row[DEAD_LETTERED] + row[FAILED]
    return max(row[PROCESSED], received(row) - others - max(1, _width(row[IN_ROW])))


def delivered_in_row(row: Words, edge: int, counted: int, *, behind: int = 0) -> int:
    """Items of an edge that a worker in the middle of a row has not counted there yet.

    Args:
        row: The worker's row.
        edge: Number of the edge.
        counted: What it has counted on all edges that it reads.
        behind: How many of these it counts after this one.
    """
    mark = row[IN_ROW]
    missing = received(row) - counted
    if _width(mark) > 1:
        calls = _begun(row, mark)
        return min(calls, max(0, missing - calls * behind))
    return max(0, missing) if mark // IN_EDGE == edge + 1 else 0


def hand(row: Words) -> ItemId:
    """The item in hand; empty when there is none."""
    return tuple(row[HAND : HAND + row[HAND_DEPTH]])


def id_text(item: ItemId, stage_names: tuple[str, ...]) -> str:
    """An item's id as people see it: ``find:17.2``; empty for no item."""
    if not item:
        return ""
    return f"{stage_names[item[0]]}:" + ".".join(str(part) for part in item[1:])


def loading_text(row: Words, stage_names: tuple[str, ...]) -> str:
    """What is being unpickled, as people see it; empty for nothing."""
    first, count = loading(row)
    if not count:
        return ""
    item = f"item {id_text(first, stage_names)}"
    return item if count == 1 else f"{count} items, from {item} on"


def lay_out(plan: Plan, channels: tuple[ChannelPlan, ...]) -> Layout:
    """Give each row its place."""
    at = _HEADER_WORDS + WORKER_WORDS * len(plan.workers)
    edge_rows: dict[tuple[int, int], int] = {}
    ports: dict[tuple[int, str], int] = {}
    for worker in plan.workers:
        stage = plan.stages[worker.stage]
        read = {edge for edges in stage.edges_out.values() for edge in edges}
        for edge in sorted({*stage.edges_in, *read}):
            edge_rows[worker.index, edge] = at
            at += EDGE_WORDS
        for port in stage.ports:
            ports[worker.index, port] = at
            at += 1
    base: list[int] = []
    for channel in channels:
        base.append(at)
        at += ChannelCounters.words(channel.spec)
    return Layout(edges=edge_rows, ports=ports, channels=base)

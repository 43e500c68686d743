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

from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import partial

from pipeflow.planner.plan import Plan
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.messages import ItemId
from pipeflow.transports.counters import ChannelCounters

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
    BUILDING = 5  #: its module is imported; the object that does the work is being made


# Cells of a worker's row. Plain numbers: they are used for every item.
STATE, WAITS_ON, TURNS = 0, 1, 2
RECEIVED, PROCESSED, EMPTY, SKIPPED, DEAD_LETTERED, FAILED, RETRIED = 3, 4, 5, 6, 7, 8, 9
BUSY_NS, WAIT_IN_NS, WAIT_OUT_NS, SINCE_NS = 10, 11, 12, 13
EARLY, TOTAL, IN_ROW, HAND_DEPTH, HAND = 14, 15, 16, 17, 18
WORKER_WORDS = HAND + HAND_DEPTH_MAX

# Cells of an edge's row, as one worker sees it.
SENT, DROPPED, COPIED_BYTES, SHARED_BYTES, DELIVERED, UNMATCHED, DISCARDED = 0, 1, 2, 3, 4, 5, 6
EDGE_WORDS = 8

_HEADER_WORDS = 2
DRAIN = 0


class Board:
    """The rows of one run over a block of 64-bit words.

    Args:
        plan: The plan that decides the layout.
        channels: Its channels.
        words: The block, at least ``Board.size(plan, channels)`` long.
    """

    def __init__(self, plan: Plan, channels: tuple[ChannelPlan, ...], words: Words) -> None:
        self.words = words
        self._plan = plan
        self._edge_rows, self._port_cells, self._channel_base = _layout(plan, channels)
        self._channels = channels

    @staticmethod
    def size(plan: Plan, channels: tuple[ChannelPlan, ...]) -> int:
        """Length of the block in words."""
        _, ports, base = _layout(plan, channels)
        if channels:
            return base[-1] + ChannelCounters.words(channels[-1].spec)
        return max(ports.values(), default=_HEADER_WORDS + WORKER_WORDS * len(plan.workers)) + 1

    def worker(self, index: int) -> Words:
        """The row of one worker."""
        start = _HEADER_WORDS + index * WORKER_WORDS
        return self.words[start : start + WORKER_WORDS]

    def edge(self, worker: int, edge: int) -> Words:
        """The row of an edge as one of its workers, writer or reader, sees it."""
        start = self._edge_rows[worker, edge]
        return self.words[start : start + EDGE_WORDS]

    def emitted(self, worker: int) -> Mapping[str, int]:
        """Output port to the number of its cell in ``words``."""
        ports = self._plan.stages[self._plan.workers[worker].stage].ports
        return {port: self._port_cells[worker, port] for port in ports}

    def channel(self, number: int) -> ChannelCounters:
        """The counters of one channel."""
        spec = self._channels[number].spec
        start = self._channel_base[number]
        return ChannelCounters(spec, self.words[start : start + ChannelCounters.words(spec)])

    @property
    def draining(self) -> bool:
        """Whether the run was asked to end."""
        return bool(self.words[DRAIN])

    def stopping(self) -> Callable[[], int]:
        """``draining``, for those who ask with every item."""
        return partial(self.words.__getitem__, DRAIN)

    def drain(self) -> None:
        """Ask the sources to end."""
        self.words[DRAIN] = 1


def put_prefix(row: Words, prefix: ItemId) -> int:
    """Note what the ids of a row of calls begin with; the cell that takes each one's last part.

    The prefix is shorter than ``HAND_DEPTH_MAX``.
    """
    depth = len(prefix)
    for place, part in enumerate(prefix):
        row[HAND + place] = part
    row[HAND_DEPTH] = depth + 1
    return HAND + depth


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


def processed(row: Words) -> int:
    """Items that a worker has done with, those of a row of calls that it is in the middle of too.

    In such a row it counts what it begins with each item, what it has done at the end: all but the
    last begun are done.
    """
    if not row[IN_ROW]:
        return row[PROCESSED]
    others = row[SKIPPED] + row[DEAD_LETTERED] + row[FAILED]
    return max(row[PROCESSED], row[RECEIVED] - others - 1)


def delivered_in_row(row: Words, edge: int, counted: int) -> int:
    """Items of an edge that a worker in the middle of a row of calls has not counted there yet.

    Args:
        row: The worker's row.
        edge: Number of the edge.
        counted: What it has counted on all edges that it reads.
    """
    return max(0, row[RECEIVED] - counted) if row[IN_ROW] == edge + 1 else 0


def hand(row: Words) -> ItemId:
    """The item in hand; empty when there is none."""
    return tuple(row[HAND : HAND + row[HAND_DEPTH]])


def id_text(item: ItemId, stage_names: tuple[str, ...]) -> str:
    """An item's id as people see it: ``find:17.2``; empty for no item."""
    if not item:
        return ""
    return f"{stage_names[item[0]]}:" + ".".join(str(part) for part in item[1:])


def _layout(
    plan: Plan, channels: tuple[ChannelPlan, ...]
) -> tuple[dict[tuple[int, int], int], dict[tuple[int, str], int], list[int]]:
    """Where each row begins: by (worker, edge), by (worker, port), by channel."""
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
    return edge_rows, ports, base

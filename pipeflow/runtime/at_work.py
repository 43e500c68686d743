"""Whether somebody else is at work, who may let go of shared memory by himself.

On the board a worker waits until it runs again: one whose items have come, or whose edge has got
room, is about to be at work, however long a busy machine lets it wait for a processor.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from pipeflow.planner.plan import Plan
from pipeflow.runtime.board import STATE, Board, State
from pipeflow.transports import credit
from pipeflow.transports.counters import ChannelCounters

_WAITS_IN: Final = frozenset({State.WAITING_IN, State.IN_OR_CLOCK})


def others_at_work(
    plan: Plan, board: Board, worker: int, is_pinched: Callable[[int], bool]
) -> Callable[[], bool]:
    """Make what a pool asks that finds the limit of memory reached; see ``transports/hope``.

    Args:
        plan: What runs.
        board: Where each worker says what it does.
        worker: Who asks.
        is_pinched: Whether the process of a pool waits for memory itself.

    Returns:
        Whether another worker does more than wait, for items, for room or for memory.
    """

    @cache  # most workers never ask, and it grows with their number
    def others() -> tuple[tuple[Callable[[], bool], set[int]], ...]:
        return tuple(
            (is_at_work(board, each.index), {each.index, plan.code_pool(each.index)})
            for each in plan.workers
            if each.index != worker
        )

    def ask() -> bool:
        return any(at_work() and not any(map(is_pinched, pools)) for at_work, pools in others())

    return ask


def is_at_work(board: Board, worker: int) -> Callable[[], bool]:
    """Make what tells whether a worker lets go of something before another has done something."""
    row, reads, writes = board.worker(worker), board.reads(worker), board.writes(worker)

    def ask() -> bool:
        state = row[STATE]
        if state in _WAITS_IN:
            return any(counters.frames_in_flight() for counters in reads)
        if state == State.WAITING_OUT:
            return any(_has_got_room(*one) for one in writes)
        return state != State.DONE

    return ask


def _has_got_room(counters: ChannelCounters, writer: int) -> bool:
    """Whether there is room now that a writer waits for."""
    spec = counters.spec
    room = credit.room(
        in_flight=counters.in_flight(writer),
        capacity=spec.capacity,
        bytes_in_flight=counters.bytes_in_flight(writer),
        capacity_bytes=spec.capacity_bytes,
    )
    return room > 0 and counters.waiting(writer)

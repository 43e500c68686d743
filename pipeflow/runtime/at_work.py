"""Whether somebody else is at work, who may let go of shared memory by himself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeflow.planner.plan import Plan
from pipeflow.runtime.board import STATE, Board, State

#: In these a worker lets go of nothing before another has done something, or not soon.
_IDLE: Final = frozenset({State.WAITING_IN, State.IN_OR_CLOCK, State.WAITING_OUT, State.DONE})


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
    others = tuple(
        (board.worker(each.index), {each.index, plan.code_pool(each.index)})
        for each in plan.workers
        if each.index != worker
    )

    def ask() -> bool:
        return any(
            row[STATE] not in _IDLE and not any(map(is_pinched, pools)) for row, pools in others
        )

    return ask

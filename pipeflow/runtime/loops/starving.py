"""Starving: whether nothing will come to a stage before it has given out what it gathers.

A batch waits for more items. Where others wait for its first one, a replica that keeps order or the
other side of a zip, they may be in the way of these very items: their edges are full, so a stage
above waits for room, and this one waits for that. Then the batch goes as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeflow.planner.plan import Join, Numbering, Plan
from pipeflow.runtime.board import STATE, Board, State


def starved(plan: Plan, worker: int, board: Board) -> Callable[[], bool] | None:
    """Whether a stage above a worker waits for room; ``None``: nobody waits for its batches."""
    stage = plan.stages[plan.workers[worker].stage]
    if stage.batch is None or not _is_waited_for(plan, stage.index):
        return None
    rows = [
        board.worker(each.index)
        for above in sorted(_all_above(plan, stage.index))
        for each in plan.workers_of(above)
    ]

    def is_starved() -> bool:
        return any(row[STATE] == State.WAITING_OUT for row in rows)

    return is_starved


def _is_waited_for(plan: Plan, stage: int) -> bool:
    """Whether others may be held up until a stage gives something out."""
    if plan.stages[stage].numbering is Numbering.KEEP:
        return True
    zips = {Join.ZIP_BY_ID, Join.ZIP_BY_POSITION}
    return any(plan.stages[below].join in zips for below in _all_below(plan, stage))


def _all_above(plan: Plan, stage: int) -> set[int]:
    found: set[int] = set()
    waiting = [stage]
    while waiting:
        number = waiting.pop()
        writers = {plan.edges[edge].source for edge in plan.stages[number].edges_in}
        waiting += writers - found
        found |= writers
    return found


def _all_below(plan: Plan, stage: int) -> set[int]:
    found: set[int] = set()
    waiting = [stage]
    while waiting:
        number = waiting.pop()
        edges = [edge for some in plan.stages[number].edges_out.values() for edge in some]
        readers = {plan.edges[edge].target for edge in edges}
        waiting += readers - found
        found |= readers
    return found

"""What a look at the board, or a worker's report, tells a listener. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from pipeflow.planner.plan import Plan
from pipeflow.runtime.account import edge_gauges, stage_gauges, total_items
from pipeflow.runtime.board import Board
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.messages import Failed, Failure, ItemGivenUp, Logged, WorkerReport
from pipeflow.telemetry.events import Event, ItemDeadLettered, ItemFailed, LogLine, Progress

#: Phases in which what failed is one item.
_OF_ITEMS: Final = frozenset({"item", "pickling"})


def events_of(report: WorkerReport, stage: str, replica: int) -> Iterator[Event]:
    """The events that a worker's report amounts to, of those that concern single items."""
    match report:
        case ItemGivenUp(failure, dead_lettered):
            kinds = (ItemFailed, ItemDeadLettered) if dead_lettered else (ItemFailed,)
            for kind in kinds:
                yield _of_item(kind, failure, stage, replica)
        case Failed(failure) if failure.phase in _OF_ITEMS and failure.item:
            yield _of_item(ItemFailed, failure, stage, replica)
        case Logged(level, text):
            yield LogLine(stage=stage, replica=replica, level=level, text=text)
        case _:
            return


def _of_item(
    kind: type[ItemFailed | ItemDeadLettered], failure: Failure, stage: str, replica: int
) -> ItemFailed | ItemDeadLettered:
    return kind(
        stage=stage,
        replica=replica,
        item=failure.item,
        type=failure.kind,
        message=failure.message,
    )


def progress(
    plan: Plan,
    channels: tuple[ChannelPlan, ...],
    board: Board,
    *,
    elapsed_s: float,
    running: Collection[int],
    now_ns: int,
) -> Progress:
    """How the run stands, by its counters.

    Args:
        plan: Of the run.
        channels: Its channels.
        board: Its board.
        elapsed_s: Since its start.
        running: Numbers of the workers that have not ended.
        now_ns: The monotonic clock in nanoseconds, for what is still going on.
    """
    return Progress(
        elapsed_s=elapsed_s,
        stages=stage_gauges(plan, board, running, now_ns),
        edges=edge_gauges(plan, channels, board),
        total=total_items(plan, board),
    )

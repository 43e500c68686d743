"""What a look at the board, or a worker's report, tells a listener. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pipeflow.planner.plan import Plan
from pipeflow.runtime.account import edge_gauges, stage_gauges, total_items
from pipeflow.runtime.board import Board
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.messages import ItemGivenUp, Logged, WorkerReport
from pipeflow.telemetry.events import Event, ItemDeadLettered, ItemFailed, LogLine, Progress


def events_of(report: WorkerReport, stage: str, replica: int) -> Iterator[Event]:
    """The events that a worker's report amounts to, of those that concern single items."""
    match report:
        case ItemGivenUp(failure, dead_lettered):
            kinds = (ItemFailed, ItemDeadLettered) if dead_lettered else (ItemFailed,)
            for kind in kinds:
                yield kind(
                    stage=stage,
                    replica=replica,
                    item=failure.item,
                    type=failure.kind,
                    message=failure.message,
                )
        case Logged(level, text):
            yield LogLine(stage=stage, replica=replica, level=level, text=text)
        case _:
            return


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

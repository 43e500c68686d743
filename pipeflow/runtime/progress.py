"""What a look at the board, or a worker's report, tells a listener. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pipeflow.planner.plan import EdgePlan, Plan, StagePlan
from pipeflow.runtime.board import (
    BUSY_NS,
    DEAD_LETTERED,
    RECEIVED,
    SINCE_NS,
    SKIPPED,
    STATE,
    TOTAL,
    WAIT_IN_NS,
    WAIT_OUT_NS,
    Board,
    State,
)
from pipeflow.runtime.messages import ItemGivenUp, Logged, WorkerReport
from pipeflow.runtime.wiring import ChannelPlan
from pipeflow.telemetry.events import (
    EdgeGauge,
    Event,
    ItemDeadLettered,
    ItemFailed,
    LogLine,
    Progress,
    StageGauge,
)


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
    plan: Plan, channels: tuple[ChannelPlan, ...], board: Board, elapsed_s: float, now_ns: int = 0
) -> Progress:
    """How the run stands, by its counters.

    Args:
        plan: Of the run.
        channels: Its channels.
        board: Its board.
        elapsed_s: Since its start.
        now_ns: Of the monotonic clock, to count the state that a worker is in; 0: leave that out.
    """
    return Progress(
        elapsed_s=elapsed_s,
        stages=tuple(_stage(plan, stage, board, now_ns) for stage in plan.stages),
        edges=tuple(_edge(plan, edge, channels, board) for edge in plan.edges),
        total=_total(plan, board),
    )


def _stage(plan: Plan, stage: StagePlan, board: Board, now_ns: int) -> StageGauge:
    workers = plan.workers_of(stage.index)
    rows = [board.worker(worker.index) for worker in workers]
    spent = {cell: sum(row[cell] for row in rows) for cell in (BUSY_NS, WAIT_IN_NS, WAIT_OUT_NS)}
    states = {State.BUSY: BUSY_NS, State.WAITING_IN: WAIT_IN_NS, State.WAITING_OUT: WAIT_OUT_NS}
    for row in rows:
        cell = states.get(State(row[STATE]))
        if now_ns and cell is not None:
            spent[cell] += max(0, now_ns - row[SINCE_NS])
    return StageGauge(
        name=stage.name,
        replicas=stage.replicas,
        received=sum(row[RECEIVED] for row in rows),
        emitted=sum(
            board.words[cell] for worker in workers for cell in board.emitted(worker.index).values()
        ),
        skipped=sum(row[SKIPPED] for row in rows),
        dead_lettered=sum(row[DEAD_LETTERED] for row in rows),
        busy_s=spent[BUSY_NS] / 1e9,
        wait_in_s=spent[WAIT_IN_NS] / 1e9,
        wait_out_s=spent[WAIT_OUT_NS] / 1e9,
        running=any(row[STATE] != State.DONE for row in rows),
    )


def _edge(plan: Plan, edge: EdgePlan, channels: tuple[ChannelPlan, ...], board: Board) -> EdgeGauge:
    source, target = plan.stages[edge.source], plan.stages[edge.target]
    mine = [channel for channel in channels if channel.edge == edge.index]
    return EdgeGauge(
        source=f"{source.name}.{edge.port}",
        target=target.name,
        in_flight=sum(board.channel(channel.spec.number).in_flight() for channel in mine),
        capacity=edge.capacity_items * target.replicas,
    )


def _total(plan: Plan, board: Board) -> int | None:
    """Items that all sources together will give, when every one of them knows."""
    sources = [worker for worker in plan.workers if not plan.stages[worker.stage].edges_in]
    totals = [board.worker(worker.index)[TOTAL] for worker in sources]
    return sum(totals) - len(totals) if totals and all(totals) else None

"""From the board to the account of a run: what each stage and each edge did. Pure.

Writers and readers counted on their own, and so do the two sides of a stage; nothing here makes the
numbers agree. Only where a reader ended early or the run did not end by itself is what never
reached a function taken as unread, and what a worker had in hand when it was ended as failed.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.planner.plan import EdgePlan, Plan, StagePlan
from pipeflow.runtime.board import (
    BUSY_NS,
    COPIED_BYTES,
    DEAD_LETTERED,
    DELIVERED,
    DROPPED,
    EARLY,
    EMPTY,
    FAILED,
    PROCESSED,
    RECEIVED,
    RETRIED,
    SENT,
    SHARED_BYTES,
    SKIPPED,
    UNMATCHED,
    WAIT_IN_NS,
    WAIT_OUT_NS,
    Board,
)
from pipeflow.runtime.wiring import ChannelPlan
from pipeflow.telemetry.report import EdgeFacts, StageFacts, WorkerFacts


def stage_facts(
    plan: Plan,
    board: Board,
    workers: Mapping[int, WorkerFacts],
    metrics: Mapping[int, Mapping[str, float]],
    *,
    whole: bool = True,
) -> tuple[StageFacts, ...]:
    """Every stage, all its replicas together.

    Args:
        plan: Of the run.
        board: Of the run.
        workers: Number of a worker to what is known of its process.
        metrics: Number of a worker to its sums.
        whole: The run ended by itself, so nothing was in hand.
    """
    return tuple(_stage(plan, stage, board, workers, metrics, whole) for stage in plan.stages)


def edge_facts(
    plan: Plan,
    channels: tuple[ChannelPlan, ...],
    board: Board,
    *,
    whole: bool,
    slots: Mapping[int, int],
) -> tuple[EdgeFacts, ...]:
    """Every edge, all its channels together.

    Args:
        plan: Of the run.
        channels: Its channels.
        board: Of the run.
        whole: The run ended by itself: what is missing was lost.
        slots: Number of a worker to the slots that its pool made.
    """
    return tuple(_edge(plan, edge, channels, board, whole, slots) for edge in plan.edges)


def _stage(
    plan: Plan,
    stage: StagePlan,
    board: Board,
    workers: Mapping[int, WorkerFacts],
    metrics: Mapping[int, Mapping[str, float]],
    whole: bool,
) -> StageFacts:
    own = plan.workers_of(stage.index)
    rows = [board.worker(worker.index) for worker in own]

    def total(cell: int) -> int:
        return sum(row[cell] for row in rows)

    ended_early = any(row[EARLY] for row in rows)
    answered = total(PROCESSED) + total(SKIPPED) + total(DEAD_LETTERED) + total(FAILED)
    in_hand = total(RECEIVED) - answered if ended_early or not whole else 0
    sums: dict[str, float] = {}
    for worker in own:
        for name, value in metrics.get(worker.index, {}).items():
            sums[name] = sums.get(name, 0) + value
    return StageFacts(
        name=stage.name,
        replicas=stage.replicas,
        workers=tuple(workers[worker.index] for worker in own if worker.index in workers),
        received=total(RECEIVED),
        processed=total(PROCESSED),
        empty=total(EMPTY),
        skipped=total(SKIPPED),
        dead_lettered=total(DEAD_LETTERED),
        failed=total(FAILED) + max(0, in_hand),
        retried=total(RETRIED),
        emitted=_emitted(plan, stage, board),
        busy_s=total(BUSY_NS) / 1e9,
        wait_in_s=total(WAIT_IN_NS) / 1e9,
        wait_out_s=total(WAIT_OUT_NS) / 1e9,
        metrics=sums,
        ended_early=ended_early,
    )


def _emitted(plan: Plan, stage: StagePlan, board: Board) -> dict[str, int]:
    cells = [board.emitted(worker.index) for worker in plan.workers_of(stage.index)]
    return {port: sum(board.words[own[port]] for own in cells) for port in stage.ports}


def _edge(
    plan: Plan,
    edge: EdgePlan,
    channels: tuple[ChannelPlan, ...],
    board: Board,
    whole: bool,
    slots: Mapping[int, int],
) -> EdgeFacts:
    source, target = plan.stages[edge.source], plan.stages[edge.target]
    writers = [worker.index for worker in plan.workers_of(edge.source)]
    readers = [worker.index for worker in plan.workers_of(edge.target)]
    written = [board.edge(worker, edge.index) for worker in writers]
    read = [board.edge(worker, edge.index) for worker in readers]
    sent, dropped = sum(row[SENT] for row in written), sum(row[DROPPED] for row in written)
    delivered = sum(row[DELIVERED] for row in read)
    unmatched = sum(row[UNMATCHED] for row in read)
    ended_early = any(board.worker(worker)[EARLY] for worker in readers)
    missing = sent - delivered - dropped - unmatched
    mine = [channel for channel in channels if channel.edge == edge.index]
    peaks = [board.channel(channel.spec.number).peak_in_flight() for channel in mine]
    return EdgeFacts(
        source=f"{source.name}.{edge.port}",
        target=target.name,
        input=edge.input,
        transport=edge.transport.value,
        capacity=edge.capacity_items,
        sent=sent,
        delivered=delivered,
        dropped=dropped,
        unmatched=unmatched,
        unread=max(0, missing) if ended_early or not whole else 0,
        bytes_copied=sum(row[COPIED_BYTES] for row in written),
        bytes_shared=sum(row[SHARED_BYTES] for row in written),
        slots=sum(slots.get(worker, 0) for worker in writers),
        slot_waits=0,
        peak_in_flight=max(peaks, default=0),
    )

"""The account of a run: from the board's cells to what the report and the live table say. Pure.

Writers count ``sent`` and ``dropped``, readers ``delivered`` and ``unmatched``; nothing is derived
from the other side, so that what a transport loses shows as an edge that does not balance. Only
where a reader ended early, or its worker was torn away, is what never reached a function called
*unread*, and what was in hand *failed*.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import ceil

from pipeflow.planner.plan import EdgePlan, Plan, Route, StagePlan, WorkerPlan
from pipeflow.runtime import board as cells
from pipeflow.runtime.board import Board
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.spec.policies import Overflow
from pipeflow.telemetry.events import EdgeGauge, StageGauge
from pipeflow.telemetry.report import EdgeFacts, StageFacts, WorkerFacts
from pipeflow.transports.counters import WriterCell
from pipeflow.values import dataclass, field

_NS = 1e9

#: States whose time is counted together.
_AT_WORK = frozenset({cells.State.BUSY, cells.State.BACKING_OFF, cells.State.AT_PROGRAM})
_WAITS_IN = frozenset(
    {
        cells.State.WAITING_IN,
        cells.State.IN_OR_PROGRAM,
        cells.State.IN_OR_CLOCK,
        cells.State.RESTING,
    }
)
_WAITS_OUT = frozenset({cells.State.WAITING_OUT})

#: Ports that a stage has without having named them: shown when they are read or used.
_IMPLIED_PORTS = frozenset({"errors", "unmatched"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """What is known of one worker beside the board, once it has ended.

    Attributes:
        pid: Of the process that ran the user's code.
        cpu_s: Its processor time.
        peak_rss_bytes: Its greatest resident size.
        slots: Slots that its pool made.
        slot_waits: How often its pool waited a moment for a slot to come back.
        metrics: Sums by name.
        torn: It did not come to its own end: it failed, was killed, or was stopped.
        ended_ns: When its process was gone, by the monotonic clock; 0: not known.
        cut: It was ended because nobody needed its results any more.
    """

    pid: int
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    slots: int = 0
    slot_waits: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    torn: bool = False
    cut: bool = False
    ended_ns: int = 0


def stage_facts(
    plan: Plan, board: Board, records: Mapping[int, WorkerRecord]
) -> tuple[StageFacts, ...]:
    """Every stage of the plan, its workers' counts together.

    Args:
        plan: What ran.
        board: Its counts.
        records: By number of the worker; those that never started have none.
    """
    return tuple(_stage(stage, plan, board, records) for stage in plan.stages)


def edge_facts(
    plan: Plan,
    channels: tuple[ChannelPlan, ...],
    board: Board,
    records: Mapping[int, WorkerRecord],
) -> tuple[EdgeFacts, ...]:
    """Every edge of the plan, all its channels together."""
    return tuple(_edge(edge, plan, channels, board, records) for edge in plan.edges)


def stage_gauges(
    plan: Plan, board: Board, running: Collection[int], now_ns: int
) -> tuple[StageGauge, ...]:
    """Every stage as it is now.

    Args:
        plan: What runs.
        board: Its counts so far.
        running: Numbers of the workers whose process lives.
        now_ns: The monotonic clock in nanoseconds, for what is still going on.
    """
    return tuple(_stage_gauge(stage, plan, board, running, now_ns) for stage in plan.stages)


def edge_gauges(
    plan: Plan, channels: tuple[ChannelPlan, ...], board: Board
) -> tuple[EdgeGauge, ...]:
    """Every edge as it is now."""
    return tuple(_edge_gauge(edge, plan, channels, board) for edge in plan.edges)


def total_items(plan: Plan, board: Board) -> int | None:
    """Items that the sources will give in all; ``None`` when one of them does not know."""
    totals = [
        board.worker(worker.index)[cells.TOTAL]
        for worker in plan.workers
        if not plan.stages[worker.stage].edges_in
    ]
    if not totals or not all(totals):
        return None
    return sum(total - 1 for total in totals)  # 0 is "not known", so each is one more than it says


def ended_early(board: Board, worker: int, records: Mapping[int, WorkerRecord]) -> bool:
    """Whether a worker closed its inputs before their end, or was ended for want of readers."""
    record = records.get(worker)
    return bool(board.worker(worker)[cells.EARLY]) or (record is not None and record.cut)


def _was_left(board: Board, worker: int) -> bool:
    """Whether all readers of a worker had gone before it came to its own end."""
    row = board.worker(worker)
    return bool(row[cells.LEFT] or row[cells.CUT])


def _stage(
    stage: StagePlan, plan: Plan, board: Board, records: Mapping[int, WorkerRecord]
) -> StageFacts:
    workers = plan.workers_of(stage.index)
    rows = [board.worker(worker.index) for worker in workers]
    lost = sum(
        _in_hand(board.worker(worker.index))
        for worker in workers
        if worker.index in records and records[worker.index].torn
    )
    # Who was torn away could not add up any more what it was at.
    untold = [
        (board.worker(worker.index), records[worker.index].ended_ns)
        for worker in workers
        if worker.index in records and records[worker.index].torn
    ]
    return StageFacts(
        name=stage.name,
        replicas=stage.replicas,
        workers=tuple(
            _worker(worker, records[worker.index]) for worker in workers if worker.index in records
        ),
        received=sum(cells.received(row) for row in rows),
        processed=sum(cells.processed(row) for row in rows),
        empty=_sum(rows, cells.EMPTY),
        skipped=_sum(rows, cells.SKIPPED),
        dead_lettered=_sum(rows, cells.DEAD_LETTERED),
        failed=_sum(rows, cells.FAILED) + lost,
        retried=_sum(rows, cells.RETRIED),
        emitted=_emitted(stage, workers, board),
        busy_s=_seconds(rows, cells.BUSY_NS, _AT_WORK, untold),
        wait_in_s=_seconds(rows, cells.WAIT_IN_NS, _WAITS_IN, untold),
        wait_out_s=_seconds(rows, cells.WAIT_OUT_NS, _WAITS_OUT, untold),
        metrics=_metrics(workers, records),
        ended_early=any(ended_early(board, worker.index, records) for worker in workers),
        was_left=any(_was_left(board, worker.index) for worker in workers),
    )


def _worker(worker: WorkerPlan, record: WorkerRecord) -> WorkerFacts:
    return WorkerFacts(
        replica=worker.replica,
        pid=record.pid,
        cpu_s=record.cpu_s,
        peak_rss_bytes=record.peak_rss_bytes,
    )


def _in_hand(row: cells.Words) -> int:
    """Items that a torn worker had received and not yet answered for."""
    answered = (cells.SKIPPED, cells.DEAD_LETTERED, cells.FAILED)
    done = cells.processed(row) + sum(row[cell] for cell in answered)
    return max(0, cells.received(row) - done)


def _emitted(stage: StagePlan, workers: tuple[WorkerPlan, ...], board: Board) -> dict[str, int]:
    emitted = dict.fromkeys(stage.ports, 0)
    for worker in workers:
        for port, cell in board.emitted(worker.index).items():
            emitted[port] += board.words[cell]
    return {
        port: count
        for port, count in emitted.items()
        if count or port in stage.edges_out or port not in _IMPLIED_PORTS
    }


def _metrics(
    workers: tuple[WorkerPlan, ...], records: Mapping[int, WorkerRecord]
) -> dict[str, float]:
    sums: dict[str, float] = {}
    for worker in workers:
        if worker.index in records:
            for name, value in records[worker.index].metrics.items():
                sums[name] = sums.get(name, 0.0) + value
    return sums


def _edge(
    edge: EdgePlan,
    plan: Plan,
    channels: tuple[ChannelPlan, ...],
    board: Board,
    records: Mapping[int, WorkerRecord],
) -> EdgeFacts:
    writers = [worker.index for worker in plan.workers_of(edge.source)]
    readers = [worker.index for worker in plan.workers_of(edge.target)]
    written = [board.edge(worker, edge.index) for worker in writers]
    read = [board.edge(worker, edge.index) for worker in readers]
    sent, dropped = _sum(written, cells.SENT), _sum(written, cells.DROPPED)
    unmatched = _sum(read, cells.UNMATCHED)
    delivered = _delivered(edge, plan, board)
    excused = any(
        ended_early(board, worker, records) or _torn(worker, records) for worker in readers
    ) or any(_torn(worker, records) for worker in writers)
    shared = _sum(written, cells.SHARED_BYTES)
    # A pool is a worker's, not an edge's: of its edges those have made it grow that share arrays.
    pools = [records[worker] for worker in writers if worker in records] if shared else []
    unread = sent - delivered - dropped - unmatched if excused else _sum(read, cells.DISCARDED)
    return EdgeFacts(
        source=f"{plan.stages[edge.source].name}.{edge.port}",
        target=plan.stages[edge.target].name,
        input=edge.input,
        transport=edge.way,
        capacity=edge.capacity_items,
        sent=sent,
        delivered=delivered,
        dropped=dropped,
        unmatched=unmatched,
        unread=max(0, unread),  # more delivered than sent must show as an edge out of balance
        bytes_copied=_sum(written, cells.COPIED_BYTES),
        bytes_shared=shared,
        slots=sum(each.slots for each in pools),
        slot_waits=sum(each.slot_waits for each in pools),
        peak_in_flight=_peak(edge, plan, channels, board),
    )


def _delivered(edge: EdgePlan, plan: Plan, board: Board) -> int:
    readers = [worker.index for worker in plan.workers_of(edge.target)]
    told = _sum([board.edge(worker, edge.index) for worker in readers], cells.DELIVERED)
    return told + sum(_delivered_in_row(edge, plan, board, worker) for worker in readers)


def _delivered_in_row(edge: EdgePlan, plan: Plan, board: Board, worker: int) -> int:
    edges = plan.stages[edge.target].edges_in
    counted = sum(board.edge(worker, each)[cells.DELIVERED] for each in edges)
    behind = len(edges) - 1 - edges.index(edge.index)
    return cells.delivered_in_row(board.worker(worker), edge.index, counted, behind=behind)


def _torn(worker: int, records: Mapping[int, WorkerRecord]) -> bool:
    return worker not in records or records[worker].torn


def _peak(edge: EdgePlan, plan: Plan, channels: tuple[ChannelPlan, ...], board: Board) -> int:
    """The most items in flight to one reading replica, as far as each writer's own peak tells.

    What a writer had beyond its credit were ends of units, for which nobody waits: no items. Of an
    edge that drops, most lie at the writer's side.
    """
    if edge.overflow is not Overflow.BLOCK:
        writers = plan.workers_of(edge.source)
        return _sum([board.edge(each.index, edge.index) for each in writers], cells.OFFERED)
    to_readers: dict[tuple[int, ...], int] = {}
    for channel in channels:
        if channel.edge == edge.index:
            counters = board.channel(channel.spec.number)
            peaks = [counters.of_writer(w, WriterCell.PEAK) for w in range(channel.spec.writers)]
            peak = sum(min(each, channel.spec.capacity) for each in peaks)
            to_readers[channel.readers] = to_readers.get(channel.readers, 0) + peak
    return max((ceil(peak / len(readers)) for readers, peak in to_readers.items()), default=0)


def _stage_gauge(
    stage: StagePlan, plan: Plan, board: Board, running: Collection[int], now_ns: int
) -> StageGauge:
    workers = plan.workers_of(stage.index)
    rows = [board.worker(worker.index) for worker in workers]
    alive = [(board.worker(worker.index), now_ns) for worker in workers if worker.index in running]
    return StageGauge(
        name=stage.name,
        replicas=stage.replicas,
        received=sum(cells.received(row) for row in rows),
        emitted=sum(_emitted(stage, workers, board).values()),
        skipped=_sum(rows, cells.SKIPPED),
        dead_lettered=_sum(rows, cells.DEAD_LETTERED),
        busy_s=_seconds(rows, cells.BUSY_NS, _AT_WORK, alive),
        wait_in_s=_seconds(rows, cells.WAIT_IN_NS, _WAITS_IN, alive),
        wait_out_s=_seconds(rows, cells.WAIT_OUT_NS, _WAITS_OUT, alive),
        running=bool(alive),
    )


def _edge_gauge(
    edge: EdgePlan, plan: Plan, channels: tuple[ChannelPlan, ...], board: Board
) -> EdgeGauge:
    mine = [channel.spec for channel in channels if channel.edge == edge.index]
    dropped = 0
    if edge.overflow is Overflow.BLOCK and edge.route is not Route.BALANCE:
        in_flight = sum(board.channel(spec.number).in_flight() for spec in mine)
    else:  # what is on offer, or kept back, at the writer's side is on no channel yet
        delivered = _delivered(edge, plan, board)  # first, for the others are counted before
        written = [board.edge(each.index, edge.index) for each in plan.workers_of(edge.source)]
        dropped = _sum(written, cells.DROPPED)
        in_flight = max(0, _sum(written, cells.SENT) - dropped - delivered)
    return EdgeGauge(
        source=f"{plan.stages[edge.source].name}.{edge.port}",
        target=plan.stages[edge.target].name,
        in_flight=in_flight,
        capacity=sum(spec.capacity * spec.writers for spec in mine),
        dropped=dropped,
    )


def _seconds(
    rows: list[cells.Words],
    cell: int,
    states: frozenset[cells.State],
    untold: Sequence[tuple[cells.Words, int]],
) -> float:
    """Time in some states: what was added up, and until a given moment what still went on."""
    going_on = sum(
        max(0, until_ns - row[cells.SINCE_NS])
        for row, until_ns in untold
        if row[cells.STATE] in states and row[cells.SINCE_NS]
    )
    return (_sum(rows, cell) + going_on) / _NS


def _sum(rows: list[cells.Words], cell: int) -> int:
    return sum(row[cell] for row in rows)

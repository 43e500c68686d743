"""From how a run ended to its report. Pure: both executors end here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from pipeflow.errors import Location
from pipeflow.planner.plan import Plan, StagePlan
from pipeflow.runtime.account import WorkerRecord, edge_facts, stage_facts
from pipeflow.runtime.board import Board
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.watch.root_cause import Cause, root_cause
from pipeflow.spec.ports import ERRORS, OUT
from pipeflow.telemetry.bottleneck import find_bottleneck
from pipeflow.telemetry.events import LogLine
from pipeflow.telemetry.ledger import check_ledger
from pipeflow.telemetry.masking import masker
from pipeflow.telemetry.report import ErrorFacts, Report, RunFacts, Status
from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended.

    Attributes:
        id: Of the run.
        executor: ``inline`` or ``local``.
        started: When it began.
        wall_s: How long it took.
        seed: Of ``pipeflow.rng``.
        signal: Number of the signal that drained or stopped it, or 0.
        causes: All failures, victims too.
        records: Number of a worker to what is known of it beside the board.
    """

    id: str
    executor: str
    started: datetime
    wall_s: float
    seed: int
    signal: int = 0
    causes: Sequence[Cause] = ()
    records: Mapping[int, WorkerRecord] = field(default_factory=dict)


def make_report(plan: Plan, channels: tuple[ChannelPlan, ...], board: Board, end: RunEnd) -> Report:
    """The account of a run: counts from the board, the ledger's judgement, the root cause."""
    whole = not end.causes and not end.signal
    stages = stage_facts(plan, board, end.records)
    edges = edge_facts(plan, channels, board, end.records)
    ledger = check_ledger(stages, edges, clean=whole)
    failed = bool(end.causes) or not ledger.balanced
    exit_code = 1 if failed else 128 + end.signal if end.signal else 0
    status = Status.FAILED if failed else Status.INTERRUPTED if end.signal else Status.SUCCEEDED
    cause = root_cause(end.causes)
    return Report(
        run=RunFacts(
            id=end.id,
            pipeline=plan.pipeline,
            file=plan.file,
            executor=end.executor,
            started=end.started.isoformat(timespec="milliseconds"),
            wall_s=round(end.wall_s, 6),
            status=status,
            exit_code=exit_code,
            attempts=1,
            seed=end.seed,
        ),
        stages=stages,
        edges=edges,
        ledger=ledger,
        bottleneck=find_bottleneck(stages, edges),
        errors=() if cause is None else (error_facts(plan, cause),),
    )


def error_facts(plan: Plan, cause: Cause) -> ErrorFacts:
    """One failure as the report keeps it; a failure of the run as a whole has no stage."""
    failure, masked = cause.failure, masker(plan.secrets)
    if cause.worker < 0:
        stage, at, replica = "", plan.file, 0
    else:
        worker = plan.workers[cause.worker]
        planned = plan.stages[worker.stage]
        stage, at = planned.name, str(_place(planned, failure.phase))
        replica = worker.replica
    return ErrorFacts(
        stage=stage,
        item=failure.item,
        type=failure.kind,
        message=masked(failure.message),
        traceback=masked(failure.traceback),
        at=at,
        view=masked(failure.view),
        replica=replica,
        phase=failure.phase,
        attempt=failure.attempt,
        emitted=failure.emitted,
    )


def _place(stage: StagePlan, phase: str) -> Location:
    """Where the file says what failed: most often the stage as a whole."""
    match phase:
        case "budget":
            return stage.on_error_at or stage.at
        case "import":
            return stage.work_at or stage.at
        case _:
            return stage.at


def silence_warnings(plan: Plan, report: Report) -> tuple[LogLine, ...]:
    """Items that went no further, though nobody may have meant that: what is worth a look."""
    text = "every item was answered by None, so nothing was passed on: a forgotten return?"
    silent = tuple(
        LogLine(stage=stage.name, replica=0, level="warning", text=text)
        for stage, facts in zip(plan.stages, report.stages, strict=True)
        if stage.call and OUT in stage.edges_out and facts.empty and facts.empty == facts.processed
        if not any(facts.emitted.values())
    )
    return (*silent, *_unread_warnings(plan, report))


def _unread_warnings(plan: Plan, report: Report) -> Iterator[LogLine]:
    """Items that an operator sent to a port beside ``out`` that nobody reads."""
    for stage, facts in zip(plan.stages, report.stages, strict=True):
        for port, count in facts.emitted.items() if stage.operator else ():
            if count and port not in stage.edges_out and port not in {OUT, ERRORS}:
                what = "1 item" if count == 1 else f"{count:,} items"
                text = f"{what} left by '{stage.name}.{port}', which nobody reads"
                yield LogLine(stage=stage.name, replica=0, level="warning", text=text)

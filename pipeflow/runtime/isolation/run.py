"""The worker of an isolated stage: it keeps the edges, and has a runner run the code."""

from __future__ import annotations

import faulthandler
import signal
from types import FrameType

from pipeflow.planner.plan import Route, StagePlan
from pipeflow.runtime.board import Board
from pipeflow.runtime.brief import WorkerBrief
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.isolation.around import WorkerAround
from pipeflow.runtime.isolation.child import Child
from pipeflow.runtime.isolation.keeper import KeeperLoop
from pipeflow.runtime.isolation.keys import KeyBook
from pipeflow.runtime.isolation.sealed import sealing
from pipeflow.runtime.last_words import WHERE_SIGNAL
from pipeflow.runtime.launch import ties
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.runtime.messages import EXIT_FAILED, Failed, Ready
from pipeflow.runtime.process import Process
from pipeflow.runtime.worker import Reports, finished, run_loop
from pipeflow.spec.policies import ArrayMode
from pipeflow.stages.context import StageContext
from pipeflow.stages.importing import put_first
from pipeflow.stages.work import Work
from pipeflow.telemetry.masking import masker


def run_keeper(
    brief: WorkerBrief,
    channels: tuple[ChannelPlan, ...],
    board: Board,
    context: StageContext,
    reports: Reports,
) -> int:
    """Be the worker of an isolated stage.

    Args:
        brief: What it is told.
        channels: All channels of its plan.
        board: The board.
        context: Where the stage's metrics are to be in the end.
        reports: To the supervisor.

    Returns:
        The exit status of the process.
    """
    plan = brief.plan
    # It imports nothing of the user's by itself, but the classes of items that pass through it.
    put_first(plan.folder)
    # Its items stay as they came: to open one is the runner's to do, who may die of it.
    keys = KeyBook()
    process = Process(brief, board, channels, sealing=sealing, unopened=keys)
    # What a runner has started comes to us when it dies, and ends with it.
    ties.adopt_orphans()
    loop = _loop_of(process, brief, board, context, reports, keys)
    process.beside_at_work = loop.runner_at_work
    # Its runner gets the same signal: what that has begun is noted first.
    signal.signal(signal.SIGTERM, lambda *_: loop.end_now())
    try:
        loop.start()
    except StageStopped as error:
        reports.tell(Failed(error.failure))
        loop.abandon()
        process.close()
        return EXIT_FAILED
    reports.tell(Ready())
    status = run_loop(loop, process, reports, plan, lingers=False)
    if status == 0:
        reports.tell(finished(context, with_children=True))
    return status


def _loop_of(
    process: Process,
    brief: WorkerBrief,
    board: Board,
    context: StageContext,
    reports: Reports,
    keys: KeyBook,
) -> KeeperLoop:
    """The keeper's loop over the worker's ends."""
    plan = brief.plan
    stage = plan.stages[plan.workers[brief.worker].stage]
    around = WorkerAround(process, brief, board, _pass_on_the_question)
    return KeeperLoop(
        work=Work(),
        stage=stage,
        replica=context.replica,
        names=plan.stage_names,
        inbox=process.inbox,
        outbox=process.outbox,
        row=board.worker(brief.worker),
        tell=reports.tell,
        waits=process.waits,
        stopping=board.stopping(),
        mates=board.mates(brief.worker),
        mask=masker(plan.secrets),
        around=around,
        private=_is_private(stage, brief),
        metrics=context.metrics,
        keys=keys,
        opens=_looks_at_results(stage, brief),
    )


def _is_private(stage: StagePlan, brief: WorkerBrief) -> bool:
    """Whether arrays arrive as copies. Of several inputs one that asks for it speaks for all."""
    edges = [brief.plan.edges[number] for number in stage.edges_in]
    return any(edge.arrays is ArrayMode.COPY for edge in edges)


def _looks_at_results(stage: StagePlan, brief: WorkerBrief) -> bool:
    """Whether some result goes to the replica that its key belongs to."""
    numbers = [number for edges in stage.edges_out.values() for number in edges]
    return any(brief.plan.edges[number].route is Route.KEY for number in numbers)


def _pass_on_the_question(child: Child) -> None:
    """Who asks this process where it is means the user's code."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        child.ask_where()

    faulthandler.unregister(WHERE_SIGNAL)
    signal.signal(WHERE_SIGNAL, ask)

"""One worker process: take the brief, load the stage, run its loop, say how it ended.

    supervisor ──brief──> worker ──reports──> supervisor
                          │  ▲
       neighbours <═══════╛  ╘═══════ neighbours        items, by channels
                  ──bell──>                             "there is room again"

What it owns and how it waits is in ``process``.
"""

from __future__ import annotations

import mmap
import os
import resource
import signal
import sys
import threading
from types import FrameType

from pipeflow.errors import ChannelError
from pipeflow.planner.plan import Plan
from pipeflow.runtime.board import Board, Layout, Words
from pipeflow.runtime.brief import WorkerBrief
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.framing import frame
from pipeflow.runtime.loading import load_stage, make_context, shares_of, start_failure
from pipeflow.runtime.loops.base import WAITS, StageLoop
from pipeflow.runtime.loops.pick import make_loop
from pipeflow.runtime.loops.source import SourceLoop
from pipeflow.runtime.loops.starving import starved
from pipeflow.runtime.loops.stopped import StageStopped, failure_of
from pipeflow.runtime.messages import (
    DRAIN_SIGNAL,
    EXIT_FAILED,
    EXIT_VICTIM,
    Failed,
    Failure,
    Finished,
    Logged,
    Ready,
    WorkerReport,
)
from pipeflow.runtime.process import Process
from pipeflow.stages.context import StageContext, enter
from pipeflow.stages.work import DrainInterrupt, Work


def run_worker(brief: WorkerBrief, channels: tuple[ChannelPlan, ...], layout: Layout) -> int:
    """Be one worker, from its brief to its end.

    Args:
        brief: What it is told.
        channels: All channels of its plan.
        layout: Of the board.

    Returns:
        The exit status of the process.
    """
    reports = Reports(brief.report_fd, brief.log_level)
    plan = brief.plan
    stage = plan.stages[plan.workers[brief.worker].stage]
    board = Board(plan, channels, map_board(brief.board_fd), layout)
    context = make_context(brief, stage, board, reports.log)
    enter(context)
    if stage.isolated:
        from pipeflow.runtime.isolation.run import run_keeper  # others need not load it

        return run_keeper(brief, channels, board, context, reports)
    shares = shares_of((brief,))
    try:
        work = load_stage(stage, plan, context, board.worker(brief.worker), shares)
    except BaseException as error:  # the user's module or constructor: a boundary
        reports.tell(Failed(start_failure(error, board.worker(brief.worker))))
        return EXIT_FAILED
    process = Process(brief, board, channels)
    loop = loop_of(work, process, context, reports, brief, board)
    loop.looks = process.waits.looks()
    _leave_blocking_calls_on_signal(loop)
    reports.tell(Ready())
    status = run_loop(loop, process, reports, plan)
    if status == 0:
        reports.tell(finished(context))
    return status


def run_loop(
    loop: StageLoop, process: Process, reports: Reports, plan: Plan, *, lingers: bool = True
) -> int:
    """Run the loop to its end, and tell a failure if there is one; the exit status."""
    process.begin(lingers=lingers)
    steps = loop.steps()
    try:
        for wants in steps:
            if wants is WAITS:
                try:
                    process.waits.for_input(loop.patience_s())
                except ReadersGone:
                    loop.leave()
                    break
        steps.close()
        loop.wind_up()
        process.end()
    except BaseException as error:  # whatever ends a worker is reported: a boundary
        failure = told_failure(error, plan)
        if isinstance(error, StageStopped):
            process.end_letters()
        reports.tell(Failed(failure))
        loop.abandon()
        return exit_status(error)
    finally:
        process.close()
    return 0


class Reports:
    """The pipe to the supervisor.

    Args:
        fd: Its writing end.
        level: Least level of log lines that are sent.
    """

    def __init__(self, fd: int, level: str) -> None:
        self._fd = fd
        self._least = level
        self._lock = threading.Lock()

    def tell(self, report: WorkerReport) -> None:
        """Send one report, whole; a supervisor that is gone hears nothing."""
        data = memoryview(frame(report))
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except BrokenPipeError:
                return  # the life-line ends us in a moment

    def log(self, level: str, text: str) -> None:
        """Send a line of the log, if its level is asked for."""
        line = Logged(level, text)
        if line.is_worth(self._least):
            self.tell(line)


def loop_of(
    work: Work,
    process: Process,
    context: StageContext,
    reports: Reports,
    brief: WorkerBrief,
    board: Board,
) -> StageLoop:
    """The loop of one worker over its ends; its code may ask for what only the loop knows."""
    plan = brief.plan
    loop = make_loop(
        work,
        stage=plan.stages[plan.workers[brief.worker].stage],
        replica=context.replica,
        names=plan.stage_names,
        inbox=process.inbox,
        outbox=process.outbox,
        row=board.worker(brief.worker),
        tell=reports.tell,
        waits=process.waits,
        stopping=board.stopping(),
        mates=board.mates(brief.worker),
        starved=starved(plan, brief.worker, board),
        mask=context.mask,
    )
    context.item_id = loop.item_in_hand
    context.empty = process.empty
    context.rest = process.waits.rest
    process.waits.outside = loop.outside
    return loop


def map_board(fd: int) -> Words:
    """The board's memory."""
    size = os.fstat(fd).st_size
    return memoryview(mmap.mmap(fd, size)).cast("Q")


def told_failure(error: BaseException, plan: Plan) -> Failure:
    """How a worker tells of what has ended it.

    One whose neighbours ended says that it is a victim: the root cause lies elsewhere.
    """
    failure = failure_of(error, plan.stage_names, plan.stage_of_pool)
    return as_victim(failure) if isinstance(error, ChannelError) else failure


def exit_status(error: BaseException) -> int:
    """The status with which a process exits that this has ended."""
    return EXIT_VICTIM if isinstance(error, ChannelError) else EXIT_FAILED


def as_victim(failure: Failure) -> Failure:
    """The same, of a worker that fell over because another did."""
    return Failure(
        phase=failure.phase,
        kind=failure.kind,
        message=failure.message,
        item=failure.item,
        victim=True,
    )


def _leave_blocking_calls_on_signal(loop: StageLoop) -> None:
    """A drained source whose grace is over leaves its blocking call, and nothing else is cut."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        if isinstance(loop, SourceLoop) and loop.asking[0]:
            raise DrainInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(DRAIN_SIGNAL, leave)


def finished(
    context: StageContext, cpu_s: float | None = None, *, with_children: bool = False
) -> Finished:
    """What a worker says when it is done, with what its process has used.

    Args:
        context: Its own.
        cpu_s: What it has used itself, if others are in its process.
        with_children: Its code ran in children of its process.
    """
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    scale = 1 if sys.platform == "darwin" else 1024
    return Finished(
        metrics=dict(context.metrics),
        cpu_s=own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        if cpu_s is None
        else cpu_s,
        peak_rss_bytes=max(own.ru_maxrss, children.ru_maxrss if with_children else 0) * scale,
    )

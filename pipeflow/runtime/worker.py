"""One worker process: take the brief, load the stage, run its loop, say how it ended.

    supervisor ──brief──> worker ──reports──> supervisor
                          │  ▲
       neighbours <═══════╛  ╘═══════ neighbours        items, by channels
                  ──bell──>                             "there is room again"

The process waits at two places only, ``for_input`` and ``for_room``, both of which have flushed
before, are visible on the board, and watch the neighbours' ends: a reader that closed or died
shows there. A second thread flushes what a burst left behind, and serves mailboxes.
"""

from __future__ import annotations

import mmap
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from pipeflow.errors import ChannelError, PipeflowError
from pipeflow.planner.plan import StagePlan
from pipeflow.runtime.board import (
    BUSY_NS,
    HAND_DEPTH,
    SINCE_NS,
    STATE,
    TURNS,
    WAIT_IN_NS,
    WAIT_OUT_NS,
    WAITS_ON,
    Board,
    State,
    Words,
)
from pipeflow.runtime.brief import WorkerBrief
from pipeflow.runtime.failures import kind_of, message_of, traceback_of
from pipeflow.runtime.flow.assemble import make_inbox, make_outbox
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.mailbox import Mailbox
from pipeflow.runtime.flow.outbox import LINGER_S, Outbox, ReadersGone
from pipeflow.runtime.flow.targets import Target
from pipeflow.runtime.flow.wiring import ChannelPlan, wire
from pipeflow.runtime.loops.base import WAITS, DrainInterrupt, StageLoop, failure_of
from pipeflow.runtime.loops.pick import make_loop
from pipeflow.runtime.loops.source import SourceLoop
from pipeflow.runtime.messages import (
    EXIT_FAILED,
    EXIT_VICTIM,
    Failed,
    Failure,
    Finished,
    Logged,
    Ready,
    WorkerReport,
    pack_report,
)
from pipeflow.stages.context import StageContext, enter
from pipeflow.stages.loading import load_work
from pipeflow.stages.work import Work
from pipeflow.transports.bell import Bell
from pipeflow.transports.channel import open_receiver, open_sender
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.shm import Arena
from pipeflow.transports.waiting import await_room

#: Sent by the supervisor to a source whose grace is over: leave the blocking call.
DRAIN_SIGNAL = signal.SIGUSR1
#: A worker whose neighbours ended says that it is a victim; the root cause lies elsewhere.
_VICTIM_ERRORS = (ChannelError,)

#: Seconds between the second thread's looks at what waits; after the last it sends in any case.
PATIENCE_S = (LINGER_S, 2 * LINGER_S, 4 * LINGER_S, 8 * LINGER_S)
#: How often a zip whose shortest input has ended looks at the rest, in seconds.
REST_LOOK_S = 0.1
#: How often a waiting worker looks what of its shared memory came back, in seconds.
TIDY_S = 0.1


def run_worker(brief: WorkerBrief) -> int:
    """Be one worker, from its brief to its end.

    Returns:
        The exit status of the process.
    """
    reports = Reports(brief.report_fd, brief.log_level)
    plan = brief.plan
    stage = plan.stages[plan.workers[brief.worker].stage]
    channels = wire(plan)
    board = Board(plan, channels, _map_board(brief.board_fd))
    row = board.worker(brief.worker)
    context = _context(brief, stage, board, reports)
    enter(context)
    try:
        work = _load(stage, plan.folder, context)
    except BaseException as error:  # the user's module or constructor: a boundary
        reports.tell(Failed(_start_failure(error)))
        return EXIT_FAILED
    process = Process(brief, board, channels)
    loop = make_loop(
        work,
        stage=stage,
        replica=context.replica,
        names=tuple(each.name for each in plan.stages),
        inbox=process.inbox,
        outbox=process.outbox,
        row=row,
        tell=reports.tell,
        waits=process,
        stopping=lambda: board.draining,
    )
    context.item_id = lambda: loop.hand
    context.empty = process.empty
    _leave_blocking_calls_on_signal(loop)
    reports.tell(Ready())
    status = _run(loop, process, reports, plan)
    if status == 0:
        reports.tell(_finished(context))
    return status


def _run(loop: StageLoop, process: Process, reports: Reports, plan: Any) -> int:
    """Run the loop to its end, and tell a failure if there is one."""
    process.begin()
    steps = loop.steps()
    try:
        for wants in steps:
            if wants is WAITS:
                try:
                    process.for_input(None)
                except ReadersGone:
                    loop.unneeded = True
                    break
        steps.close()
        loop.wind_up()
        process.end()
    except BaseException as error:  # whatever ends a worker is reported: a boundary
        victim = isinstance(error, _VICTIM_ERRORS)
        failure = failure_of(
            error,
            tuple(each.name for each in plan.stages),
            tuple(worker.stage for worker in plan.workers),
        )
        if victim:
            failure = _as_victim(failure)
        reports.tell(Failed(failure))
        loop.abandon()
        return EXIT_VICTIM if victim else EXIT_FAILED
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
        data = memoryview(pack_report(report))
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


class Process:
    """The worker's ends, and its two waits. Owns them: ``end`` and ``close`` close them all.

    Args:
        brief: What the worker was told.
        board: The board.
        channels: All channels of the run.
    """

    def __init__(
        self,
        brief: WorkerBrief,
        board: Board,
        channels: tuple[ChannelPlan, ...],
    ) -> None:
        self._brief = brief
        self._row: Words = board.worker(brief.worker)
        self._share = Arena.attach(brief.arena, brief.worker)
        self._bell = Bell.attach(brief.bells[brief.worker])
        decoder = Decoder(self._share.views)

        def receiver(channel: ChannelPlan, reader: int) -> Any:
            bells = brief.mail_bells if self._is_mail(channel) else brief.bells
            return open_receiver(
                channel.spec,
                brief.channels[channel.spec.number],
                reader,
                board.channel(channel.spec.number),
                brief.attempt,
                [Bell.attach(bells[writer]) for writer in channel.writers],
                self._share.views,
            )

        def sender(channel: ChannelPlan, writer: int) -> Any:
            return open_sender(
                channel.spec,
                brief.channels[channel.spec.number],
                writer,
                board.channel(channel.spec.number),
                brief.attempt,
                self._share.pool,
            )

        self._plan = brief.plan
        self.inbox: Inbox | None = make_inbox(
            brief.plan,
            brief.worker,
            channels,
            board,
            receiver,
            lambda packet, private: decoder.decode(packet, private=private),
        )
        self.outbox: Outbox = make_outbox(
            brief.plan,
            brief.worker,
            channels,
            board,
            sender,
            Encoder(self._share.pool),
            self.for_room,
        )
        self._linger = Linger(self.outbox)
        mailboxes = self.outbox.mailboxes()
        self._postman: Postman | None = None
        if mailboxes:
            self._postman = Postman(mailboxes, Bell.attach(brief.mail_bells[brief.worker]))
        self._since = time.monotonic_ns()

    def empty(self, shape: Any, dtype: Any) -> Any:
        """An array in this worker's own pool."""
        return self._share.pool.empty(shape, dtype)

    def begin(self) -> None:
        """The loop begins."""
        self._since = time.monotonic_ns()
        self._enter_state(State.BUSY, 0)
        self._linger.start()
        if self._postman is not None:
            self._postman.start()

    def for_input(self, timeout_s: float | None) -> None:
        """Wait until something may have come; everything was flushed before.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        assert self.inbox is not None
        self._row[HAND_DEPTH] = 0
        before = self._enter_state(State.WAITING_IN, self.inbox.waits_for())
        self._row[BUSY_NS] += before
        poll = select.poll()
        for fd in self.inbox.descriptors():
            poll.register(fd, select.POLLIN)
        watched = self.outbox.watched()
        for fd in watched:
            poll.register(fd, 0)
        if self.inbox.no_more_calls():
            timeout_s = REST_LOOK_S
        ready = [] if self.inbox.ready() else self._poll(poll, timeout_s)
        self._row[WAIT_IN_NS] += self._enter_state(State.BUSY, 0)
        gone = frozenset(fd for fd, events in ready if events and fd in watched)
        if gone:
            self.outbox.check_readers(gone)

    def _poll(self, poll: select.poll, timeout_s: float | None) -> list[tuple[int, int]]:
        """Wait, and do from time to time what others may need to go on.

        A pool that lent slots looks what came back; writers may need credit that an inbox holds.
        """
        assert self.inbox is not None
        idle = timeout_s is None and (self._share.pool.lends() or self.inbox.parks())
        if not idle:
            return poll.poll(None if timeout_s is None else timeout_s * 1000)
        while not (ready := poll.poll(TIDY_S * 1000)):
            self._share.pool.tidy()
            self.inbox.help_writers()
        return ready

    def for_room(self, targets: Sequence[Target]) -> None:
        """Wait until one of the targets may have room, a reader has closed, or a moment."""
        full = [target.full() for target in targets]
        if not all(full):
            return  # one of them has got room since the caller looked
        channels = [channel for those in full for channel in those]
        before = self._enter_state(State.WAITING_OUT, channels[0].edge + 1 if channels else 0)
        self._row[BUSY_NS] += before
        gone = await_room([channel.sender for channel in channels], self._bell)
        for target in targets:
            for channel in [one for one in target.channels if one.sender.fileno() in gone]:
                target.drop(channel)
        self._row[WAIT_OUT_NS] += self._enter_state(State.BUSY, 0)

    def end(self) -> None:
        """Send the end of input everywhere, and let go of everything."""
        self._linger.stop()
        self.outbox.end()
        if self._postman is not None:
            self._row[BUSY_NS] += self._enter_state(State.WAITING_OUT, 0)
            self._postman.finish()
            self._row[WAIT_OUT_NS] += self._enter_state(State.BUSY, 0)
        self._row[BUSY_NS] += self._enter_state(State.DONE, 0)

    def close(self) -> None:
        """Let go of everything, however it ended; what is in flight stays where it is."""
        self._linger.stop()
        self.outbox.close()
        if self.inbox is not None:
            self.inbox.close()
        self._share.close()

    def _is_mail(self, channel: ChannelPlan) -> bool:
        return self._plan.edges[channel.edge].overflow.value != "block"

    def _enter_state(self, state: State, waits_on: int) -> int:
        """Note a new state; nanoseconds spent in the one before."""
        now = time.monotonic_ns()
        spent, self._since = now - self._since, now
        row = self._row
        row[WAITS_ON] = waits_on
        row[STATE] = state
        row[SINCE_NS] = now
        row[TURNS] += 1
        return spent


class Linger:
    """The second thread: sends what a burst left behind, when the user's code takes its time.

    Args:
        outbox: The worker's outputs.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pipeflow-linger", daemon=True)

    def start(self) -> None:
        """Begin, if there is anything to send to."""
        if self._outbox.watched():
            self._outbox.wake = self._wake.set
            self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            try:
                if not self._flush_in_time():
                    return
            except PipeflowError as error:
                self._outbox.refuse(error)
                return

    def _flush_in_time(self) -> bool:
        """Flush after a millisecond, or a few more while the first thread sends all the time.

        Returns:
            Whether to go on; a wake-up that was cleared may have been the one that says to end.
        """
        for delay_s in PATIENCE_S:
            if self._stopping.wait(delay_s):
                return False
            if self._outbox.flush_old(patient=True):
                return True
        self._outbox.flush_old()
        return not self._stopping.is_set()


class Postman:
    """The thread that hands over what the readers of mailboxes ask for.

    Args:
        mailboxes: All mailboxes of the worker.
        bell: Rung by their readers.
    """

    def __init__(self, mailboxes: Sequence[Mailbox], bell: Bell) -> None:
        self._mailboxes = mailboxes
        self._bell = bell
        self._thread = threading.Thread(target=self._run, name="pipeflow-mail", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Wait until the readers have asked for everything, or are gone."""
        for mailbox in self._mailboxes:
            mailbox.end()
        self._bell.ring()
        self._thread.join()

    def _run(self) -> None:
        waiting = list(self._mailboxes)
        while waiting:
            poll = select.poll()
            poll.register(self._bell.fileno(), select.POLLIN)
            fds = {fd for mailbox in waiting for fd in mailbox.filenos()}
            for fd in fds:
                poll.register(fd, 0)
            ready = {fd for fd, _ in poll.poll()}
            self._bell.clear()
            for mailbox in waiting:
                mailbox.lose_readers(frozenset(ready & fds))
            waiting = [mailbox for mailbox in waiting if not mailbox.finished()]


def _load(stage: StagePlan, folder: str, context: StageContext) -> Work:
    """Import and build the stage's code, and see that it is what was planned."""
    names = tuple(context.input_names)
    work = load_work(
        call=stage.call,
        operator=stage.operator,
        folder=folder,
        parameters=stage.parameters,
        source=not stage.edges_in,
        input_names=names,
    )
    if work.keeps_state and not stage.keeps_state and stage.replicas > 1:
        raise TypeError(
            f"stage '{stage.name}' keeps state, so its {stage.replicas} replicas need "
            "`partition: {key: …}` or `broadcast`"
        )
    return work


def _context(brief: WorkerBrief, stage: StagePlan, board: Board, reports: Reports) -> StageContext:
    edges = [brief.plan.edges[number] for number in stage.edges_in]
    return StageContext(
        stage=stage.name,
        replica=brief.plan.workers[brief.worker].replica,
        replicas=stage.replicas,
        seed=brief.seed,
        stopping=lambda: board.draining,
        log=reports.log,
        stdout=None if brief.stdout_fd < 0 else _open_stdout(brief.stdout_fd),
        parameters=brief.plan.parameters,
        input_names=tuple(edge.input for edge in edges if edge.input),
    )


def _open_stdout(fd: int) -> Any:
    return open(fd, "wb", buffering=0, closefd=False)


def _map_board(fd: int) -> Words:
    size = os.fstat(fd).st_size
    return memoryview(mmap.mmap(fd, size)).cast("Q")


def _start_failure(error: BaseException) -> Failure:
    phase = "import" if isinstance(error, ImportError | SyntaxError) else "constructor"
    return Failure(
        phase=phase, kind=kind_of(error), message=message_of(error), traceback=traceback_of(error)
    )


def _as_victim(failure: Failure) -> Failure:
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
        if isinstance(loop, SourceLoop) and loop.in_users_source:
            raise DrainInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(DRAIN_SIGNAL, leave)


def _finished(context: StageContext) -> Finished:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    scale = 1 if sys.platform == "darwin" else 1024
    return Finished(
        metrics=dict(context.metrics),
        cpu_s=own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        peak_rss_bytes=own.ru_maxrss * scale,
    )

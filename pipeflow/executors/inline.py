"""The inline executor: the whole run in one process, one stage at a time.

It is the oracle: the same loop, inbox and outbox as in worker processes, over channels that are
deques. Whoever lies furthest downstream and can do something has the turn, so a source is asked for
its next item only when the one before has gone all the way. Items go through the codec on every
edge, so a reader's copy is its own, arrays are read-only, and what cannot be pickled is an error.
"""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pipeflow.errors import ProgramFailed
from pipeflow.executors.base import Listener, RunOptions
from pipeflow.executors.coroutine import Baton, Steps
from pipeflow.executors.interrupts import Interrupts
from pipeflow.executors.pauses import NAP_S, Pause, await_input, pause
from pipeflow.executors.printed import Printed
from pipeflow.executors.timed import within
from pipeflow.executors.turns import Order, Turn, await_programs
from pipeflow.planner.plan import WAITING_JOINS, Plan
from pipeflow.runtime.account import WorkerRecord
from pipeflow.runtime.board import BUSY_NS, Board
from pipeflow.runtime.failures import kind_of, message_of, traceback_of
from pipeflow.runtime.flow.assemble import make_inbox, make_outbox
from pipeflow.runtime.flow.mailbox import Mailbox
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.targets import Target
from pipeflow.runtime.flow.wiring import ChannelPlan, wire
from pipeflow.runtime.loading import check_fit
from pipeflow.runtime.loops.base import GOES_ON, WAITS, StageLoop, failure_of
from pipeflow.runtime.loops.pick import make_loop
from pipeflow.runtime.messages import Failed, Failure, Logged, WorkerReport
from pipeflow.runtime.progress import events_of, progress
from pipeflow.runtime.reporting import RunEnd, error_facts, make_report, silence_warnings
from pipeflow.runtime.watch.heirs import heirs
from pipeflow.runtime.watch.root_cause import Cause
from pipeflow.stages.context import StageContext, enter
from pipeflow.stages.loading import load_work
from pipeflow.stages.shared_state import InlineShares, with_state
from pipeflow.stages.work import DrainInterrupt, Work
from pipeflow.telemetry import events
from pipeflow.telemetry.masking import masker
from pipeflow.telemetry.report import Report
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.inline import InlineChannel, InlineReceiver, InlineSender
from pipeflow.values import replace

if TYPE_CHECKING:
    from pipeflow.runtime.loops.events import Events

#: Nothing waits for room here: readers have their turn before the next item is made.
_NO_LIMIT: Final = 2**60

#: How long the tasks of one of several ``async`` stages go on before those of the next, in seconds.
SLICE_S: Final = 0.001

#: How long a program is waited for at a time, in seconds: signals are looked at in between.
_LOOK_S: Final = 0.1

#: The longest turn of a stage to which nobody is an alternative, in steps; then we look up.
_STEPS: Final = 64


class InlineExecutor:
    """Runs a plan in this process: for debuggers, coverage and tests."""

    name = "inline"

    def __init__(self, pause: Pause = pause) -> None:
        self._pause = pause

    def run(self, plan: Plan, options: RunOptions, listener: Listener) -> Report:
        """See ``Executor.run``."""
        return _InlineRun(plan, options, listener, self._pause).run()


class _InlineRun:
    """One run. Owns the board, the channels and the threads of its stream functions."""

    def __init__(
        self, plan: Plan, options: RunOptions, listener: Listener, pause: Pause = pause
    ) -> None:
        self._plan = plan
        self._pause = pause
        self._interrupts = Interrupts(options.signals, options.grace_s)
        self._options = options
        self._listener = listener
        self._printed = Printed(listener)
        self._tell = self._printed.tell
        self._channels = wire(plan)
        words = memoryview(bytearray(8 * Board.size(plan, self._channels))).cast("Q")
        self._board = Board(plan, self._channels, words)
        self._names = tuple(stage.name for stage in plan.stages)
        self._shares = InlineShares(plan.shared)
        self._encoder = Encoder(None)
        self._decoder = Decoder(None)
        self._stdout = open(options.stdout_fd, "wb", buffering=0, closefd=False)  # noqa: SIM115 - closed in run
        self._started = datetime.now(UTC)
        self._began = time.monotonic()
        self._progress_at = self._began
        self._causes: list[Cause] = []
        self._mailing: list[tuple[Turn, Sequence[Mailbox]]] = []
        self._left = len(plan.workers)
        self._turns = [self._turn(worker.index) for worker in plan.workers]
        self._inline = {
            channel.spec.number: InlineChannel(
                replace(channel.spec, capacity=_NO_LIMIT, capacity_bytes=_NO_LIMIT),
                self._board.channel(channel.spec.number),
            )
            for channel in self._channels
        }
        #: Some stage waits for one of several inputs, so its writers should not run far ahead.
        self._bounded = any(stage.join in WAITING_JOINS for stage in plan.stages)
        self._order = Order(self._turns)
        self._timed: list[Turn] = []

    def run(self) -> Report:
        """The run, from start to report."""
        run_id = self._plan.run_id or os.urandom(6).hex()
        self._tell(events.RunStarted(id=run_id, pipeline=self._plan.pipeline))
        interrupts = self._interrupts
        with self._printed, interrupts:
            try:
                if self._load_all():
                    self._go_round(interrupts)
            finally:
                self._cancel_all()
                self._stdout.close()
        return self._report(run_id, interrupts)

    # -------------------------------------------------------------------- start

    def _turn(self, index: int) -> Turn:
        worker = self._plan.workers[index]
        stage = self._plan.stages[worker.stage]
        edges = [self._plan.edges[number] for number in stage.edges_in]
        context = StageContext(
            stage=stage.name,
            replica=worker.replica,
            replicas=stage.replicas,
            seed=self._options.seed,
            stopping=self._is_stopping,
            rest=self._rest,
            mask=masker(self._plan.secrets),
            stdout=self._stdout,
            parameters=self._plan.values_for(stage),
            input_names=tuple(edge.input for edge in edges if edge.input),
        )
        row = self._board.worker(index)
        turn = Turn(index=index, stage=stage, context=context, row=row, source=not stage.edges_in)
        context.log = lambda level, text: self._log(turn, Logged(level, text))
        return turn

    def _load_all(self) -> bool:
        """Load every replica's code, readers first; whether all of it could be."""
        if any(turn.stage.program is not None for turn in self._turns):
            from pipeflow.runtime.programs.missing import missing_program

            missing = missing_program(self._plan)
            if missing is not None:
                self._fail(self._turns[missing[0]], missing[1])
                return False
        for number in self._plan.start_order:
            for turn in (each for each in self._turns if each.stage.index == number):
                name, replica, pid = turn.stage.name, turn.context.replica, os.getpid()
                self._tell(events.WorkerStarted(stage=name, replica=replica, pid=pid))
                before = enter(turn.context)
                self._printed.turn_to(turn.context)
                try:
                    self._load(turn)
                except BaseException as error:  # the user's module or constructor: a boundary
                    importing = not turn.imported or isinstance(error, ImportError | SyntaxError)
                    phase = "import" if importing else "constructor"
                    phase = "program" if isinstance(error, ProgramFailed) else phase
                    self._fail(turn, _failure(error, phase))
                    return False
                finally:
                    enter(before)
                self._tell(events.WorkerReady(stage=name, replica=replica, pid=pid))
        return True

    def _load(self, turn: Turn) -> None:
        stage, context = turn.stage, turn.context
        if stage.program is not None:
            from pipeflow.runtime.programs.load import load_program  # most stages run Python

            work = load_program(stage, self._plan.folder, context)
            turn.note_import()
            self._run_with(turn, work)
            return
        work = load_work(
            call=stage.call,
            operator=stage.operator,
            folder=self._plan.folder_of(stage),
            folders=self._plan.folders,
            parameters=with_state(
                stage.parameters, lambda name: self._shares.give(name, _name(turn))
            ),
            source=turn.source,
            input_names=context.input_names,
            imported=turn.note_import,
        )
        check_fit(work, stage)
        if stage.timeout_s is not None and work.call is not None and not work.awaits:
            work.call = within(work.call, stage.timeout_s)
        self._run_with(turn, work)

    def _run_with(self, turn: Turn, work: Work) -> None:
        loop = self._make_loop(turn, work)
        turn.loop = loop
        context = turn.context
        context.item_id = loop.item_in_hand
        if turn.stage.batch is not None or work.due is not None:
            self._timed.append(turn)
        turn.runner = Baton(loop.steps) if work.stream is not None else Steps(loop.steps())

    def _make_loop(self, turn: Turn, work: Work) -> StageLoop:
        def receiver(channel: ChannelPlan, reader: int) -> InlineReceiver:
            return self._inline[channel.spec.number].receivers[reader]

        def sender(channel: ChannelPlan, writer: int) -> InlineSender:
            turn.outlets.append(self._inline[channel.spec.number])
            if self._bounded:
                bound = (self._inline[channel.spec.number], channel.spec.capacity)
                turn.bounds.append(bound)
            turn.readers += [each for each in self._turns if each.index in channel.readers]
            return self._inline[channel.spec.number].senders[writer]

        inbox = make_inbox(
            self._plan,
            turn.index,
            self._channels,
            self._board,
            receiver,
            self._decode,
            lambda packet, private: self._decoder.salvage(packet, private=private),
        )
        if inbox is not None:
            turn.inlets = [channel for port in inbox.ports for channel in port.channels]
        outbox = make_outbox(
            self._plan,
            turn.index,
            self._channels,
            self._board,
            sender,
            self._encoder,
            _never_waits,
            batch_items=1,
        )
        if mailboxes := outbox.mailboxes():
            self._mailing.append((turn, mailboxes))
        return make_loop(
            work,
            stage=turn.stage,
            replica=turn.context.replica,
            names=self._names,
            inbox=inbox,
            outbox=outbox,
            row=turn.row,
            tell=lambda report: self._hear(turn, report),
            waits=_Waits(turn, self._back_off, self._run_tasks),
            mask=turn.context.mask,
            stopping=lambda: self._board.draining,
            mates=self._board.mates(turn.index),
        )

    def _back_off(self, seconds: float) -> None:
        """Nobody has anything to do meanwhile that could not be done after it."""
        interrupts = self._interrupts
        self._pause(seconds, lambda: self._board.draining or bool(interrupts.number))

    def _let_time_pass(self) -> bool:
        """Nobody can go on before it is later, or a program does; whether anybody can then."""
        left_s, with_programs = self._alarm_in(), await_programs(self._turns, self._look_s())
        if any(turn.awaits() for turn in self._turns):
            self._run_tasks(min(left_s, NAP_S))
            self._order.ask_everybody()
        elif with_programs:
            pass  # they were waited for
        elif left_s < math.inf:
            self._back_off(left_s)
        else:
            return False
        return True

    def _alarm_in(self) -> float:
        """Seconds until somebody has more to do though nothing comes."""
        loops = [turn.loop for turn in self._timed]
        alarms = [loop.alarm for loop in loops if loop is not None and loop.alarm is not None]
        return max(0.0, min(alarms) - time.monotonic()) if alarms else math.inf

    def _look_s(self) -> float:
        """How long a program may be waited for at a time: tasks and alarms go on meanwhile."""
        if any(turn.awaits() for turn in self._turns):
            return 0.0
        return min(_LOOK_S, self._alarm_in())

    def _run_tasks(self, longest_s: float = NAP_S) -> None:
        """Let the tasks of all ``async`` stages go on, until one has something to tell."""
        waiting = [turn for turn in self._turns if turn.awaits()]
        for turn in waiting:
            assert turn.events is not None
            before = enter(turn.context)
            self._printed.turn_to(turn.context)
            try:
                turn.events.wait(longest_s if len(waiting) == 1 else min(longest_s, SLICE_S))
            finally:
                enter(before)
                if before is not None:
                    self._printed.turn_to(before)
            turn.goes_on = turn.goes_on or turn.events.news

    def _is_stopping(self) -> bool:
        """What a stage's code is told: a signal may have come in the turn that it has now."""
        return self._board.draining or bool(self._interrupts.number)

    def _rest(self, seconds: float | None, fd: int) -> None:
        """A source waits for the world: all others have done what they could."""
        if fd >= 0:
            await_input(fd, seconds, self._is_stopping)
        else:
            self._pause(math.inf if seconds is None else seconds, self._is_stopping)

    def _decode(self, packet: Packet, private: bool) -> list[object]:
        return self._decoder.decode(packet, private=private)

    # ---------------------------------------------------------------------- run

    def _go_round(self, interrupts: Interrupts) -> None:
        """Give turns until all have ended, one has failed, or the user has had enough."""
        before = enter(None)
        try:
            while not self._causes and self._left:
                if interrupts.number and not self._board.draining:
                    self._board.drain()
                    self._tell(events.Draining(signal=interrupts.name))
                if interrupts.insisted:
                    return
                if any(turn.is_due() for turn in self._timed):
                    self._order.ask_everybody()
                turn = self._order.next()
                if turn is None:
                    if self._let_time_pass():
                        continue
                    self._fail(None, _stuck(self._turns))
                    return
                self._give(turn, interrupts)
                self._show_progress()
            self._see_letters_to_the_end(interrupts)
        finally:
            enter(before)

    def _see_letters_to_the_end(self, interrupts: Interrupts) -> None:
        """A stage has failed: who gets what it gave up goes on until that is done."""
        worker = self._causes[0].worker if self._causes else -1
        reached = heirs(self._plan, worker) if worker >= 0 else frozenset()
        mine = [turn for turn in self._turns if turn.index in reached]
        moved = bool(mine)
        while moved and not interrupts.insisted:
            left = [turn for turn in mine if not turn.done]
            for turn in left:
                self._give(turn, interrupts)
            moved = any(turn.goes_on or turn.done for turn in left)

    def _give(self, turn: Turn, interrupts: Interrupts) -> None:
        """One turn: until the stage waits, gives way to somebody, ends or fails."""
        runner, loop = turn.runner, turn.loop
        assert runner is not None
        assert loop is not None
        enter(turn.context)
        self._printed.turn_to(turn.context)
        interrupts.turn_to(loop)
        turn.goes_on = False
        turn.outside = None
        began = time.perf_counter_ns()
        try:
            self._notice_closed_readers(turn, loop)
            yielded = runner.resume()
            for _ in range(_STEPS):
                # Nobody further downstream has anything to do yet: the same one would be next.
                if yielded is not GOES_ON or turn.is_overtaken() or interrupts.number:
                    break
                yielded = runner.resume()
            if yielded is None:
                self._end(turn)
            elif yielded is not WAITS:
                turn.goes_on = True
            else:
                self._note_outside(turn, loop)
            if self._mailing:
                self._serve_mailboxes()
        except ReadersGone:
            loop.unneeded = True
            runner.cancel()
            self._end_or_fail(turn)
        except DrainInterrupt:
            loop.abandon()  # the second signal: it ends where it is, and has not failed
        except BaseException as error:  # whatever ends a stage is told: a boundary
            stages = tuple(worker.stage for worker in self._plan.workers)
            self._fail(turn, failure_of(error, self._names, stages))
            loop.abandon()
            loop.outbox.end_letters()
        finally:
            turn.row[BUSY_NS] += time.perf_counter_ns() - began
            interrupts.turn_to(None)

    def _note_outside(self, turn: Turn, loop: StageLoop) -> None:
        """A stage waits: for a program, too? One that has no room is waited for right here.

        Others would make more of what it cannot take, and in a deque there is always room.
        """
        turn.outside = loop.outside()
        if turn.outside is not None and not turn.outside.input:
            turn.outside.is_ready(self._look_s())
            turn.goes_on = True

    def _notice_closed_readers(self, turn: Turn, loop: StageLoop) -> None:
        """What a poll tells a process: whose readers have closed."""
        gone = turn.lose_outlets()
        if gone:
            loop.outbox.lose([end for channel in gone for end in channel.senders])

    def _serve_mailboxes(self) -> None:
        """Hand over what readers have asked for; a stage that only waited for that is done."""
        self._order.ask_everybody()
        for turn, mailboxes in self._mailing:
            for mailbox in mailboxes:
                mailbox.serve()
            if turn.mail_only and all(mailbox.finished() for mailbox in mailboxes):
                turn.mail_only = False
                self._done(turn)

    def _end_or_fail(self, turn: Turn) -> None:
        try:
            self._end(turn)
        except BaseException as error:  # the user's close(): a boundary
            stages = tuple(worker.stage for worker in self._plan.workers)
            self._fail(turn, failure_of(error, self._names, stages))

    def _end(self, turn: Turn) -> None:
        """A stage has done all it had to."""
        assert turn.loop is not None
        turn.loop.wind_up()
        outbox = turn.loop.outbox
        outbox.end()
        mailboxes = outbox.mailboxes()
        for mailbox in mailboxes:
            mailbox.end()
        if all(mailbox.finished() for mailbox in mailboxes):
            self._done(turn)
        else:
            turn.mail_only = True

    def _done(self, turn: Turn) -> None:
        turn.done = True
        self._left -= 1
        if all(other.done for other in self._turns if other.stage is turn.stage):
            self._tell(events.StageFinished(stage=turn.stage.name))

    def _cancel_all(self) -> None:
        """Whatever has not ended is given up: generators are closed, ``close`` is called."""
        for turn in self._turns:
            if turn.done or turn.loop is None or turn.runner is None:
                continue
            before = enter(turn.context)
            self._printed.turn_to(turn.context)
            try:
                turn.runner.cancel()
            finally:
                turn.loop.abandon()
                enter(before)

    # -------------------------------------------------------------------- words

    def _hear(self, turn: Turn, report: WorkerReport) -> None:
        """What a worker would report to its supervisor."""
        for event in events_of(report, turn.stage.name, turn.context.replica):
            self._tell(event)

    def _log(self, turn: Turn, line: Logged) -> None:
        if line.is_worth(self._options.log_level):
            self._hear(turn, line)

    def _fail(self, turn: Turn | None, failure: Failure) -> None:
        if turn is not None:
            self._hear(turn, Failed(failure))
        worker = -1 if turn is None else turn.index
        cause = Cause(worker=worker, failure=failure, order=len(self._causes))
        self._causes.append(cause)
        if len(self._causes) == 1:
            self._tell(events.RunFailed(error=error_facts(self._plan, cause)))

    def _show_progress(self) -> None:
        now = time.monotonic()
        if self._options.progress_s and now - self._progress_at >= self._options.progress_s:
            self._progress_at = now
            running = [turn.index for turn in self._turns if not turn.done]
            self._tell(
                progress(
                    self._plan,
                    self._channels,
                    self._board,
                    elapsed_s=now - self._began,
                    running=running,
                    now_ns=time.monotonic_ns(),
                )
            )

    def _report(self, run_id: str, interrupts: Interrupts) -> Report:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        end = RunEnd(
            id=run_id,
            executor="inline",
            started=self._started,
            wall_s=time.monotonic() - self._began,
            seed=self._options.seed,
            signal=interrupts.number,
            causes=tuple(self._causes),
            records={
                turn.index: WorkerRecord(
                    pid=os.getpid(),
                    cpu_s=turn.row[BUSY_NS] / 1e9,
                    peak_rss_bytes=peak,
                    metrics=dict(turn.context.metrics),
                    torn=not turn.done,
                )
                for turn in self._turns
            },
        )
        report = make_report(self._plan, self._channels, self._board, end)
        for line in silence_warnings(self._plan, report):
            self._listener(line)
        self._listener(events.RunFinished(report=report))
        return report


class _Waits:
    """How a stage waits here; a stream function for input: the baton goes back until it comes."""

    def __init__(
        self, turn: Turn, back_off: Callable[[float], None], for_tasks: Callable[[], None]
    ) -> None:
        self._turn = turn
        self.back_off = back_off
        self.for_tasks = for_tasks

    def attend(self, events: Events) -> None:
        self._turn.events = events

    def for_input(self, timeout_s: float | None) -> None:
        del timeout_s  # nobody waits in time here
        assert isinstance(self._turn.runner, Baton)
        self._turn.runner.wait()


def _name(turn: Turn) -> str:
    """A replica as people see it."""
    several = turn.context.replicas > 1
    return f"{turn.stage.name}[{turn.context.replica}]" if several else turn.stage.name


def _never_waits(_targets: Sequence[Target]) -> None:
    raise AssertionError("there is always room in a deque")


def _failure(error: BaseException, phase: str) -> Failure:
    told = "" if isinstance(error, ProgramFailed) else traceback_of(error)
    return Failure(phase=phase, kind=kind_of(error), message=message_of(error), traceback=told)


def _stuck(turns: Sequence[Turn]) -> Failure:
    """Nobody can go on: who waits."""
    waiting = ", ".join(f"'{turn.stage.name}'" for turn in turns if not turn.done)
    text = f"the run is stuck: every stage that is left waits for another: {waiting}"
    return Failure(phase="run", kind="Deadlock", message=text)

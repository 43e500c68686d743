"""One run in this process, from start to report: turns are given until all stages have ended."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final

from pipeflow.executors.base import Listener, RunOptions
from pipeflow.executors.inline.coroutine import Baton, Steps
from pipeflow.executors.inline.edges import Edges
from pipeflow.executors.inline.environment import Environment
from pipeflow.executors.inline.idle import Idle
from pipeflow.executors.inline.interrupts import Interrupts
from pipeflow.executors.inline.pauses import Pause, pause
from pipeflow.executors.inline.printed import Printed
from pipeflow.executors.inline.starting import failure_to_load, load, make_turn
from pipeflow.executors.inline.telling import Telling
from pipeflow.executors.inline.turns import Order, Turn
from pipeflow.executors.inline.waiting import StageWaits, Waiting
from pipeflow.planner.plan import Plan
from pipeflow.runtime.board import BUSY_NS
from pipeflow.runtime.flow.mailbox import Mailbox
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.loading import load_for
from pipeflow.runtime.loops.base import GOES_ON, WAITS, StageLoop
from pipeflow.runtime.loops.pick import make_loop
from pipeflow.runtime.loops.stopped import failure_of
from pipeflow.runtime.messages import Failure, Logged
from pipeflow.runtime.watch.heirs import heirs
from pipeflow.stages.context import enter
from pipeflow.stages.shared_state import InlineShares
from pipeflow.stages.work import DrainInterrupt, Work
from pipeflow.telemetry import events
from pipeflow.telemetry.report import Report
from pipeflow.transports.sealing import lend

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
    """One run. Owns the edges, the standard output and the threads of its stream functions."""

    def __init__(self, plan: Plan, options: RunOptions, listener: Listener, pause: Pause) -> None:
        self._plan = plan
        self._options = options
        self._interrupts = Interrupts(options.signals, options.grace_s)
        self._printed = Printed(listener)
        self._environment = Environment(os.environ)
        self._edges = Edges(plan)
        self._board = self._edges.board
        self._telling = Telling(plan, options, self._edges, listener, self._printed)
        self._waiting = Waiting(self._interrupts, self._board, pause)
        self._names = plan.stage_names
        self._shares = InlineShares(plan.shared)
        self._stdout = open(options.stdout_fd, "wb", buffering=0, closefd=False)  # noqa: SIM115 - closed in run
        self._mailing: list[tuple[Turn, Sequence[Mailbox]]] = []
        self._left = len(plan.workers)
        self._turns = [self._turn(worker.index) for worker in plan.workers]
        self._order = Order(self._turns)
        self._idle = Idle(
            self._turns, self._order, self._waiting, (self._printed, self._environment)
        )

    def run(self) -> Report:
        """The run, from start to report."""
        run_id = self._plan.run_id or os.urandom(6).hex()
        self._telling.tell(events.RunStarted(id=run_id, pipeline=self._plan.pipeline))
        with self._printed, self._interrupts:
            try:
                if self._load_all():
                    self._go_round()
            finally:
                self._cancel_all()
                self._environment.turn_to(None)
                self._stdout.close()
        return self._telling.report(run_id, self._turns, self._interrupts.number)

    # -------------------------------------------------------------------- start

    def _turn(self, index: int) -> Turn:
        turn = make_turn(
            self._plan,
            index,
            self._board.worker(index),
            seed=self._options.seed,
            waiting=self._waiting,
            stdout=self._stdout,
        )
        turn.context.log = lambda level, text: self._telling.log(turn, Logged(level, text))
        return turn

    def _load_all(self) -> bool:
        """Load every replica's code, readers first; whether all of it could be."""
        load_for(self._plan)
        if any(turn.stage.program is not None for turn in self._turns):
            from pipeflow.runtime.programs.missing import missing_program

            missing = missing_program(self._plan)
            if missing is not None:
                self._telling.fail(self._turns[missing[0]], missing[1])
                return False
        tell = self._telling.tell
        for number in self._plan.start_order:
            for turn in (each for each in self._turns if each.stage.index == number):
                name, replica, pid = turn.stage.name, turn.context.replica, os.getpid()
                tell(events.WorkerStarted(stage=name, replica=replica, pid=pid))
                before = enter(turn.context)
                self._printed.turn_to(turn.context)
                self._environment.turn_to(turn)
                try:
                    self._run_with(turn, load(turn, self._plan, self._shares))
                except BaseException as error:  # the user's module or constructor: a boundary
                    self._telling.fail(turn, failure_to_load(turn, error))
                    return False
                finally:
                    enter(before)
                tell(events.WorkerReady(stage=name, replica=replica, pid=pid))
        return True

    def _run_with(self, turn: Turn, work: Work) -> None:
        loop = self._make_loop(turn, work)
        turn.loop = loop
        turn.context.item_id = loop.item_in_hand
        turn.context.empty = lend
        if turn.stage.batch is not None or work.due is not None:
            self._idle.heed_alarms_of(turn)
        turn.runner = Baton(loop.steps) if work.stream is not None else Steps(loop.steps())

    def _make_loop(self, turn: Turn, work: Work) -> StageLoop:
        inbox, outbox = self._edges.inbox(turn), self._edges.outbox(turn, self._turns)
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
            tell=lambda report: self._telling.hear(turn, report),
            waits=StageWaits(turn, self._waiting.back_off, self._idle.run_tasks),
            mask=turn.context.mask,
            stopping=self._board.stopping(),
            mates=self._board.mates(turn.index),
        )

    # -------------------------------------------------------------------- turns

    def _go_round(self) -> None:
        """Give turns until all have ended, one has failed, or the user has had enough."""
        interrupts, telling = self._interrupts, self._telling
        before = enter(None)
        try:
            while not telling.causes and self._left:
                if interrupts.number and not self._board.draining:
                    self._board.drain()
                    telling.tell(events.Draining(signal=interrupts.name))
                if interrupts.insisted:
                    return
                if self._idle.anybody_is_due():
                    self._order.ask_everybody()
                turn = self._order.next()
                if turn is None:
                    if self._idle.let_time_pass():
                        continue
                    telling.fail(None, _stuck(self._turns))
                    return
                self._give(turn)
                telling.show_progress(self._turns)
            self._see_letters_to_the_end()
        finally:
            enter(before)

    def _see_letters_to_the_end(self) -> None:
        """A stage has failed: who gets what it gave up goes on until that is done."""
        causes = self._telling.causes
        worker = causes[0].worker if causes else -1
        reached = heirs(self._plan, worker) if worker >= 0 else frozenset()
        mine = [turn for turn in self._turns if turn.index in reached]
        moved = bool(mine)
        while moved and not self._interrupts.insisted:
            left = [turn for turn in mine if not turn.done]
            for turn in left:
                self._give(turn)
            moved = any(turn.goes_on or turn.done for turn in left)

    def _give(self, turn: Turn) -> None:
        """One turn: until the stage waits, gives way to somebody, ends or fails."""
        runner, loop = turn.runner, turn.loop
        assert runner is not None
        assert loop is not None
        enter(turn.context)
        self._printed.turn_to(turn.context)
        self._environment.turn_to(turn)
        self._interrupts.turn_to(loop)
        turn.goes_on = False
        turn.outside = None
        began = time.perf_counter_ns()
        try:
            _notice_closed_readers(turn, loop)
            yielded = runner.resume()
            for _ in range(_STEPS):
                # Nobody further downstream has anything to do yet: the same one would be next.
                if yielded is not GOES_ON or turn.is_overtaken() or self._interrupts.number:
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
            loop.leave()
            runner.cancel()
            self._end_or_fail(turn)
        except DrainInterrupt:
            loop.abandon()  # the second signal: it ends where it is, and has not failed
        except BaseException as error:  # whatever ends a stage is told: a boundary
            self._fail(turn, error)
            loop.abandon()
            loop.outbox.end_letters()
        finally:
            turn.row[BUSY_NS] += time.perf_counter_ns() - began
            self._interrupts.turn_to(None)

    def _note_outside(self, turn: Turn, loop: StageLoop) -> None:
        """A stage waits: for a program, too? One that has no room is waited for right here.

        Others would make more of what it cannot take, and in a deque there is always room.
        """
        turn.outside = loop.outside()
        if turn.outside is not None and not turn.outside.input:
            turn.outside.is_ready(self._idle.look_s())
            turn.goes_on = True

    def _serve_mailboxes(self) -> None:
        """Hand over what readers have asked for; a stage that only waited for that is done."""
        self._order.ask_everybody()
        for turn, mailboxes in self._mailing:
            for mailbox in mailboxes:
                mailbox.serve()
            if turn.mail_only and all(mailbox.finished() for mailbox in mailboxes):
                turn.mail_only = False
                self._done(turn)

    # --------------------------------------------------------------------- ends

    def _end_or_fail(self, turn: Turn) -> None:
        try:
            self._end(turn)
        except BaseException as error:  # the user's close(): a boundary
            self._fail(turn, error)

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
            self._telling.tell(events.StageFinished(stage=turn.stage.name))

    def _fail(self, turn: Turn, error: BaseException) -> None:
        stages = tuple(worker.stage for worker in self._plan.workers)
        self._telling.fail(turn, failure_of(error, self._names, stages))

    def _cancel_all(self) -> None:
        """Whatever has not ended is given up: generators are closed, ``close`` is called."""
        for turn in self._turns:
            if turn.done or turn.loop is None or turn.runner is None:
                continue
            before = enter(turn.context)
            self._printed.turn_to(turn.context)
            self._environment.turn_to(turn)
            try:
                turn.runner.cancel()
            finally:
                turn.loop.abandon()
                enter(before)


def _notice_closed_readers(turn: Turn, loop: StageLoop) -> None:
    """What a poll tells a process: whose readers have closed."""
    gone = turn.lose_outlets()
    if gone:
        loop.outbox.lose([end for channel in gone for end in channel.senders])


def _stuck(turns: Sequence[Turn]) -> Failure:
    """Nobody can go on: who waits."""
    waiting = ", ".join(f"'{turn.stage.name}'" for turn in turns if not turn.done)
    text = f"the run is stuck: every stage that is left waits for another: {waiting}"
    return Failure(phase="run", kind="Deadlock", message=text)

"""The supervisor: starts the workers of a run, hears all of them, ends them.

    worker ──reports──> ┐
    worker ──prints───> ├─ one loop ──> what it means (pure) ──> events for the listener, and acts
    launch server ────> │  (select)
    signals ──────────> ┘

It waits on everything at once, so a death is news and never a silence; every wait ends at the next
alarm. It never touches an item. What follows from what was seen is decided elsewhere, by functions
of values: ``lifecycle``, ``root_cause``, ``verdict``, ``deadlock``, ``early_end``.

No deadlock: workers may wait for us (a full pipe of reports or prints), we never wait for a worker.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import assert_never

from pipeflow.clock import Clock
from pipeflow.errors import MachineError
from pipeflow.planner.plan import Plan
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.launch.launcher import Launcher
from pipeflow.runtime.launch.messages import Exited
from pipeflow.runtime.launch.orders import orders
from pipeflow.runtime.launch.wires import Wires
from pipeflow.runtime.progress import progress
from pipeflow.runtime.reporting import RunEnd, error_facts
from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.causes import Causes
from pipeflow.runtime.watch.cutting import Cutting
from pipeflow.runtime.watch.drain import Drain
from pipeflow.runtime.watch.ending import Ending
from pipeflow.runtime.watch.hearing import Hearing
from pipeflow.runtime.watch.heirs import heirs
from pipeflow.runtime.watch.lifecycle import Happening, Life
from pipeflow.runtime.watch.noting import Noting
from pipeflow.runtime.watch.obituary import Obituary, died
from pipeflow.runtime.watch.signals import SignalPipe
from pipeflow.runtime.watch.stalls import Stalls
from pipeflow.runtime.watch.standstill import Standstill
from pipeflow.runtime.watch.starting import Starting
from pipeflow.runtime.watch.stopping import Stopping
from pipeflow.runtime.watch.terms import LINGER_S, LOOK_S, OVERSTAY_S, VICTIMS_S, Terms
from pipeflow.runtime.watch.verdict import Verdict
from pipeflow.runtime.watch.watched import Watched
from pipeflow.runtime.watch.workers import Workers
from pipeflow.telemetry.events import Event, RunFailed, StageFinished, WorkerStarted
from pipeflow.values import replace


class Supervisor:
    """One run. Whoever makes it owns the wires and the launcher, and closes them afterwards.

    Args:
        plan: What to run.
        channels: Its channels.
        wires: What the processes share.
        launcher: Starts them.
        signals: Those that ask the run to end.
        terms: How to run.
        tell: Hears each event, in this thread.
        clock: For alarms and the report.
    """

    def __init__(
        self,
        plan: Plan,
        channels: tuple[ChannelPlan, ...],
        *,
        wires: Wires,
        launcher: Launcher,
        signals: SignalPipe,
        terms: Terms,
        tell: Callable[[Event], None],
        clock: Clock,
    ) -> None:
        self._plan, self._channels = plan, channels
        self._wires, self._launcher, self._signals = wires, launcher, signals
        self._terms, self._tell, self._clock = terms, tell, clock
        self._workers = Workers(plan)
        self._alarms, self._causes = Alarms(), Causes()
        self._ending = Ending(launcher)
        self._stopping = Stopping(self._workers, self._ending, self._alarms)
        self._told_failure = False
        self._make_watch()
        self._started = datetime.fromtimestamp(clock.time(), UTC)
        self._began_s = clock.monotonic()

    def _make_watch(self) -> None:
        """The parts that see or hear the workers."""
        plan, terms, wires = self._plan, self._terms, self._wires
        board, last_words = wires.board, wires.last_words
        ending, alarms, tell = self._ending, self._alarms, self._tell
        self._stalls = Stalls(plan, wires.lock_words)
        self._obituary = Obituary(plan, board, last_words)
        self._starting = Starting(
            plan,
            board,
            last_words,
            ending=ending,
            alarms=alarms,
            tell=tell,
            patience_s=terms.start_s,
        )
        self._standstill = Standstill(
            plan,
            board,
            last_words,
            stalls=self._stalls,
            ending=ending,
            tell=tell,
            after_s=terms.still_s,
        )
        self._drain = Drain(plan.stages, wires, alarms=alarms, tell=tell, grace_s=terms.grace_s)
        self._cutting = Cutting(
            plan, self._channels, board, ending=ending, alarms=alarms, workers=self._workers
        )
        noting = Noting(
            causes=self._causes,
            # Without us: the board would stay until a collector came by.
            heeds_failures=partial(_heeds_failures, self._causes, self._stopping, self._drain),
            starting=self._starting,
            alarms=alarms,
            tell=tell,
            clock=self._clock,
        )
        self._selector = selectors.DefaultSelector()
        self._hearing = Hearing(wires, self._selector, on_report=noting.report, on_line=noting.line)

    # -------------------------------------------------------------------- start

    def start(self) -> None:
        """Start every worker, readers before their writers.

        Raises:
            MachineError: One of them could not be started; closing the launcher ends the others.
        """
        if self._lacks_program():
            return
        seed, level, parent = self._terms.seed, self._terms.log_level, self._launcher.parent
        to_start = orders(self._plan, self._wires, seed=seed, log_level=level, parent=parent)
        for number, pid in self._launcher.launch(to_start):
            if number == self._plan.manager:
                continue  # it runs no code of the user's, and nobody waits for it to be ready
            for worker in self._plan.sharing(number):
                watched = self._workers[worker.index]
                watched.pid = watched.own_pid = pid
                if watched.isolated:
                    continue  # it will say which process runs the user's code
                watched.runs_code = True
                self._tell(WorkerStarted(stage=watched.stage, replica=worker.replica, pid=pid))
            self._starting.begin(self._workers[number], self._clock.monotonic())
        self._launcher.all_launched()
        self._wires.let_go()

    def _lacks_program(self) -> bool:
        """Whether the run fails before anything is started, for want of a program."""
        if not any(stage.program is not None for stage in self._plan.stages):
            return False
        from pipeflow.runtime.programs.missing import missing_program  # most stages run Python

        missing = missing_program(self._plan)
        if missing is None:
            return False
        self._causes.note(*missing)
        self._workers.never_start()
        return True

    # --------------------------------------------------------------------- loop

    def watch(self) -> None:
        """See the run to its end: until the process of every worker is gone."""
        with self._selector:
            self._register()
            self._hear_launcher()  # who has ended while others were started waits to be heard
            self._judge()
            now = self._clock.monotonic()
            self._alarms.set(Alarm.LOOK, now + LOOK_S)
            if self._terms.progress_s > 0:
                self._alarms.set(Alarm.PROGRESS, now + self._terms.progress_s)
            while not self._workers.all_ended:
                self._turn()
        self._judge(final=True)

    def _turn(self) -> None:
        """Wait for news or an alarm, and do what follows from it."""
        ready = self._selector.select(self._alarms.wait_s(self._clock.monotonic()))
        self._causes.moment += 1
        for key, _ in ready:
            key.data()
        if self._causes.has_new:
            self._read_everything()
        self._judge()
        for alarm, worker in self._alarms.due(self._clock.monotonic()):
            self._ring(alarm, worker)

    def _register(self) -> None:
        read = selectors.EVENT_READ
        self._selector.register(self._launcher.fileno(), read, self._hear_launcher)
        if self._signals.fd >= 0:
            self._selector.register(self._signals.fd, read, self._hear_signals)
        self._hearing.register(self._workers.values())

    def _ring(self, alarm: Alarm, worker: int) -> None:
        now = self._clock.monotonic()
        match alarm:
            case Alarm.PROGRESS:
                self._alarms.set(Alarm.PROGRESS, now + self._terms.progress_s)
                self._tell(self._progress(now))
            case Alarm.START:
                self._look_at_start(self._workers[worker], now)
            case Alarm.LOOK:
                self._alarms.set(Alarm.LOOK, now + LOOK_S)
                self._look(now)
            case Alarm.VICTIMS:
                self._fail()
            case Alarm.KILL:
                self._stopping.kill()
            case Alarm.LETTERS:
                self._stopping.end_heirs(now)
            case Alarm.GRACE:
                self._ending.interrupt(self._workers.sources_at_work())
                self._alarms.set(Alarm.OVERSTAY, now + OVERSTAY_S)
            case Alarm.OVERSTAY:
                self._ending.excuse(self._workers.sources_at_work())
            case Alarm.LINGER:
                self._end_lingering(self._workers[worker])
            case Alarm.CUT:
                self._cutting.ring(self._workers[worker], now)
            case _:
                assert_never(alarm)

    # --------------------------------------------------------------------- news

    def _hear_launcher(self) -> None:
        try:
            news = self._launcher.news()
        except MachineError as error:
            self._lose_launcher(error)
            return
        for exited in news:
            if exited.worker == self._plan.manager:
                self._lose_manager(exited)
                continue
            for watched, end in self._obituary.ends(exited, self._workers):
                self._bury(watched, end)

    def _lose_manager(self, exited: Exited) -> None:
        """It ends by itself when no worker is left; else what the stages share is gone."""
        if exited.status != 0 and not self._stopping.begun:
            self._causes.note(-1, self._obituary.death_of_manager(exited.status))

    def _lose_launcher(self, error: MachineError) -> None:
        """Its process is gone, and the kernel has killed all workers with it."""
        self._selector.unregister(self._launcher.fileno())
        self._causes.note_run("MachineError", str(error))
        for watched in self._workers.alive():
            watched.see(Happening.STOP)
            number = watched.plan.index
            self._bury(watched, Exited(worker=number, pid=watched.pid, status=-signal.SIGKILL))

    def _bury(self, watched: Watched, exited: Exited) -> None:
        """The process of a worker is gone: read its last words, and judge its end."""
        number = watched.plan.index
        self._hearing.read_to_end(watched)
        before = watched.life
        life = watched.see(Happening.EXITED)
        watched.exited, watched.ended_ns = exited, time.monotonic_ns()
        self._starting.over(watched, self._clock.monotonic())
        self._alarms.clear(Alarm.LINGER, number)
        self._alarms.clear(Alarm.CUT, number)
        item = self._obituary.item_of(watched)
        if life is Life.FAILED and before is not Life.FAILING:
            started = before is not Life.STARTING
            failure = self._obituary.death_of(watched, exited.status, started=started)
            if self._causes.is_in([each.index for each in self._plan.sharing(number)]):
                failure = replace(failure, victim=True)  # the process died of what a mate did
            self._causes.note(number, failure)
        if life is Life.FAILED and not (watched.excused or self._causes.is_victim(number)):
            self._tell(died(watched, exited.pid, exited.status, item))
        if self._workers.stage_is_over(watched.plan.stage):
            self._tell(StageFinished(stage=watched.stage))

    def _read_everything(self) -> None:
        """Hear all that is known by now, so that the first cause is chosen among all failures."""
        for watched in self._workers.alive():
            self._hearing.catch_up(watched)
        if not self._workers.all_ended:
            self._hear_launcher()

    def _hear_signals(self) -> None:
        for number in self._signals.taken():
            if self._stopping.begun:
                self._stopping.kill_all()
            elif self._drain.asked_by:
                self._stopping.begin(self._clock.monotonic())
            else:
                self._drain.begin(number, self._workers.alive(), self._clock.monotonic())

    # ---------------------------------------------------------------- decisions

    def _judge(self, *, final: bool = False) -> None:
        """Decide what follows from the failures that are known."""
        ended_one = any(watched.excused for watched in self._workers.values())
        match self._causes.judge(ended_one=ended_one, over=final):
            case Verdict.GO_ON:
                pass
            case Verdict.FAIL:
                self._fail()
            case Verdict.EXCUSE:
                for number in self._causes.excuse():
                    self._workers[number].excused = True
                self._alarms.clear(Alarm.VICTIMS)
            case Verdict.WAIT:
                if not self._alarms.is_set(Alarm.VICTIMS):
                    self._alarms.set(Alarm.VICTIMS, self._clock.monotonic() + VICTIMS_S)

    def _fail(self) -> None:
        """The run has failed: say why, and end it."""
        cause = self._causes.root
        if cause is None or self._told_failure:
            return
        self._told_failure = True
        self._tell(RunFailed(error=error_facts(self._plan, cause)))
        reading = heirs(self._plan, cause.worker) if cause.worker >= 0 else frozenset()
        self._stopping.begin(self._clock.monotonic(), reading)

    def _progress(self, now: float) -> Event:
        return progress(
            self._plan,
            self._channels,
            self._wires.board,
            elapsed_s=now - self._began_s,
            running=self._workers.alive_numbers(),
            now_ns=time.monotonic_ns(),  # the workers' own clock, whatever ours is
        )

    def _look_at_start(self, watched: Watched, now: float) -> None:
        """A worker is not ready yet: say so, or give it up."""
        if watched.life is not Life.STARTING:
            return
        failure = self._starting.ring(watched, self._plan.stages[watched.plan.stage], now)
        if failure is not None:
            self._causes.note(watched.plan.index, failure)
            self._fail()

    def _look(self, now: float) -> None:
        """Look at the board: does anybody move, and is everybody still needed?"""
        board, alive = self._wires.board, self._workers.alive()
        still_s = self._standstill.look(alive, now)
        if self._drain.is_stuck(still_s, now) and not self._stopping.begun:
            self._drain.say_stuck(self._standstill.at_work(alive), still_s)
            self._stopping.begin(self._clock.monotonic())  # as if asked a second time
        numbers = [watched.plan.index for watched in alive]
        circle = self._stalls.look(board, numbers, lambda number: self._workers[number].asleep)
        if circle and not self._stopping.begun:
            text = f"every worker waits for another, and nothing can wake them: {circle}"
            self._causes.note_run("Deadlock", text)
            self._fail()
        self._cutting.look(now)

    def _end_lingering(self, watched: Watched) -> None:
        text = (
            f"the process was still there {LINGER_S:.0f} s after the stage had finished"
            " (a thread that never ends?), and was killed"
        )
        self._tell(watched.line("warning", text))
        self._ending.kill([watched])

    # ------------------------------------------------------------------ account

    def end(self) -> RunEnd:
        """How the run ended; asked once all is over."""
        pools = self._wires.pools()
        return RunEnd(
            id=self._terms.run_id,
            executor="local",
            started=self._started,
            wall_s=self._clock.monotonic() - self._began_s,
            seed=self._terms.seed,
            signal=self._drain.asked_by,
            causes=self._causes.known,
            records={
                number: watched.record(pools[self._plan.code_pool(number)])
                for number, watched in self._workers.items()
            },
        )


def _heeds_failures(causes: Causes, stopping: Stopping, drain: Drain) -> bool:
    """Whether what falls over now has failed: not what we stop in an interrupted run."""
    interrupted = stopping.begun and drain.asked_by
    return bool(causes.known) or not interrupted

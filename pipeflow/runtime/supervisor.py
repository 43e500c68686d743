"""The supervisor: starts the workers of a run, hears all of them, ends them.

    worker ──reports──> ┐
    worker ──prints───> ├─ one loop ──> what it means (pure) ──> events for the listener, and acts
    launch server ────> │  (select)
    signals ──────────> ┘

It waits on everything at once, so a death is news and never a silence; every wait ends at the next
alarm. It never touches an item. What follows from what was seen is decided elsewhere, by functions
of values: ``lifecycle``, ``root_cause``, ``deadlock``, ``early_end``.

No deadlock: workers may wait for us (a full pipe of reports or prints), we never wait for a worker.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from typing import Final, assert_never

from pipeflow.clock import Clock
from pipeflow.errors import MachineError
from pipeflow.planner.plan import Plan
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.launch.launcher import Launcher
from pipeflow.runtime.launch.messages import Exited, Launch
from pipeflow.runtime.launch.orders import launch_order, manager_order
from pipeflow.runtime.launch.wires import Wires
from pipeflow.runtime.messages import (
    Failed,
    Failure,
    Finished,
    ItemGivenUp,
    Logged,
    Ready,
    RunnerDied,
    RunnerReady,
    RunnerStarted,
    WorkerReport,
)
from pipeflow.runtime.progress import events_of, progress
from pipeflow.runtime.reporting import RunEnd, error_facts
from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.cutting import Cutting
from pipeflow.runtime.watch.drain import Drain
from pipeflow.runtime.watch.ending import Ending
from pipeflow.runtime.watch.hearing import Hearing
from pipeflow.runtime.watch.heirs import heirs
from pipeflow.runtime.watch.lifecycle import Happening, Life
from pipeflow.runtime.watch.obituary import Obituary, died
from pipeflow.runtime.watch.root_cause import Cause, root_cause
from pipeflow.runtime.watch.signals import SignalPipe
from pipeflow.runtime.watch.stalls import Stalls
from pipeflow.runtime.watch.standstill import Standstill
from pipeflow.runtime.watch.starting import Starting
from pipeflow.runtime.watch.terms import (
    LETTERS_S,
    LINGER_S,
    LOOK_S,
    OVERSTAY_S,
    TERM_S,
    VICTIMS_S,
    Terms,
)
from pipeflow.runtime.watch.verdict import Verdict, verdict
from pipeflow.runtime.watch.watched import Watched
from pipeflow.telemetry.events import (
    Event,
    LogLine,
    RunFailed,
    StageFinished,
    WorkerReady,
    WorkerRestarted,
    WorkerStarted,
)
from pipeflow.values import replace

_ATTEMPT: Final = 1


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
        self._workers = {
            worker.index: Watched(
                plan=worker,
                stage=plan.stages[worker.stage].name,
                alone=len(plan.sharing(worker.index)) == 1,
                isolated=plan.stages[worker.stage].isolated,
                is_source=not plan.stages[worker.stage].edges_in,
            )
            for worker in plan.workers
        }
        self._alarms = Alarms()
        self._selector = selectors.DefaultSelector()
        self._hearing = Hearing(wires, self._selector, on_report=self._note, on_line=self._print)
        self._ending = Ending(launcher)
        self._stalls = Stalls(plan, wires.lock_words)
        self._starting = Starting(
            plan,
            wires.board,
            wires.last_words,
            ending=self._ending,
            alarms=self._alarms,
            tell=tell,
            patience_s=terms.start_s,
        )
        self._standstill = Standstill(
            plan,
            wires.board,
            wires.last_words,
            stalls=self._stalls,
            ending=self._ending,
            tell=tell,
            after_s=terms.still_s,
        )
        self._obituary = Obituary(plan, wires.board, wires.last_words)
        self._drain = Drain(
            plan.stages, wires, alarms=self._alarms, tell=tell, grace_s=terms.grace_s
        )
        self._cutting = Cutting(
            plan,
            channels,
            wires.board,
            ending=self._ending,
            alarms=self._alarms,
            workers=self._workers,
        )
        self._causes: list[Cause] = []
        self._moment = 0  #: how often the loop has woken: what is seen in one look is one moment
        self._stopping = False
        self._heirs: frozenset[int] = frozenset()  #: they may go on though the run has failed
        self._told_failure = False
        self._judged = 0  #: failures that were seen by ``_judge``
        self._started = datetime.fromtimestamp(clock.time(), UTC)
        self._began_s = clock.monotonic()

    # -------------------------------------------------------------------- start

    def start(self) -> None:
        """Start every worker, readers before their writers.

        Raises:
            MachineError: One of them could not be started; closing the launcher ends the others.
        """
        if self._lacks_program():
            return
        for number, pid in self._launcher.launch(self._orders()):
            if number == self._plan.manager:
                continue  # it runs no code of the user's, and nobody waits for it to be ready
            for worker in self._plan.sharing(number):
                watched = self._workers[worker.index]
                watched.pid = pid
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
        worker, failure = missing
        self._causes.append(Cause(worker=worker, failure=failure, order=self._moment))
        for watched in self._workers.values():
            watched.see(Happening.STOP)
            watched.see(Happening.EXITED)
        return True

    def _orders(self) -> Iterator[Launch]:
        """An order for each process, with all workers that share it."""
        if self._plan.has_manager:
            yield manager_order(self._plan, self._wires.manager_door)
        for stage in self._plan.start_order:
            for worker in self._plan.workers_of(stage):
                if worker.process == worker.index:
                    yield self._order(worker.index)

    def _order(self, worker: int) -> Launch:
        briefs = tuple(
            self._wires.brief(
                each.index,
                seed=self._terms.seed,
                log_level=self._terms.log_level,
                attempt=_ATTEMPT,
                parent=self._launcher.parent,
            )
            for each in self._plan.sharing(worker)
        )
        keep, output = self._wires.keep(worker), self._wires.prints[worker][1]
        return launch_order(self._plan, briefs, keep=keep, output=output)

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
            while not all(worker.ended for worker in self._workers.values()):
                self._turn()
        self._judge(final=True)

    def _turn(self) -> None:
        """Wait for news or an alarm, and do what follows from it."""
        ready = self._selector.select(self._alarms.wait_s(self._clock.monotonic()))
        self._moment += 1
        for key, _ in ready:
            key.data()
        if self._new_failure():
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
                self._ending.kill(self._alive(but=self._heirs))
            case Alarm.LETTERS:
                self._end_heirs(now)
            case Alarm.GRACE:
                self._ending.interrupt(self._sources())
                self._alarms.set(Alarm.OVERSTAY, now + OVERSTAY_S)
            case Alarm.OVERSTAY:
                self._ending.excuse(self._sources())
            case Alarm.LINGER:
                self._end_lingering(self._workers[worker])
            case Alarm.CUT:
                self._cutting.ring(self._workers[worker], now)
            case _:
                assert_never(alarm)

    # --------------------------------------------------------------------- news

    def _note(self, watched: Watched, report: WorkerReport) -> None:
        number, replica = watched.plan.index, watched.plan.replica
        match report:
            case Ready():
                watched.see(Happening.READY)
                self._starting.over(watched, self._clock.monotonic())
                self._tell(WorkerReady(stage=watched.stage, replica=replica, pid=watched.pid))
            case Failed(failure):
                watched.see(Happening.FAILED)
                # What falls over when we stop an interrupted run is no failure of it.
                if not (self._stopping and self._drain.asked_by and not self._causes):
                    self._tell_all(report, watched)
                    self._causes.append(Cause(worker=number, failure=failure, order=self._moment))
            case Finished():
                watched.see(Happening.FINISHED)
                watched.finished = report
                self._alarms.set(Alarm.LINGER, self._clock.monotonic() + LINGER_S, number)
            case RunnerStarted(pid):
                self._note_runner(watched, pid)
            case RunnerReady():
                self._tell(WorkerReady(stage=watched.stage, replica=replica, pid=watched.pid))
            case RunnerDied(pid, status, item):
                self._tell(died(watched, pid, status, item))
            case ItemGivenUp() | Logged():
                self._tell_all(report, watched)
            case _:
                assert_never(report)

    def _note_runner(self, watched: Watched, pid: int) -> None:
        """Another process runs the user's code now."""
        stage, replica, before = watched.stage, watched.plan.replica, watched.runs_code
        watched.pid, watched.runs_code = pid, True
        if before:
            self._tell(WorkerRestarted(stage=stage, replica=replica, pid=pid))
        self._tell(WorkerStarted(stage=stage, replica=replica, pid=pid))

    def _tell_all(self, report: WorkerReport, watched: Watched) -> None:
        for event in events_of(report, watched.stage, watched.plan.replica):
            self._tell(event)

    def _print(self, watched: Watched, text: str) -> None:
        replica = watched.plan.replica
        self._tell(LogLine(stage=watched.stage, replica=replica, level="print", text=text))

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
        if exited.status == 0 or self._stopping:
            return
        failure = self._obituary.death_of_manager(exited.status)
        self._causes.append(Cause(worker=-1, failure=failure, order=self._moment))

    def _lose_launcher(self, error: MachineError) -> None:
        """Its process is gone, and the kernel has killed all workers with it."""
        self._selector.unregister(self._launcher.fileno())
        failure = Failure(phase="run", kind="MachineError", message=str(error))
        self._causes.append(Cause(worker=-1, failure=failure, order=self._moment))
        for watched in self._alive():
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
            together = {each.index for each in self._plan.sharing(number)}
            if any(cause.worker in together for cause in self._causes):
                failure = replace(failure, victim=True)  # the process died of what a mate did
            self._causes.append(Cause(worker=number, failure=failure, order=self._moment))
        if life is Life.FAILED and not (watched.excused or self._is_victim(number)):
            self._tell(died(watched, exited.pid, exited.status, item))
        mates = [w for w in self._workers.values() if w.plan.stage == watched.plan.stage]
        if all(mate.life is Life.DONE or (mate.excused and mate.ended) for mate in mates):
            self._tell(StageFinished(stage=watched.stage))

    def _is_victim(self, number: int) -> bool:
        return any(cause.worker == number and cause.failure.victim for cause in self._causes)

    def _read_everything(self) -> None:
        """Hear all that is known by now, so that the first cause is chosen among all failures."""
        for watched in self._alive():
            self._hearing.catch_up(watched)
        if any(not watched.ended for watched in self._workers.values()):
            self._hear_launcher()

    def _hear_signals(self) -> None:
        for number in self._signals.taken():
            if self._stopping:
                self._heirs = frozenset()
                self._ring(Alarm.KILL, -1)
            elif self._drain.asked_by:
                self._stop_all()
            else:
                self._drain.begin(number, self._alive(), self._clock.monotonic())

    # ---------------------------------------------------------------- decisions

    def _new_failure(self) -> bool:
        return len(self._causes) > self._judged

    def _judge(self, *, final: bool = False) -> None:
        """Decide what follows from the failures that are known."""
        self._judged = len(self._causes)
        ended_one = any(watched.excused for watched in self._workers.values())
        match verdict(self._causes, ended_one=ended_one, over=final):
            case Verdict.GO_ON:
                pass
            case Verdict.FAIL:
                self._fail()
            case Verdict.EXCUSE:
                for cause in self._causes:
                    self._workers[cause.worker].excused = True
                self._causes.clear()
                self._judged = 0
                self._alarms.clear(Alarm.VICTIMS)
            case Verdict.WAIT:
                if not self._alarms.is_set(Alarm.VICTIMS):
                    self._alarms.set(Alarm.VICTIMS, self._clock.monotonic() + VICTIMS_S)

    def _fail(self) -> None:
        """The run has failed: say why, and end it."""
        cause = root_cause(self._causes)
        if cause is None or self._told_failure:
            return
        self._told_failure = True
        self._tell(RunFailed(error=error_facts(self._plan, cause)))
        if cause.worker >= 0:
            self._heirs = heirs(self._plan, cause.worker)
        self._stop_all()

    def _progress(self, now: float) -> Event:
        return progress(
            self._plan,
            self._channels,
            self._wires.board,
            elapsed_s=now - self._began_s,
            running=[watched.plan.index for watched in self._alive()],
            now_ns=time.monotonic_ns(),  # the workers' own clock, whatever ours is
        )

    def _look_at_start(self, watched: Watched, now: float) -> None:
        """A worker is not ready yet: say so, or give it up."""
        if watched.life is not Life.STARTING:
            return
        failure = self._starting.ring(watched, self._plan.stages[watched.plan.stage], now)
        if failure is not None:
            self._causes.append(
                Cause(worker=watched.plan.index, failure=failure, order=self._moment)
            )
            self._fail()

    def _look(self, now: float) -> None:
        """Look at the board: does anybody move, and is everybody still needed?"""
        board = self._wires.board
        alive = [watched.plan.index for watched in self._alive()]
        still_s = self._standstill.look(self._alive(), now)
        if self._drain.is_stuck(still_s, now) and not self._stopping:
            self._drain.say_stuck(self._standstill.at_work(self._alive()), still_s)
            self._stop_all()  # as if asked a second time
        circle = self._stalls.look(board, alive)
        if circle and not self._stopping:
            text = f"every worker waits for another, and nothing can wake them: {circle}"
            failure = Failure(phase="run", kind="Deadlock", message=text)
            self._causes.append(Cause(worker=-1, failure=failure, order=self._moment))
            self._fail()
        self._cutting.look(now)

    def _stop_all(self) -> None:
        """End every worker: ask, and kill who is still there a moment later."""
        if not self._stopping:
            self._stopping, now = True, self._clock.monotonic()
            self._ending.ask(self._alive(but=self._heirs))
            self._alarms.set(Alarm.KILL, now + TERM_S)
            self._alarms.set(Alarm.LETTERS, now + LETTERS_S)

    def _end_heirs(self, now: float) -> None:
        """Who reads the dead letters of what failed has had its time."""
        self._heirs = frozenset()
        self._ending.ask(self._alive())
        self._alarms.set(Alarm.KILL, now + TERM_S)

    def _end_lingering(self, watched: Watched) -> None:
        text = (
            f"the process was still there {LINGER_S:.0f} s after the stage had finished"
            " (a thread that never ends?), and was killed"
        )
        replica = watched.plan.replica
        self._tell(LogLine(stage=watched.stage, replica=replica, level="warning", text=text))
        self._ending.kill([watched])

    def _alive(self, *, but: Collection[int] = ()) -> list[Watched]:
        return [
            watched
            for watched in self._workers.values()
            if not watched.ended and watched.plan.index not in but
        ]

    def _sources(self) -> list[Watched]:
        return [watched for watched in self._alive() if watched.is_source and watched.at_work]

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
            causes=tuple(self._causes),
            records={
                number: watched.record(pools[self._plan.code_pool(number)])
                for number, watched in self._workers.items()
            },
        )

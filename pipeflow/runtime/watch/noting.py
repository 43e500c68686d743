"""What a worker reports or prints: noted in what is known of it, and told to the listener."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from pipeflow.clock import Clock
from pipeflow.runtime.messages import (
    Failed,
    Finished,
    ItemGivenUp,
    Logged,
    Ready,
    RunnerDied,
    RunnerReady,
    RunnerStarted,
    WorkerReport,
)
from pipeflow.runtime.progress import events_of
from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.causes import Causes
from pipeflow.runtime.watch.lifecycle import Happening
from pipeflow.runtime.watch.obituary import died
from pipeflow.runtime.watch.starting import Starting
from pipeflow.runtime.watch.terms import LINGER_S
from pipeflow.runtime.watch.watched import Watched
from pipeflow.telemetry.events import Event, WorkerReady, WorkerRestarted, WorkerStarted


class Noting:
    """Hears the workers' words one by one. It ends nobody: what follows is the supervisor's.

    Args:
        causes: Where failures are noted.
        heeds_failures: Whether what fails now is a failure of the run.
        starting: Is told who is ready.
        alarms: Where it is set how long a process may outlive its worker.
        tell: Hears each event.
        clock: For alarms.
    """

    def __init__(
        self,
        *,
        causes: Causes,
        heeds_failures: Callable[[], bool],
        starting: Starting,
        alarms: Alarms,
        tell: Callable[[Event], None],
        clock: Clock,
    ) -> None:
        self._causes, self._heeds_failures = causes, heeds_failures
        self._starting, self._alarms = starting, alarms
        self._tell, self._clock = tell, clock

    def report(self, watched: Watched, report: WorkerReport) -> None:
        """A worker has reported."""
        match report:
            case Ready():
                watched.see(Happening.READY)
                self._starting.over(watched, self._clock.monotonic())
                self._tell_ready(watched)
            case Failed(failure):
                watched.see(Happening.FAILED)
                if self._heeds_failures():
                    self._tell_items(watched, report)
                    self._causes.note(watched.plan.index, failure)
            case Finished():
                watched.see(Happening.FINISHED)
                watched.finished = report
                until_s = self._clock.monotonic() + LINGER_S
                self._alarms.set(Alarm.LINGER, until_s, watched.plan.index)
            case RunnerStarted(pid):
                self._note_runner(watched, pid)
            case RunnerReady():
                self._tell_ready(watched)
            case RunnerDied(pid, status, item):
                self._tell(died(watched, pid, status, item))
            case ItemGivenUp() | Logged():
                self._tell_items(watched, report)
            case _:
                assert_never(report)

    def line(self, watched: Watched, text: str) -> None:
        """A worker has printed a line."""
        self._tell(watched.line("print", text))

    def _note_runner(self, watched: Watched, pid: int) -> None:
        """Another process runs the user's code now."""
        stage, replica, before = watched.stage, watched.plan.replica, watched.runs_code
        watched.pid, watched.runs_code = pid, True
        if before:
            self._tell(WorkerRestarted(stage=stage, replica=replica, pid=pid))
        self._tell(WorkerStarted(stage=stage, replica=replica, pid=pid))

    def _tell_ready(self, watched: Watched) -> None:
        replica = watched.plan.replica
        self._tell(WorkerReady(stage=watched.stage, replica=replica, pid=watched.pid))

    def _tell_items(self, watched: Watched, report: WorkerReport) -> None:
        for event in events_of(report, watched.stage, watched.plan.replica):
            self._tell(event)

"""Ends workers: asks, interrupts, kills. Whom and when the supervisor decides."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from pipeflow.errors import MachineError
from pipeflow.runtime.last_words import WHERE_SIGNAL
from pipeflow.runtime.launch.launcher import Launcher
from pipeflow.runtime.messages import DRAIN_SIGNAL
from pipeflow.runtime.watch.lifecycle import Happening, Life
from pipeflow.runtime.watch.watched import Watched


class Ending:
    """Sends what ends a worker, and notes in its life that we did.

    Args:
        launcher: Which has the processes.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def ask(self, workers: Iterable[Watched]) -> None:
        """Ask them to end. Who has said that it is about to end by itself is left alone."""
        for watched in workers:
            if watched.at_work:
                # A keeper must not take it for the death of its runner's item: it ends it itself.
                self._send(watched, signal.SIGTERM, whole_group=not watched.isolated)
                self._send(watched, signal.SIGCONT)  # one that is stopped hears SIGTERM only then
            watched.see(Happening.STOP)

    def kill(self, workers: Iterable[Watched]) -> None:
        """Kill them, and all that they have started."""
        for watched in workers:
            watched.see(Happening.STOP)
            self._send(watched, signal.SIGKILL)

    def excuse(self, workers: Iterable[Watched]) -> None:
        """Kill them for reasons of ours: they have not failed."""
        for watched in workers:
            watched.excused = True
            self.kill([watched])

    def interrupt(self, workers: Iterable[Watched]) -> None:
        """Get them out of a blocking call. One that is not ready yet would just be killed."""
        for watched in workers:
            if watched.life is Life.RUNNING:
                self._send(watched, DRAIN_SIGNAL, whole_group=False)

    def ask_where(self, workers: Iterable[Watched]) -> None:
        """Have them write down where they are, for the supervisor to read."""
        for watched in workers:
            self._send(watched, WHERE_SIGNAL, whole_group=False)

    def _send(self, watched: Watched, number: int, *, whole_group: bool = True) -> None:
        try:
            self._launcher.signal(watched.plan.process, number, whole_group=whole_group)
        except MachineError:
            pass  # the launch server is gone, its workers with it: its socket tells us next

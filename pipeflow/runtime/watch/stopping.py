"""A stop: the run ends before its time, since it has failed or was asked a second time."""

from __future__ import annotations

from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.ending import Ending
from pipeflow.runtime.watch.terms import LETTERS_S, TERM_S
from pipeflow.runtime.watch.workers import Workers


class Stopping:
    """Asks every worker to end, and kills who is still there a moment later.

    The heirs of a stage that failed go on for a while: they see its dead letters to the end.

    Args:
        workers: All of them.
        ending: Sends what ends them.
        alarms: Where it is set how long they have.

    Attributes:
        begun: The run is being stopped.
    """

    def __init__(self, workers: Workers, ending: Ending, alarms: Alarms) -> None:
        self._workers, self._ending, self._alarms = workers, ending, alarms
        self._heirs: frozenset[int] = frozenset()
        self.begun = False

    def begin(self, now: float, heirs: frozenset[int] = frozenset()) -> None:
        """End every worker but some; in a stop that goes on already, these are spared from now."""
        self._heirs = heirs
        if not self.begun:
            self.begun = True
            self._ending.ask(self._workers.alive(but=heirs))
            self._alarms.set(Alarm.KILL, now + TERM_S)
            self._alarms.set(Alarm.LETTERS, now + LETTERS_S)

    def end_heirs(self, now: float) -> None:
        """Who reads the dead letters of what failed has had its time."""
        self._heirs = frozenset()
        self._ending.ask(self._workers.alive())
        self._alarms.set(Alarm.KILL, now + TERM_S)

    def kill(self) -> None:
        """Who was asked has had its time."""
        self._ending.kill(self._workers.alive(but=self._heirs))

    def kill_all(self) -> None:
        """Nobody has any time left: we were asked once more."""
        self._heirs = frozenset()
        self.kill()

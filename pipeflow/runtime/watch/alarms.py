"""Moments at which the supervisor has something to do, unless it happened before. Pure."""

from __future__ import annotations

from enum import Enum


class Alarm(Enum):
    """What is due."""

    PROGRESS = "progress"  #: tell the listener how things stand
    START = "start"  #: a worker should be ready by now
    LOOK = "look"  #: look at the board for a circle of waits, and for workers nobody needs
    VICTIMS = "victims"  #: nobody has said what the victims are victims of
    KILL = "kill"  #: who was asked to end has had its time
    GRACE = "grace"  #: the sources of a drained run have had their time
    OVERSTAY = "overstay"  #: sources that were interrupted are still there
    LINGER = "linger"  #: a worker has finished, and its process is still there
    LETTERS = "letters"  #: who gets the dead letters of a stage that failed has had its time
    CUT = "cut"  #: nobody needs a worker any more, and it is still in one call


class Alarms:
    """Alarms that are set, each with the number of its worker, or -1."""

    def __init__(self) -> None:
        self._at: dict[tuple[Alarm, int], float] = {}

    def set(self, alarm: Alarm, at_s: float, worker: int = -1) -> None:
        """Set, or set anew."""
        self._at[alarm, worker] = at_s

    def is_set(self, alarm: Alarm, worker: int = -1) -> bool:
        """Whether it is still to come."""
        return (alarm, worker) in self._at

    def clear(self, alarm: Alarm, worker: int = -1) -> None:
        """Forget it, set or not."""
        self._at.pop((alarm, worker), None)

    def due(self, now_s: float) -> list[tuple[Alarm, int]]:
        """Those whose time has come, earliest first; they are no longer set."""
        due = sorted((at, key[0].value, key) for key, at in self._at.items() if at <= now_s)
        for _, _, key in due:
            del self._at[key]
        return [key for _, _, key in due]

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until the next one, at least 0; ``None`` when none is set."""
        return max(0.0, min(self._at.values()) - now_s) if self._at else None

"""The life of a worker as its supervisor sees it: states, events, and every move there is. Pure.

    STARTING ──ready──> RUNNING ──finished──> FINISHING ──exited──> DONE
        │                  ├─────failed─────> FAILING ────exited──> FAILED
        └─── stop ─────────┴──────stop──────> STOPPING ───exited──> STOPPED

Whoever exits while starting or running died without a word: it failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Life(Enum):
    """Where a worker is in its life; the last three are ends."""

    STARTING = "starting"  #: its process exists; the stage is being loaded
    RUNNING = "running"
    FINISHING = "finishing"  #: it has said that all is done; its process ends
    FAILING = "failing"  #: it has said why it failed; its process ends
    STOPPING = "stopping"  #: we told it to end
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class Happening(Enum):
    """What the supervisor saw, or decided, of a worker."""

    READY = "ready"
    FINISHED = "finished"
    FAILED = "failed"
    STOP = "stop"
    EXITED = "exited"


#: States in which no process is left.
ENDED: Final = frozenset({Life.DONE, Life.FAILED, Life.STOPPED})

#: Every move a worker can make. A pair that is not here is a bug, and raises.
NEXT: Final[Mapping[Life, Mapping[Happening, Life]]] = {
    Life.STARTING: {
        Happening.READY: Life.RUNNING,
        Happening.FINISHED: Life.FINISHING,  # its readers were gone before it began
        Happening.FAILED: Life.FAILING,
        Happening.STOP: Life.STOPPING,
        Happening.EXITED: Life.FAILED,
    },
    Life.RUNNING: {
        Happening.FINISHED: Life.FINISHING,
        Happening.FAILED: Life.FAILING,
        Happening.STOP: Life.STOPPING,
        Happening.EXITED: Life.FAILED,
    },
    Life.FINISHING: {
        Happening.STOP: Life.FINISHING,  # it lingers: ending it now undoes nothing
        Happening.FAILED: Life.FAILING,
        Happening.EXITED: Life.DONE,
    },
    Life.FAILING: {
        Happening.STOP: Life.FAILING,
        Happening.FAILED: Life.FAILING,
        Happening.EXITED: Life.FAILED,
    },
    Life.STOPPING: {
        # What it still says was written before the signal came, or because of it.
        Happening.READY: Life.STOPPING,
        Happening.FINISHED: Life.FINISHING,
        Happening.FAILED: Life.STOPPING,
        Happening.STOP: Life.STOPPING,
        Happening.EXITED: Life.STOPPED,
    },
    Life.DONE: {},
    Life.FAILED: {},
    Life.STOPPED: {},
}


class ImpossibleMove(Exception):
    """A worker was told or said what cannot be in its state: a bug of ours."""

    def __init__(self, state: Life, happening: Happening) -> None:
        super().__init__(state, happening)
        self.state, self.happening = state, happening

    def __str__(self) -> str:
        return f"a worker that is {self.state.value} cannot see '{self.happening.value}'"


def move(state: Life, happening: Happening) -> Life:
    """The state after what happened.

    Raises:
        ImpossibleMove: There is no such move.
    """
    try:
        return NEXT[state][happening]
    except KeyError:
        raise ImpossibleMove(state, happening) from None

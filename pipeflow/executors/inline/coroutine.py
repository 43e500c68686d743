"""Stages that take turns in one process.

A stage whose code is called item by item gives way by itself. A stream function does not: it asks
its input for the next item and expects to get it. So each of those runs in a thread of its own,
and exactly one thread runs at any time: the baton goes there and back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

from pipeflow.runtime.loops.base import WAITS
from pipeflow.runtime.loops.stopped import Cancelled
from pipeflow.stages.shared_lock import TURN_THREAD

#: Longest time for which a signal may go unseen; Python has only the main thread handle them, and
#: the kernel wakes whichever thread it likes.
_LOOK_S: Final = 0.2


class Steps:
    """A stage that gives way by itself.

    Args:
        steps: The steps of its loop.
    """

    def __init__(self, steps: Iterator[bool]) -> None:
        self._steps = steps

    def resume(self) -> bool | None:
        """Let it have its turn; what it yields, or ``None`` when it is done."""
        return next(self._steps, None)

    def cancel(self) -> None:
        """End it where it is."""
        close = getattr(self._steps, "close", None)
        if close is not None:
            close()


class Baton:
    """A stage in a thread of its own, resumed and waited for.

    Args:
        steps: Makes the steps of its loop; called in the thread.
    """

    def __init__(self, steps: Callable[[], Iterator[bool]]) -> None:
        self._make_steps = steps
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._yielded: bool | None = None
        self._error: BaseException | None = None
        self._cancelled = False
        #: A signal called us away from a thread that was in the user's code and may stay there.
        self._stray = False

    def resume(self) -> bool | None:
        """Let it run until it gives way; what it yields, or ``None`` when it is done."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=TURN_THREAD, daemon=True)
            self._thread.start()
        elif not self._thread.is_alive():
            return None
        self._turn.release()
        try:
            while not self._back.acquire(timeout=_LOOK_S):
                pass  # a signal that another thread was given waits for this one to look up
        except BaseException:
            self._stray = True
            raise
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._yielded is None:
            self._thread.join()
        return self._yielded

    def cancel(self) -> None:
        """End it where it is; in the user's code nobody can, so there it ends at its next wait."""
        if self._thread is None or not self._thread.is_alive():
            return
        self._cancelled = True
        self._turn.release()
        if not self._stray:
            self._thread.join()

    def wait(self) -> None:
        """Give way from within: called in the thread, by the stage's own wait."""
        self._give_way(yielded=WAITS)

    def _give_way(self, *, yielded: bool) -> None:
        self._yielded = yielded
        self._back.release()
        self._turn.acquire()
        if self._cancelled:
            raise Cancelled

    def _run(self) -> None:
        self._turn.acquire()
        try:
            if not self._cancelled:
                for yielded in self._make_steps():
                    self._give_way(yielded=yielded)
        except Cancelled:
            return
        except BaseException as error:  # handed to the thread that waits: a boundary
            self._error = error
        self._yielded = None
        self._back.release()

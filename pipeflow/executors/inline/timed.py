"""``timeout`` where there is but one process: the alarm of the system interrupts a call.

It raises ``TimeoutError`` in the user's code, which ends sleeps and Python code but no call that
stays in compiled code; and it needs the main thread. Elsewhere a call is judged when it returns.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, Final

from pipeflow.runtime.loops.calls import is_many

#: An alarm in no time at all would be none.
_SHORTEST_S: Final = 1e-6


def within(call: Callable[..., Any], limit_s: float) -> Callable[..., Any]:
    """The same call, which raises ``TimeoutError`` when an item takes longer than it may.

    Args:
        call: The user's function; it may give an iterator, whose steps count as well.
        limit_s: Seconds for one item, waits for edges not counted.
    """

    def timed(*payloads: Any) -> Any:
        began = time.monotonic()
        with _limit(limit_s, limit_s):
            result = call(*payloads)
        if is_many(result):
            return _steps(result, limit_s, limit_s - (time.monotonic() - began))
        return result

    return timed


def _steps(results: Iterator[Any], limit_s: float, left_s: float) -> Iterator[Any]:
    """The results, as long as making them takes no longer than what is left."""
    try:
        while True:
            began = time.monotonic()
            with _limit(limit_s, left_s):
                try:
                    result = next(results)
                except StopIteration:
                    return
            left_s -= time.monotonic() - began
            yield result
    finally:
        close = getattr(results, "close", None)
        if close is not None:
            close()


@contextmanager
def _limit(limit_s: float, left_s: float) -> Iterator[None]:
    """Bound the time of what is done within.

    Raises:
        TimeoutError: It took longer.
    """
    began = time.monotonic()
    rings = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    with _alarm(limit_s, left_s) if rings else nullcontext():
        yield
    if time.monotonic() - began > left_s:
        raise _overdue(limit_s)


@contextmanager
def _alarm(limit_s: float, left_s: float) -> Iterator[None]:
    """Have the alarm of the system ring; one that somebody else had set rings afterwards."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _overdue(limit_s)

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    theirs_s, every_s = signal.setitimer(signal.ITIMER_REAL, max(left_s, _SHORTEST_S))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if theirs_s:
            theirs_s -= time.monotonic() - began
            signal.setitimer(signal.ITIMER_REAL, max(theirs_s, _SHORTEST_S), every_s)


def _overdue(limit_s: float) -> TimeoutError:
    return TimeoutError(f"it took longer than its timeout of {limit_s:g} s")

"""Waiting in the one process of an inline run: in naps, so that a signal is seen in between."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Final

#: Longest nap, in seconds: Python goes on sleeping after a signal.
NAP_S: Final = 0.05

#: Waits so many seconds, or until the second argument says that there is no more need.
Pause = Callable[[float, Callable[[], bool]], None]


def pause(
    seconds: float,
    cut_short: Callable[[], bool],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """See ``Pause``."""
    until = now() + seconds
    while not cut_short() and (left_s := until - now()) > 0:
        sleep(min(left_s, NAP_S))


def await_input(
    fd: int,
    seconds: float | None,
    cut_short: Callable[[], bool],
    *,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until a descriptor can be read, so many seconds at most; see ``Pause``."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    until = None if seconds is None else now() + seconds
    left_s = NAP_S
    while left_s > 0 and not poll.poll(min(left_s, NAP_S) * 1000) and not cut_short():
        left_s = NAP_S if until is None else until - now()

"""Waiting for the clock or the world, such that a drain or an early end ends the wait at once."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Iterator
from itertools import count as numbers

from pipeflow.stages.context import current


def rest(seconds: float | None = None, fd: int = -1) -> bool:
    """Wait so many seconds, or until a descriptor can be read; whether the source is to go on.

    Args:
        seconds: The longest wait; ``None``: any.
        fd: What to wait for; -1: nothing but the clock.
    """
    context = current()
    if context is not None and context.rest is not None:
        context.rest(seconds, fd)
    elif fd >= 0:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(None if seconds is None else seconds * 1000)
    elif seconds is not None:
        time.sleep(max(0.0, seconds))
    return context is None or not context.stopping()


def ticks(every_s: float, count: int | None) -> Iterator[int]:
    """0 at once, then a number at each multiple of an interval, until there are ``count``.

    Multiples that pass while the next number is not asked for are left out. Ends with the drain.
    """
    begun = time.monotonic()
    for number in numbers() if count is None else range(count):
        if number:
            passed = math.floor((time.monotonic() - begun) / every_s)
            if not rest(begun + (passed + 1) * every_s - time.monotonic()):
                return
        yield number

"""A short look-out before a sleep: what is nearly there is met without the price of a wake-up.

To put a process to sleep and wake it again costs tens of microseconds, more than a small batch is
worth. After each look the processor is given away (``sched_yield``), so that a stage that is busy
never waits for one that is not; and whoever has looked in vain a few times rarely looks at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter
from typing import Final, TypeVar

_T = TypeVar("_T")

#: Longest look-out, in seconds, of a stage that asks for it (``resources: {spin: true}``).
SPIN_S: Final = 500e-6
#: The same of any other.
SHORT_S: Final = 200e-6
#: A look-out that was in vain so many times in a row is left out, but for one now and then.
PATIENCE: Final = 3
RETRY_EVERY: Final = 16


class LookOut:
    """Looks a while before a wait. One for each kind of wait of a worker.

    Args:
        longest_s: Longest time to look, in seconds.
        now: Seconds.

    Attributes:
        looked: Somebody has just looked in vain on its behalf: once it does not look again.
    """

    def __init__(self, longest_s: float, now: Callable[[], float] = perf_counter) -> None:
        self._longest_s, self._now = longest_s, now
        self._vain = 0
        self.looked = False

    @property
    def longest_ns(self) -> int:
        """Longest time to look, in nanoseconds."""
        return int(self._longest_s * 1e9)

    def sees(self, ready: Callable[[], _T]) -> _T | None:
        """What ``ready``, asked again and again, has answered if it came about soon.

        Returns:
            Its first answer that is true; ``None`` if there was none.
        """
        if self.looked:
            self.looked = False
            return None
        if self._vain >= PATIENCE and self._vain % RETRY_EVERY:
            self._vain += 1
            return None
        until = self._now() + self._longest_s
        while not (found := ready()):
            if self._now() >= until:
                self._vain += 1
                return None
            _give_way()
        self._vain = 0
        return found


def _give_way() -> None:
    """Let others have the processor, where the system knows how."""


if hasattr(os, "sched_yield"):
    _give_way = os.sched_yield

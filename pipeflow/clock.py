"""Time, as an argument: the real clock, and what a fake one must offer."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where code that waits or measures gets its time from."""

    def monotonic(self) -> float:
        """Seconds that only grow; for time-outs and durations."""
        ...

    def time(self) -> float:
        """Seconds since 1970 UTC; only ever shown to people."""
        ...


class RealClock:
    """The clock of the machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

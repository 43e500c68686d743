"""A clock that a test moves."""

from __future__ import annotations


class FakeClock:
    """Time that stands still until the test moves it, or somebody sleeps.

    It has the names of the standard module ``time``, so it can take its place in the module of a
    stage: ``monkeypatch.setattr(stages, "time", FakeClock())``; or hand it to what takes a clock.

    Args:
        start: What ``time()`` says at first, in seconds since 1970.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._passed = 0.0
        #: How long each sleep was, in order.
        self.sleeps: list[float] = []

    def time(self) -> float:
        """Seconds since 1970 UTC."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """Seconds that only grow; 0 at first."""
        return self._passed

    perf_counter = monotonic

    def time_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return round(self.time() * 1e9)

    def monotonic_ns(self) -> int:
        """Nanoseconds that only grow."""
        return round(self._passed * 1e9)

    perf_counter_ns = monotonic_ns

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass at once, and note it."""
        self.sleeps.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass.

        Raises:
            ValueError: They are negative: time only grows.
        """
        if seconds < 0:
            raise ValueError(f"time only grows, and cannot be moved by {seconds} s")
        self._passed += seconds

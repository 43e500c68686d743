"""Moderation: when a reader waits a moment on purpose, so that it wakes once for several frames.

A process that wakes up takes a core from another, which finds its caches cold when it goes on. A
reader that puts the results of replicas in order hears of each of them, though most have to wait
for their turn anyway; where every core computes, these wake-ups cost the replicas more than all
that the reader does. So it looks for what has come every few milliseconds only, as a network card
does with its interrupts (interrupt moderation, as of Linux' NAPI), as long as that merges several
frames and keeps no writer waiting. Pure.
"""

from __future__ import annotations

from typing import Final

#: Longest wait on purpose, in seconds: half of what replicas are dealt at a time.
LONGEST_S: Final = 5e-3
#: So many frames are to come during one.
WANTED: Final = 6
#: With fewer it was in vain.
FEWEST: Final = 3
#: Mean time from frame to frame that is worth it, in seconds: below, there is enough to do anyway.
PACE_S: Final = (200e-6, LONGEST_S / FEWEST)
#: Over so many frames that is judged; and after a wait in vain, over so many.
ENOUGH: Final = 8
AFTER_VAIN: Final = 64


class Moderation:
    """How long one reader waits on purpose.

    Args:
        now: The time, in seconds.
    """

    def __init__(self, now: float) -> None:
        self._wait_s = 0.0  # as it was judged last
        self._waited = False
        self._frames = 0  # at the last look
        self._from, self._since, self._enough = 0, now, ENOUGH  # what it is judged by

    def wait_s(self, frames: int, now: float, *, held_up: bool) -> float:
        """How long to wait before the next look, in seconds; 0: not at all.

        Args:
            frames: How many were received so far.
            now: The time, in seconds.
            held_up: A writer waits for room, or what came was more than small items.
        """
        came, self._frames = frames - self._frames, frames
        if held_up or (self._waited and came < FEWEST):
            self._judge_anew(frames, now, AFTER_VAIN)
        elif frames - self._from >= self._enough:
            pace_s = (now - self._since) / (frames - self._from)
            self._judge_anew(frames, now, ENOUGH)
            if PACE_S[0] <= pace_s <= PACE_S[1]:
                self._wait_s = min(LONGEST_S, WANTED * pace_s)
        self._waited = self._wait_s > 0
        return self._wait_s

    def _judge_anew(self, frames: int, now: float, enough: int) -> None:
        self._wait_s = 0.0
        self._from, self._since, self._enough = frames, now, enough

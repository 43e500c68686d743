"""How far ahead replicas are dealt, each by its own pace, and how often one looks at them. Pure."""

from __future__ import annotations

from typing import Final

from pipeflow.runtime.board import Words
from pipeflow.runtime.flow.pacing import GROWTH

#: The work of so many seconds is dealt ahead, and at least one item beside that in hand.
AHEAD_S: Final = 0.15
#: How far ahead to deal is looked at again after so many seconds.
LOOK_AHEAD_S: Final = 0.1
#: Seconds between two looks at the replicas while frames are kept back: at most, and at least.
REST_S: Final = 0.05
LEAST_S: Final = 0.001
#: At the end, when no more will come, it is only this part of it, and one looks at least so often,
#: in seconds: what is dealt last must not lie with one of them when the others are done.
LAST_PARTS: Final = 4
LAST_REST_S: Final = 0.01
#: With so much of it left one may rest longer.
ENOUGH_LEFT: Final = 0.5
#: So many items are dealt ahead before anything is known of the replicas.
AHEAD_AT_FIRST: Final = 2


class Pace:
    """How far ahead one replica is dealt.

    Args:
        cells: The words of its channel, and those that count credits sent and taken.
        now: Seconds.

    Attributes:
        ahead: How many items beside those in hand.
    """

    __slots__ = ("_at", "_before", "_sent", "_taken", "_words", "ahead")

    def __init__(self, cells: tuple[Words, int, int], now: float) -> None:
        self._words, self._sent, self._taken = cells
        self._at, self._before, self.ahead = now, 0, AHEAD_AT_FIRST

    def look(self, now: float, *, kept_short: bool) -> None:
        """See how fast it is, if that can be told by now.

        Args:
            now: Seconds.
            kept_short: There is more that it might have been dealt.
        """
        words = self._words
        taken = words[self._taken]
        idle, items, elapsed_s = taken >= words[self._sent], taken - self._before, now - self._at
        if idle and not kept_short:
            # It waits for what comes, and how fast it is nobody knows.
            self._at, self._before = now, taken
            return
        if elapsed_s < LOOK_AHEAD_S and items < (2 if idle else GROWTH * self.ahead):
            return
        self._at, self._before = now, taken
        ahead = items_ahead(items / max(elapsed_s, 1e-9), before=self.ahead)
        if idle:
            self.ahead = max(self.ahead, ahead)  # it could not be any faster
        elif kept_short:
            self.ahead = ahead
        else:
            self.ahead = min(self.ahead, ahead)  # there was no need for more


def items_ahead(rate: float, *, before: int) -> int:
    """How many items beside those in hand a replica is dealt.

    Args:
        rate: Items that one reader takes in a second.
        before: How many they were; see ``frame_items``.
    """
    return max(1, min(GROWTH * before, int(rate * AHEAD_S)))


def rest_s(before_s: float, *, left: float, last: bool = False) -> float:
    """How long to rest before the replicas are looked at again, in seconds.

    Args:
        before_s: How long it was.
        left: Part of what a replica is dealt ahead that the one with the least to do has left.
        last: No more will come.
    """
    longest_s = LAST_REST_S if last else REST_S
    # Nothing left: it had nothing to do by then, but what is in its hand.
    factor = 0.5 if left <= 0 else (1.5 if left >= ENOUGH_LEFT else 1.0)
    return max(LEAST_S, min(longest_s, factor * before_s))

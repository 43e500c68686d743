"""How long a pool that found the limit of memory reached goes on asking. Pure.

Who holds an array may be at work on it, and let go in a moment; or it keeps it, and may wait for
us. So nobody waits for a holder: the pool asks again as long as somebody is at work who may let go
by himself, and as long as memory moves at all.
"""

from __future__ import annotations

from typing import Final

#: Who is woken takes its time on a busy machine: all must have waited for so long.
STILL_S: Final = 0.5
#: A stage that has kept what it holds for so long, at work or not, keeps it.
LONGEST_S: Final = 30.0


class Hope:
    """That memory comes back.

    Args:
        now: Seconds.
    """

    def __init__(self, now: float) -> None:
        self._stirred_at = self._moved_at = now
        self._seen: object = None

    def is_over(self, now: float, *, seen: object, stirs: bool) -> bool:
        """Whether to give up, from one more look.

        Args:
            now: Seconds.
            seen: Who holds how much; it differs when memory moves.
            stirs: Somebody who may let go is at work, or there is room that two of us want.
        """
        if seen != self._seen:
            self._seen, self._moved_at, self._stirred_at = seen, now, now
        if stirs:
            self._stirred_at = now
        return now - self._stirred_at >= STILL_S or now - self._moved_at >= LONGEST_S

"""How many items a frame to replicas may hold, by how fast they take them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeflow.runtime.flow.pacing import GROWTH

#: A frame holds what its reader does in that time, in seconds; and at least one item. Replicas that
#: get but a part of a processor must not be dealt crumbs: these would slow them down further.
SHARE_S: Final = 0.01
#: How fast the readers are is looked at again after so many seconds: if they have taken a frame,
#: and in any case.
LOOK_S: Final = 0.001
LONGEST_LOOK_S: Final = 0.1


class FrameSize:
    """Sees from time to time how fast some readers are.

    Args:
        taken: How many items they have taken, in all.
        readers: How many they are.
        now: Seconds.
    """

    def __init__(self, taken: Callable[[], int], readers: int, now: float) -> None:
        self._taken, self._readers = taken, readers
        self._looked_at, self._before = now, taken()

    def look(self, now: float, *, before: int, most: int) -> int:
        """How many items the next frames may hold.

        Args:
            now: Seconds.
            before: How many they held.
            most: Never more.
        """
        elapsed_s = now - self._looked_at
        if elapsed_s < LOOK_S:
            return before
        taken = self._taken()
        items = taken - self._before
        # Slow ones may have taken nothing in a look's time, and that says nothing of their pace.
        if items < before and elapsed_s < LONGEST_LOOK_S:
            return before
        self._looked_at, self._before = now, taken
        return frame_items(items / elapsed_s / self._readers, before=before, most=most)


def frame_items(rate: float, *, before: int, most: int) -> int:
    """How many items the next frames may hold.

    Args:
        rate: Items that one reader takes in a second.
        before: How many they held; it grows by steps, for one look says little.
        most: Never more.
    """
    return max(1, min(most, GROWTH * before, int(rate * SHARE_S)))

"""How many items are worth a frame, by how quickly they come. Pure.

A compiled outlet paces itself by the same rules and numbers (``stretch/pacing.h``).
"""

from __future__ import annotations

from typing import Final

#: Where items come faster than this, in seconds, to wake the reader costs more than to make one:
#: an idle reader gets what comes in ``GAP_S`` in one frame. Slower ones leave at once.
FAST_S: Final = 0.000005
#: See there; in seconds.
GAP_S: Final = 0.0002
#: What waits so long, in seconds, leaves with the next item even if no reader is idle: half of what
#: the second thread lets it wait, and a frame costs little beside it.
LATE_S: Final = 0.0005
#: How much more items a frame may hold than the one before.
GROWTH: Final = 4
#: How often, while so many more items come, a reader that is still busy is looked at.
LOOKS: Final = 2


def worth_a_frame(items: int, elapsed_s: float, *, before: int, most: int) -> int:
    """How many items the next frame should hold if its reader is idle; see ``FAST_S``.

    Args:
        items: Some that have just come.
        elapsed_s: Time that they took, in seconds.
        before: What was said before; it grows by steps, for one quick item says little.
        most: Most items in such a frame.
    """
    if elapsed_s >= FAST_S * items:
        return 1
    return max(1, min(most, GROWTH * before, int(GAP_S * items / max(elapsed_s, 1e-9))))

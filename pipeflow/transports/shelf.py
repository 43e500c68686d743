"""The slots of one size, and how long it pays to wait for one of them. Pure."""

from __future__ import annotations

import functools
from collections import deque
from typing import Final

from pipeflow.transports.backing import GRANULE
from pipeflow.values import dataclass, field

#: Buffers from this size on, in bytes, go into slots: below, a copy is cheaper than the books.
SHARED_FROM: Final = 32 * 1024
#: Slots of a size that are lent before it is worth a moment to wait for one to come back: one is
#: read while the other is filled.
FEW: Final = 2

_CLASSES_PER_DOUBLING: Final = 4
#: A look costs about 0.3 us, fresh memory about 0.3 ns a byte: more looks for larger slots.
_BYTES_PER_LOOK: Final = 512
#: What a byte of fresh memory costs, and one that is not in the cache any more, for all who touch
#: it, in seconds. Who waits no longer than that never pays more than twice.
_FRESH_S_PER_BYTE: Final = 0.6e-9
_COLD_S_PER_BYTE: Final = 0.2e-9
_LONGEST_WAIT_S: Final = 0.05
#: Where items take long, a slot comes back once in as long: who waits less learns nothing. So a
#: wait may be twice the time from one item to the next, up to so many times what it is worth.
_ITEMS_PER_WAIT: Final = 2
_MOST_WORTHS: Final = 4
#: Slots lent without waiting after waits that were in vain: one, three, and so on up to this.
_MOST_SKIPPED: Final = 63
#: A wait is cheaper than fresh memory once, but not again and again: after so many waits, and once
#: they took as long as fresh memory does, there shall be one slot more.
_WAITS_PER_SLOT: Final = 64


@dataclass(slots=True)
class Slot:
    """One slot: its number, its first byte, its bytes of memory (0: given back)."""

    number: int
    offset: int
    size: int
    reserved: int = 0


@dataclass(slots=True)
class Shelf:
    """The slots of one size.

    Attributes:
        lent: In use when last looked at; longest first, as far as that is known.
        free: Nobody holds them. The last one came back last, is still in the cache, and is taken
            first.
        bare: Without memory.
        vain: How many will be lent without waiting once a wait is in vain.
        skip: How many are lent without waiting now.
        waits: For want of a slot, since there was one more.
        waited_s: How long they took, in seconds.
    """

    lent: deque[Slot] = field(default_factory=deque)
    free: list[Slot] = field(default_factory=list)
    bare: list[Slot] = field(default_factory=list)
    vain: int = 1
    skip: int = 0
    waits: int = 0
    waited_s: float = 0.0

    def patience_s(self, size: int, pace_s: float) -> float:
        """Seconds that it pays to wait for a slot: what it costs to do with another one, or more.

        Args:
            size: Its bytes.
            pace_s: From one slot that is lent to the next, in seconds.
        """
        worth = size * (_COLD_S_PER_BYTE if self.free else _FRESH_S_PER_BYTE)
        longer = min(_ITEMS_PER_WAIT * pace_s, _MOST_WORTHS * worth)
        return min(max(worth, longer), _LONGEST_WAIT_S)

    def skips(self) -> bool:
        """Whether to do without a wait this time, since the last ones were in vain."""
        if self.skip:
            self.skip -= 1
            return True
        return False

    def wants_more(self, size: int) -> bool:
        """Whether to take one slot more this time instead of waiting, as it is waited too often."""
        self.waits += 1
        if self.waits < _WAITS_PER_SLOT or self.waited_s < size * _FRESH_S_PER_BYTE:
            return False
        self.waits, self.waited_s = 0, 0.0
        return True

    def note_wait(self, took_s: float, *, in_vain: bool) -> None:
        """Learn from a wait: what holds slots for long is soon asked but once in a while."""
        self.waited_s += took_s
        if in_vain:
            self.skip = self.vain
            self.vain = min(2 * self.vain + 1, _MOST_SKIPPED)
        else:
            self.vain = max(1, self.vain - 1)


@functools.lru_cache(maxsize=1024)
def size_class(nbytes: int) -> int:
    """The bytes of a slot for ``nbytes``: four sizes a doubling, whole granules."""
    least = max(nbytes, SHARED_FROM, GRANULE)
    step = max(GRANULE, (1 << (least - 1).bit_length() - 1) // _CLASSES_PER_DOUBLING)
    return -(-least // step) * step


def looks_at(size: int) -> int:
    """Slots of this size that are looked at before another one is taken."""
    return max(64, size // _BYTES_PER_LOOK)

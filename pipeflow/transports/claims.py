"""A pool's memory: what it takes of the run's limit and gives back, as all pools can see it."""

from __future__ import annotations

import itertools
import mmap
import time
from collections.abc import Callable
from typing import Final

from pipeflow.errors import MemoryLimitReached
from pipeflow.transports.hope import Hope
from pipeflow.transports.layout import Maps, Usage
from pipeflow.transports.shelf import Slot

#: Two pools that ask for the last bytes at once may both be refused: they ask again.
_CLAIM_PAUSE_S: Final = 0.002
#: Slots whose header pages are reserved together.
_HEADER_CHUNK: Final = 256


class Claims:
    """One pool's claims on the memory of the run. Only the pool itself uses them, with its lock.

    Args:
        maps: The arena.
        worker: Number of the pool.
    """

    def __init__(self, maps: Maps, worker: int) -> None:
        self._maps, self._worker = maps, worker
        #: Whether another worker is at work, and may let go of memory by itself.
        self.others_at_work: Callable[[], bool] = lambda: False

    def furnish(self, slot: Slot, give_back: Callable[[int], int]) -> None:
        """Get memory for a slot.

        Args:
            slot: It has none.
            give_back: Gives memory of the pool's free slots back until so many bytes are reached,
                and says how many it was; called when the limit is reached.

        Raises:
            MemoryLimitReached: All pools together would pass the limit.
        """
        self._claim(slot.size, give_back)
        try:
            offset = self._maps.handle.range_at(self._worker) + slot.offset
            self._maps.backing.reserve(offset, slot.size)
        except OSError as error:
            # The machine has less than the limit allows: to the run it is the same.
            self._add(-slot.size)
            raise self._limit_reached(slot.size) from error
        slot.reserved = slot.size
        self._maps.describe(self._worker, slot.number, slot.offset, slot.size)
        self.count_up(Usage.GROWTHS)

    def strip(self, slot: Slot, memory: mmap.mmap) -> bool:
        """Give a slot's memory back; whether the system can do so.

        Args:
            slot: Nobody holds it.
            memory: The pool's range.
        """
        if not self._maps.backing.release(memory, slot.offset, slot.size):
            return False
        slot.reserved = 0
        self._maps.describe(self._worker, slot.number, slot.offset, 0)
        self._add(-slot.size)
        return True

    def reserve_header(self, slot: int) -> None:
        """Have the header's pages before a cell of this slot is written.

        Raises:
            MemoryLimitReached: The machine has no memory left.
        """
        if slot % _HEADER_CHUNK:
            return
        handle, backing = self._maps.handle, self._maps.backing
        header = self._worker * handle.header_bytes
        for at, width in ((handle.directory_at, 16), (handle.holders_at, handle.workers)):
            try:
                backing.reserve(header + at + slot * width, _HEADER_CHUNK * width)
            except OSError as error:
                raise self._limit_reached(_HEADER_CHUNK * width) from error

    def is_another_pinched(self) -> bool:
        """Whether another pool has found the limit reached."""
        mine = self._maps.usage(self._worker, Usage.PINCHED)
        return self._maps.usage_of_all(Usage.PINCHED) > mine

    def count_up(self, cell: Usage) -> None:
        """Count something once more."""
        self._maps.set_usage(self._worker, cell, self._maps.usage(self._worker, cell) + 1)

    def _claim(self, nbytes: int, give_back: Callable[[int], int]) -> None:
        """Enter ``nbytes`` in the books of the run.

        What is entered is seen by the other pools before they look at the sum, so together they
        never pass the limit; two at once may both step back, and try again.
        """
        maps, limit, hope = self._maps, self._maps.handle.limit_bytes, None
        for attempt in itertools.count():
            self._add(nbytes)
            if maps.usage_of_all(Usage.RESERVED) <= limit:
                maps.set_usage(self._worker, Usage.PINCHED, 0)
                return
            self._add(-nbytes)
            if give_back(nbytes):
                continue
            maps.set_usage(self._worker, Usage.PINCHED, 1)
            hope = hope or Hope(time.monotonic())
            if self._is_hopeless(nbytes, hope):
                break
            time.sleep(_CLAIM_PAUSE_S * (1 + (self._worker + attempt) % 4))
        maps.set_usage(self._worker, Usage.PINCHED, 0)
        raise self._limit_reached(nbytes)

    def _is_hopeless(self, nbytes: int, hope: Hope) -> bool:
        """Whether stages keep the memory that we lack, as far as a look can tell."""
        maps = self._maps
        limit, reserved = maps.handle.limit_bytes, maps.usage_of_all(Usage.RESERVED)
        if nbytes > limit:
            return True
        # Idle memory is its owner's, who gives it back as soon as it sees that we are pinched.
        room = limit - reserved + maps.idle_bytes() >= nbytes
        seen = (reserved, maps.held_bytes())
        return hope.is_over(time.monotonic(), seen=seen, stirs=room or self.others_at_work())

    def _add(self, nbytes: int) -> None:
        before = self._maps.usage(self._worker, Usage.RESERVED)
        self._maps.set_usage(self._worker, Usage.RESERVED, before + nbytes)

    def _limit_reached(self, wanted: int) -> MemoryLimitReached:
        return MemoryLimitReached(self._maps.handle.limit_bytes, wanted, self._maps.held_bytes())

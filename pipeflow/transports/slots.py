"""A worker's pool: lends slots of its own range, and takes them back when nobody holds them."""

from __future__ import annotations

import math
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from operator import index
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from pipeflow.errors import MemoryLimitReached
from pipeflow.transports.backing import CACHE_BYTES
from pipeflow.transports.base import SlotRef
from pipeflow.transports.claims import Claims
from pipeflow.transports.finder import Finder
from pipeflow.transports.holdings import Holdings, Lease
from pipeflow.transports.layout import Maps, Usage, address_of
from pipeflow.transports.sealing import Revocable, keep_mapped, leave_mapped
from pipeflow.transports.shelf import FEW, SHARED_FROM, Shelf, Slot, looks_at, size_class

if TYPE_CHECKING:
    import numpy as np

#: Slots lent longest that are taken back at most before one is lent.
_QUICK_LOOKS: Final = 4
#: A waiter first lets others run, and only then sleeps: less than a tenth of a millisecond of sleep
#: is not to be had.
_YIELD_S: Final = 50e-6
_NAP_S: Final = 20e-6
#: No processor fills arrays faster than that, in any cache.
_FILL_BYTES_PER_S: Final = 100e9
#: Reservations between two looks at whether another pool found the limit reached.
_TIDY_EVERY: Final = 32


class InFlight(Protocol):
    """What a pool asks of a sender."""

    def settle(self) -> None:
        """Let go of what the readers hold by now."""
        ...

    def kept(self) -> Iterable[object]:
        """What the readers may not hold yet."""
        ...


class SlotPool:
    """Lends slots of this worker's range. Made by ``shm.Share``; lives as long as the worker.

    A slot is lent again when no cell of its row says that it is held (``holdings``). A pool that
    finds none takes fresh memory, up to the limit of the whole run. It may wait a moment first, for
    that is cheaper if one comes back; it never depends on a holder, who may be waiting for us.
    """

    def __init__(self, maps: Maps, holdings: Holdings, worker: int) -> None:
        self._maps, self._holdings, self._worker = maps, holdings, worker
        self._shelves: dict[int, Shelf] = {}
        self._top = 0
        self._count = 0
        self._reservations = 0
        self._waited_at, self._reserved_then = time.monotonic(), 0  # when it last waited
        self._lent = self._told = 0  # bytes, and what the others were told
        self._lately, self._looked_at, self._untouched = 0, time.process_time(), False
        self._senders: list[InFlight] = []
        #: Its memory.
        self.claims = Claims(maps, worker)
        #: Finds what was lent, by this pool or by others.
        self.finder = Finder(maps, holdings)
        #: Called before it waits for a slot: the one that comes back may not have left yet.
        self.before_wait: Callable[[], None] = lambda: None
        # A stage may ask for arrays from threads of its own.
        self._lock = threading.RLock()

    @cached_property
    def _memory(self) -> mmap.mmap:
        """This worker's range, mapped when it is first used."""
        return self._maps.own(self._worker)

    @cached_property
    def _bytes(self) -> memoryview:
        """The same, for whoever copies into a part of it."""
        return memoryview(self._memory)

    @cached_property
    def _lendable(self) -> mmap.mmap:
        """The same, for what is to be sealed."""
        return keep_mapped(self._memory)

    @cached_property
    def _mapped(self) -> tuple[type[np.ndarray[Any, Any]], mmap.mmap, int]:
        """What makes arrays, this worker's range, and where it lies in this process."""
        import numpy as np

        return np.ndarray, self._memory, address_of(self._memory)

    def reserve(self, nbytes: int) -> Lease | None:
        """Lend a slot of at least ``nbytes``.

        ``None`` when the table of holders is full, and in a process that user code has forked: the
        worker would lend the same slot.

        Raises:
            MemoryLimitReached: All pools together would pass the limit.
        """
        if not self._holdings.ours():
            return None
        with self._lock:
            slot = self._take(nbytes)
            if slot is None:
                return None
            offset = slot.offset
            ref = SlotRef(self._worker, slot.number, offset, nbytes)
            lease = Lease(ref, self._bytes[offset : offset + nbytes])
            self._holdings.keep(lease, ref)
            return lease

    def empty(self, shape: Any, dtype: Any) -> np.ndarray[Any, Any]:
        """An array that lies in a slot already, as ``np.empty``; small ones do not.

        Once it was sent it is read-only.

        Raises:
            MemoryLimitReached: All pools together would pass the limit.
        """
        import numpy as np

        kind = np.dtype(dtype)
        try:
            axes = tuple(map(index, shape if isinstance(shape, tuple | list) else (shape,)))
        except TypeError:
            return np.empty(shape, kind)  # which takes more, and says what is wrong
        nbytes = math.prod(axes) * kind.itemsize
        if nbytes < SHARED_FROM or kind.hasobject or min(axes, default=1) < 0:
            return np.empty(shape, kind)
        placed = self.place(axes, kind, nbytes, None)
        return np.empty(shape, kind) if placed is None else placed[0]

    def place(
        self, shape: tuple[int, ...], dtype: Any, nbytes: int, order: Literal["C", "F"] | None
    ) -> tuple[np.ndarray[Any, Any], SlotRef] | None:
        """Lend a slot as an array, which keeps it; and where that lies. ``None``: as ``reserve``.

        Without an order it is for the user to fill, and to be sealed once it is sent.

        Raises:
            MemoryLimitReached: All pools together would pass the limit.
        """
        if not self._holdings.ours():
            return None
        with self._lock:
            slot = self._take(nbytes)
            if slot is None:
                return None
            offset = slot.offset
            new_array, memory, address = self._mapped
            buffer: Any = memory if order else Revocable(self._lendable)
            array = new_array(shape, dtype, buffer, offset, None, order)
            ref = SlotRef(self._worker, slot.number, offset, nbytes)
            # It lies in no other array, so every array made from it has it as its base.
            self._holdings.keep(array, ref, address=address + offset)
        return array, ref

    def adopt(self) -> None:
        """Go on where a process has died that had this pool before; ahead of all else.

        What it had lent, and others still hold, comes back as if we had lent it.
        """
        with self._lock:
            for number, offset, nbytes in self._maps.described(self._worker):
                shelf = self._shelves.setdefault(nbytes, Shelf())
                shelf.lent.append(Slot(number, offset, nbytes, nbytes))
                self._count = max(self._count, number + 1)
                self._top = max(self._top, offset + nbytes)
                self._lent += nbytes
            self._note_lent()

    def watch(self, sender: InFlight) -> None:
        """Ask ``sender`` to settle before fresh memory is taken, and keep what it has in flight."""
        self._senders.append(sender)

    def lends(self) -> bool:
        """Whether it has ever lent a slot."""
        return bool(self._shelves)

    def tidy(self) -> None:
        """Give free memory back if another pool has found the limit reached; for idle moments."""
        with self._lock:
            if self.claims.is_another_pinched():
                self._give_back(None)

    def close(self) -> None:
        """Give back all memory that nobody holds; what is in flight stays held for good."""
        with self._lock:
            self._settle_all()
            if "_memory" in self.__dict__:  # else it was never used, maybe as it cannot be mapped
                self._give_back(None)
            for sender in self._senders:
                for keeper in sender.kept():
                    self._holdings.pin(keeper)
            if "_lendable" in self.__dict__:
                leave_mapped(self.__dict__.pop("_lendable"), self._holdings)

    # -- finding a slot

    def _take(self, nbytes: int) -> Slot | None:
        self._reservations += 1
        if self._reservations % _TIDY_EVERY == 0:
            self.tidy()
            self._note_pace()
        size = size_class(nbytes)
        self._lately += size
        shelf = self._shelves.get(size)
        if shelf is None:
            shelf = self._shelves[size] = Shelf()
        slot = self._reuse(shelf, size) or self._fresh(shelf, size) or self._larger(size)
        if slot is None:
            self.claims.count_up(Usage.FALLBACKS)
            return None
        if not slot.reserved:
            self._furnish(slot)
        self._shelves[slot.size].lent.append(slot)
        self._lent += slot.size
        self._note_lent()
        return slot

    def _reuse(self, shelf: Shelf, size: int) -> Slot | None:
        self._collect_first(shelf)
        if self._is_wanted(shelf, size):
            self._settle_all()
            self._collect_first(shelf)
            looked = not shelf.free
            if looked:
                self._collect(shelf, looks_at(size))
            if self._is_worth_waiting(shelf, size):
                if not shelf.free and not self._crowded(size) and shelf.wants_more(size):
                    return None
                if not looked:  # to look at all costs less than to give the processor away
                    self._collect(shelf, looks_at(size))
                if self._is_wanted(shelf, size):
                    self._await_return(shelf, size)
        return shelf.free.pop() if shelf.free else None

    def _is_wanted(self, shelf: Shelf, size: int) -> bool:
        """Whether there is no slot, or one that comes back would be better than another one."""
        return not shelf.free or (len(shelf.lent) >= FEW and self._crowded(size))

    def _collect_first(self, shelf: Shelf) -> None:
        """Take back a few of the slots lent longest, up to the first that is held.

        They come back in the order in which they were lent, but for those that are kept for long:
        ``_collect`` moves these out of the way.
        """
        lent, is_free, me = shelf.lent, self._maps.holders.is_free, self._worker
        looks = _QUICK_LOOKS
        while looks and lent and is_free(me, lent[0].number):
            shelf.free.append(lent.popleft())
            self._lent -= shelf.free[-1].size
            looks -= 1

    def _collect(self, shelf: Shelf, looks: int) -> None:
        """Take back what nobody holds of so many slots lent longest.

        What is still held though others that were lent later are not goes to the end.
        """
        lent, is_free, me = shelf.lent, self._maps.holders.is_free, self._worker
        kept: list[Slot] = []
        passed = 0  # of those kept, how many were lent before one that is free
        for _ in range(min(looks, len(lent))):
            slot = lent.popleft()
            if is_free(me, slot.number):
                shelf.free.append(slot)
                self._lent -= slot.size
                passed = len(kept)
            else:
                kept.append(slot)
        lent.extendleft(reversed(kept[passed:]))
        lent.extend(kept[:passed])
        if self._lent != self._told:
            self._note_lent()

    def _note_pace(self) -> None:
        """See whether arrays are lent faster than this process could have filled them.

        Only the time counts that it had a processor, less what it spent here: else a pool that
        waits would take its own waits for work that is done on the arrays.
        """
        now = time.process_time()
        self._untouched = self._lately > (now - self._looked_at) * _FILL_BYTES_PER_S
        self._lately, self._looked_at = 0, now

    def _crowded(self, size: int) -> bool:
        """Whether what all pools have lent, and one slot more, is too much for the cache."""
        if self._untouched or size > CACHE_BYTES:
            return False  # the cache is of no use to them
        return self._maps.usage_of_all(Usage.LENT) + size > CACHE_BYTES

    def _is_worth_waiting(self, shelf: Shelf, size: int) -> bool:
        """Whether one may come back soon, and to do with those that are lent would be better."""
        if len(shelf.lent) < FEW or (shelf.free and not self._crowded(size)) or shelf.skips():
            return False
        is_lent_out, me = self._maps.holders.is_lent_out, self._worker
        for slot in shelf.lent:
            if is_lent_out(me, slot.number):
                return True
        return any(True for sender in self._senders for _ in sender.kept())

    def _await_return(self, shelf: Shelf, size: int) -> None:
        """Wait a moment for a slot to come back: no longer than to do without it costs.

        Few slots stay in the cache, and memory that is not taken costs nothing. It is no promise:
        who holds the others may be waiting for us, so when the moment is over we take another. As
        long as slots keep coming back it pays to go on until they fit the cache: whoever reads
        them has enough to do.
        """
        self.before_wait()
        before = lent = len(shelf.lent)
        spent = time.process_time()
        began = now = time.monotonic()
        lent_since = self._reservations - self._reserved_then
        patience_s = shelf.patience_s(size, (now - self._waited_at) / max(1, lent_since))
        until, sleeps_from = now + patience_s, now + _YIELD_S
        self.claims.count_up(Usage.WAITS)
        while now < until and self._is_wanted(shelf, size):
            if now < sleeps_from:
                os.sched_yield()
            else:
                time.sleep(_NAP_S)
            self._settle_all()
            self._collect(shelf, looks_at(size))
            now = time.monotonic()
            if len(shelf.lent) < lent:
                lent, until = len(shelf.lent), now + patience_s
        self._looked_at += time.process_time() - spent
        self._waited_at, self._reserved_then = now, self._reservations
        shelf.note_wait(now - began, in_vain=lent == before)

    def _fresh(self, shelf: Shelf, size: int) -> Slot | None:
        """A slot without memory yet: an old one, or a new number and new addresses."""
        if shelf.bare:
            return shelf.bare.pop()
        handle = self._maps.handle
        if self._count >= handle.max_slots or self._top + size > handle.range_bytes:
            return None
        self.claims.reserve_header(self._count)
        slot = Slot(self._count, self._top, size)
        self._count += 1
        self._top += size
        self._maps.describe(self._worker, slot.number, slot.offset, 0)
        self._maps.set_usage(self._worker, Usage.SLOTS, self._count)
        return slot

    def _larger(self, size: int) -> Slot | None:
        """Any slot that is larger than needed: better than none."""
        for other in sorted(other for other in self._shelves if other > size):
            shelf = self._shelves[other]
            self._collect(shelf, len(shelf.lent))
            if shelf.free or shelf.bare:
                return (shelf.free or shelf.bare).pop()
        return None

    # -- memory

    def _furnish(self, slot: Slot) -> None:
        """Get memory for a slot, or put it back and raise."""
        try:
            self.claims.furnish(slot, self._give_back)
        except MemoryLimitReached:
            self._shelves[slot.size].bare.append(slot)
            raise

    def _give_back(self, wanted: int | None) -> int:
        """Give back memory of free slots until ``wanted`` bytes are reached; how many it was."""
        self._settle_all()
        given = 0
        for size in sorted(self._shelves, reverse=True):
            shelf = self._shelves[size]
            self._collect(shelf, len(shelf.lent))
            free, shelf.free = shelf.free, []
            for slot in free:
                enough = wanted is not None and given >= wanted
                if enough or not self.claims.strip(slot, self._memory):
                    shelf.free.append(slot)
                else:
                    shelf.bare.append(slot)
                    given += slot.size
        return given

    def _note_lent(self) -> None:
        if self._lent != self._told:  # else, as most often, one came back and one was lent
            self._told = self._lent
            self._maps.set_usage(self._worker, Usage.LENT, self._lent)

    def _settle_all(self) -> None:
        for sender in self._senders:
            sender.settle()

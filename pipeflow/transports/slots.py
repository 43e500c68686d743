"""A worker's pool: lends slots of its own range, and takes them back when nobody holds them."""

from __future__ import annotations

import math
import mmap
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from pipeflow.errors import MemoryLimitReached
from pipeflow.transports.backing import GRANULE
from pipeflow.transports.base import SlotRef
from pipeflow.transports.holdings import Hold, Holdings
from pipeflow.transports.layout import Maps, Usage
from pipeflow.transports.views import address_of

if TYPE_CHECKING:
    import numpy as np

#: Buffers from this size on, in bytes, go into slots: below, a copy is cheaper than the books.
SHARED_FROM: Final = 32 * 1024

_CLASSES_PER_DOUBLING: Final = 4
#: Slots lent longest that are looked at before anything else: the one that has just come back is
#: still in the cache.
_QUICK_LOOKS: Final = 4
#: A look costs about 0.3 us, fresh memory about 0.3 ns a byte: more looks for larger slots.
_BYTES_PER_LOOK: Final = 512
#: Two pools that ask for the last bytes at once may both be refused: they ask again.
_CLAIMS: Final = 12
#: How many such rounds are waited for the owners of idle memory, who give it back when they see
#: that we are pinched; not for holders.
_ROUNDS: Final = 20
_CLAIM_PAUSE_S: Final = 0.002
#: Reservations between two looks at whether another pool found the limit reached.
_TIDY_EVERY: Final = 32
#: Steps from an array down to what it lies in.
_MOST_BASES: Final = 16
#: Slots whose header pages are reserved together.
_HEADER_CHUNK: Final = 256


class InFlight(Protocol):
    """What a pool asks of a sender."""

    def settle(self) -> None:
        """Let go of what the readers hold by now."""
        ...

    def kept(self) -> Iterable[object]:
        """What the readers may not hold yet."""
        ...


class Lease:
    """A slot of our own, kept until this object dies (and by whoever holds it by then).

    Attributes:
        ref: Where it is; ``ref.nbytes`` is what was asked for.
        memory: Its bytes, to write.
    """

    __slots__ = ("__weakref__", "memory", "ref")

    def __init__(self, ref: SlotRef, memory: memoryview) -> None:
        self.ref, self.memory = ref, memory


@dataclass(slots=True)
class _Slot:
    """One slot: its number, its first byte, its bytes of memory (0: given back)."""

    number: int
    offset: int
    size: int
    reserved: int = 0


@dataclass(slots=True)
class _Shelf:
    """The slots of one size: lent ones (longest first), free ones, and those without memory."""

    lent: deque[_Slot] = field(default_factory=deque)
    free: list[_Slot] = field(default_factory=list)
    bare: list[_Slot] = field(default_factory=list)


class SlotPool:
    """Lends slots of this worker's range. Made by ``shm.Share``; lives as long as the worker.

    A slot is lent again when no cell of its row says that it is held (``holdings``). A pool that
    finds none takes fresh memory, up to the limit of the whole run; it never waits for a holder,
    who may be waiting for us.
    """

    def __init__(self, maps: Maps, holdings: Holdings, worker: int) -> None:
        self._maps, self._holdings, self._worker = maps, holdings, worker
        self._shelves: dict[int, _Shelf] = {}
        self._top = 0
        self._count = 0
        self._reservations = 0
        self._senders: list[InFlight] = []
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
    def _address(self) -> int:
        """Where it lies in this process."""
        return address_of(self._memory)

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
        axes = (shape,) if isinstance(shape, int) else tuple(map(int, shape))
        nbytes = math.prod(axes) * kind.itemsize
        if nbytes < SHARED_FROM or kind.hasobject or min(axes, default=1) < 0:
            return np.empty(shape, kind)
        if not self._holdings.ours():
            return np.empty(shape, kind)
        with self._lock:
            slot = self._take(nbytes)
            if slot is None:
                return np.empty(shape, kind)
            offset = slot.offset
            base = np.frombuffer(self._memory, np.uint8, nbytes, offset)
            ref = SlotRef(self._worker, slot.number, offset, nbytes)
            self._holdings.keep(base, ref, address=self._address + offset)
        return np.ndarray(axes, kind, base)

    def find(self, array: np.ndarray[Any, Any]) -> tuple[SlotRef, object] | None:
        """Where an array lies in shared memory, and the object that keeps it there.

        Finds arrays of ``empty``, received ones, and slices of both.
        """
        hold = self._hold_under(array)
        if hold is None:
            return None
        keeper, ref = hold(), hold.ref
        if keeper is None:
            return None
        if array.base is keeper and array.nbytes == ref.nbytes and array.flags.c_contiguous:
            return ref, keeper  # all of it, as most that is passed on
        low, high = _bounds(array)
        start = low - hold.address
        if start < 0 or start + high - low > ref.nbytes:
            return None
        return SlotRef(ref.pool, ref.slot, ref.offset + start, high - low), keeper

    def watch(self, sender: InFlight) -> None:
        """Ask ``sender`` to settle before fresh memory is taken, and keep what it has in flight."""
        self._senders.append(sender)

    def lends(self) -> bool:
        """Whether it has ever lent a slot."""
        return bool(self._shelves)

    def tidy(self) -> None:
        """Give free memory back if another pool has found the limit reached; for idle moments."""
        with self._lock:
            mine = self._maps.usage(self._worker, Usage.PINCHED)
            if self._maps.usage_of_all(Usage.PINCHED) > mine:
                self._settle_all()
                self._give_back(None)

    def close(self) -> None:
        """Give back all memory that nobody holds; what is in flight stays held for good."""
        with self._lock:
            self._settle_all()
            self._give_back(None)
            for sender in self._senders:
                for keeper in sender.kept():
                    self._holdings.pin(keeper)

    # -- finding a slot

    def _take(self, nbytes: int) -> _Slot | None:
        self._reservations += 1
        if self._reservations % _TIDY_EVERY == 0:
            self.tidy()
        size = size_class(nbytes)
        shelf = self._shelves.setdefault(size, _Shelf())
        slot = self._reuse(shelf, size) or self._fresh(shelf, size) or self._larger(size)
        if slot is None:
            self._count_up(Usage.FALLBACKS)
            return None
        if not slot.reserved:
            self._furnish(slot)
        self._shelves[slot.size].lent.append(slot)
        return slot

    def _reuse(self, shelf: _Shelf, size: int) -> _Slot | None:
        slot = self._returned(shelf, _QUICK_LOOKS)
        if slot is not None or shelf.free:
            return slot or shelf.free.pop()
        self._settle_all()
        return self._returned(shelf, max(64, size // _BYTES_PER_LOOK))

    def _returned(self, shelf: _Shelf, looks: int) -> _Slot | None:
        """The first of the slots lent longest that nobody holds; the held ones go to the end."""
        for _ in range(min(looks, len(shelf.lent))):
            slot = shelf.lent.popleft()
            if self._maps.holders.is_free(self._worker, slot.number):
                return slot
            shelf.lent.append(slot)
        return None

    def _fresh(self, shelf: _Shelf, size: int) -> _Slot | None:
        """A slot without memory yet: an old one, or a new number and new addresses."""
        if shelf.bare:
            return shelf.bare.pop()
        handle = self._maps.handle
        if self._count >= handle.max_slots or self._top + size > handle.range_bytes:
            return None
        self._reserve_header()
        slot = _Slot(self._count, self._top, size)
        self._count += 1
        self._top += size
        self._maps.describe(self._worker, slot.number, slot.offset, 0)
        self._maps.set_usage(self._worker, Usage.SLOTS, self._count)
        return slot

    def _larger(self, size: int) -> _Slot | None:
        """Any slot that is larger than needed: better than none."""
        for other in sorted(other for other in self._shelves if other > size):
            shelf = self._shelves[other]
            slot = self._returned(shelf, len(shelf.lent))
            if slot is not None:
                return slot
            if shelf.free or shelf.bare:
                return (shelf.free or shelf.bare).pop()
        return None

    # -- memory

    def _furnish(self, slot: _Slot) -> None:
        """Get memory for a slot, or put it back and raise."""
        try:
            self._claim(slot.size)
            try:
                offset = self._maps.handle.range_at(self._worker) + slot.offset
                self._maps.backing.reserve(offset, slot.size)
            except OSError as error:
                # The machine has less than the limit allows: to the run it is the same.
                self._add_reserved(-slot.size)
                raise self._limit_reached(slot.size) from error
        except MemoryLimitReached:
            self._shelves[slot.size].bare.append(slot)
            raise
        slot.reserved = slot.size
        self._maps.describe(self._worker, slot.number, slot.offset, slot.size)
        self._count_up(Usage.GROWTHS)

    def _claim(self, nbytes: int) -> None:
        """Enter ``nbytes`` in the books of the run.

        What is entered is seen by the other pools before they look at the sum, so together they
        never pass the limit; two at once may both step back, and try again.
        """
        maps, limit = self._maps, self._maps.handle.limit_bytes
        for attempt in range(_CLAIMS * _ROUNDS):
            if attempt and attempt % _CLAIMS == 0 and maps.idle_bytes() < nbytes:
                break
            self._add_reserved(nbytes)
            if maps.usage_of_all(Usage.RESERVED) <= limit:
                maps.set_usage(self._worker, Usage.PINCHED, 0)
                return
            self._add_reserved(-nbytes)
            self._settle_all()
            if self._give_back(nbytes):
                continue
            maps.set_usage(self._worker, Usage.PINCHED, 1)
            time.sleep(_CLAIM_PAUSE_S * (1 + (self._worker + attempt) % 4))
        maps.set_usage(self._worker, Usage.PINCHED, 0)
        raise self._limit_reached(nbytes)

    def _give_back(self, wanted: int | None) -> int:
        """Give back memory of free slots until ``wanted`` bytes are reached; how many it was."""
        given = 0
        for slot in self._all_free():
            if wanted is not None and given >= wanted:
                self._shelves[slot.size].free.append(slot)
                continue
            if not self._maps.backing.release(self._memory, slot.offset, slot.size):
                self._shelves[slot.size].free.append(slot)
                continue
            slot.reserved = 0
            self._maps.describe(self._worker, slot.number, slot.offset, 0)
            self._shelves[slot.size].bare.append(slot)
            given += slot.size
        if given:
            self._add_reserved(-given)
        return given

    def _all_free(self) -> Iterator[_Slot]:
        """Take every slot that nobody holds off its shelf; largest first."""
        for size in sorted(self._shelves, reverse=True):
            shelf = self._shelves[size]
            free, shelf.free = shelf.free, []
            for _ in range(len(shelf.lent)):
                slot = self._returned(shelf, 1)
                if slot is not None:
                    free.append(slot)
            yield from free

    def _reserve_header(self) -> None:
        """Have the header's pages before a cell of the next slots is written."""
        if self._count % _HEADER_CHUNK:
            return
        handle, backing = self._maps.handle, self._maps.backing
        header = self._worker * handle.header_bytes
        workers = handle.workers
        for at, width in ((handle.directory_at, 16), (handle.holders_at, workers)):
            start = header + at + self._count * width
            try:
                backing.reserve(start, _HEADER_CHUNK * width)
            except OSError as error:
                raise self._limit_reached(_HEADER_CHUNK * width) from error

    def _add_reserved(self, nbytes: int) -> None:
        before = self._maps.usage(self._worker, Usage.RESERVED)
        self._maps.set_usage(self._worker, Usage.RESERVED, before + nbytes)

    def _count_up(self, cell: Usage) -> None:
        self._maps.set_usage(self._worker, cell, self._maps.usage(self._worker, cell) + 1)

    def _limit_reached(self, wanted: int) -> MemoryLimitReached:
        return MemoryLimitReached(self._maps.handle.limit_bytes, wanted, self._maps.held_bytes())

    def _settle_all(self) -> None:
        for sender in self._senders:
            sender.settle()

    # -- finding an array

    def _hold_under(self, array: np.ndarray[Any, Any]) -> Hold | None:
        """The hold under an array: arrays, memory views and numpy's helpers lead to their base."""
        target: Any = array
        for _ in range(_MOST_BASES):
            if target is None:
                return None
            hold = self._holdings.of(target)
            if hold is not None:
                return hold if hold.address else None
            target = target.obj if isinstance(target, memoryview) else getattr(target, "base", None)
        return None


def size_class(nbytes: int) -> int:
    """The bytes of a slot for ``nbytes``: four sizes a doubling, whole granules."""
    least = max(nbytes, SHARED_FROM, GRANULE)
    step = max(GRANULE, (1 << (least - 1).bit_length() - 1) // _CLASSES_PER_DOUBLING)
    return -(-least // step) * step


def _bounds(array: np.ndarray[Any, Any]) -> tuple[int, int]:
    """First address of an array, and the one behind its last byte."""
    low = int(array.__array_interface__["data"][0])
    if array.flags.c_contiguous:
        return low, low + int(array.nbytes)
    high = low + int(array.itemsize)
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride > 0:
            high += (length - 1) * stride
        else:
            low += (length - 1) * stride
    return low, high

"""Where everything lies in the arena, and the arena as one process sees it.

┌ header of worker 0 ┬ header of worker 1 ┬ … ┬ range of worker 0 ┬ range of worker 1 ┬ …
│ usage              │                    │   │ slot 0 │ slot 1 … │                   │
│ directory of slots │                    │   │
│ table of holders   │                    │   │
└ all may write their own cells ──────────┴───┴ written by its worker, read by all ───────
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pipeflow.errors import MachineError
from pipeflow.transports.backing import GRANULE, LINUX, Backing
from pipeflow.transports.holdings import HolderTable
from pipeflow.values import dataclass, replace

if TYPE_CHECKING:
    import numpy as np

MIB: Final = 2**20
#: Slots that a pool can have; beyond, buffers travel in their frames.
MAX_SLOTS: Final = 65_536
#: Address space of an arena, in bytes; small enough to look sane in ``ps``.
_ADDRESS_SPACE: Final = 2**42 if LINUX else 0
#: Slots keep their size, so a range needs more addresses than it may ever have memory.
_ADDRESSES_PER_BYTE: Final = 64
#: Of a bounded address space, one part in so many is for shared arrays: a stage needs the rest.
_SHARE_OF_ADDRESSES: Final = 2
#: A pool with fewer addresses than that is of no use.
_LEAST_RANGE: Final = 4 * MIB
_LEAST_SLOTS: Final = 1024


class Usage(IntEnum):
    """Words at the head of a worker's header; it alone writes them."""

    RESERVED = 0  #: bytes of memory that its pool has
    SLOTS = 1  #: slots that it ever made
    GROWTHS = 2  #: how often it took memory
    FALLBACKS = 3  #: buffers that found no slot
    PINCHED = 4  #: whether it just found the limit reached
    WAITS = 5  #: how often it waited for a slot to come back
    LENT = 6  #: bytes of slots that were lent when it last looked


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaHandle:
    """What a process needs to attach: the inherited descriptor, and the sizes.

    Attributes:
        fd: Descriptor of the arena's memory.
        workers: How many pools.
        limit_bytes: What all pools together may reserve.
        max_slots: Slots in a pool.
        most_range_bytes: Addresses that a pool has at most; 0: as many as it likes. Buffers that
            find none travel in their frames.
    """

    fd: int
    workers: int
    limit_bytes: int
    max_slots: int = MAX_SLOTS
    most_range_bytes: int = 0

    @property
    def directory_at(self) -> int:
        """Where a header's directory begins: two words a slot, its offset and its bytes."""
        return GRANULE

    @property
    def holders_at(self) -> int:
        """Where a header's table of holders begins."""
        return self.directory_at + _granules(16 * self.max_slots)

    @property
    def header_bytes(self) -> int:
        """Length of one header."""
        return self.holders_at + _granules(self.workers * self.max_slots)

    @property
    def ranges_at(self) -> int:
        """Where the ranges begin."""
        return self.workers * self.header_bytes

    @property
    def range_bytes(self) -> int:
        """Addresses of one pool."""
        most = self.limit_bytes * (_ADDRESSES_PER_BYTE if LINUX else 1)
        fair = max(self.limit_bytes, _ADDRESS_SPACE // self.workers)
        wanted = max(GRANULE, _granules(min(most, fair)))
        return min(wanted, self.most_range_bytes) if self.most_range_bytes else wanted

    def range_at(self, worker: int) -> int:
        """Where the range of a worker begins."""
        return self.ranges_at + worker * self.range_bytes

    @property
    def total_bytes(self) -> int:
        """Length of the whole."""
        return self.ranges_at + self.workers * self.range_bytes

    @property
    def mapped_bytes(self) -> int:
        """Address space that a worker needs: the headers, all to read, its range to write."""
        return self.ranges_at + self.total_bytes + self.range_bytes


def fitted(handle: ArenaHandle, address_space: int | None) -> ArenaHandle:
    """The same arena with as many addresses as a process with so much address space can map.

    Raises:
        MachineError: It is too small for one with any use.
    """
    if address_space is None:
        return handle
    most, least = address_space // _SHARE_OF_ADDRESSES, min(_LEAST_RANGE, handle.limit_bytes)
    while handle.mapped_bytes > most:
        headers = 2 * handle.ranges_at
        room = (most - headers) // (handle.workers + 1) // GRANULE * GRANULE
        if (headers > most // 4 or room < least) and handle.max_slots > _LEAST_SLOTS:
            handle = replace(handle, max_slots=handle.max_slots // 2)
        elif room < least:
            need = (headers + (handle.workers + 1) * _granules(least)) * _SHARE_OF_ADDRESSES
            raise MachineError(
                f"the address space of each process is bounded to {address_space // MIB} MiB"
                f" (`ulimit -v`), and the shared memory of {handle.workers} workers needs"
                f" {-(-need // MIB)} MiB: lift the limit, or lower replicas"
            )
        else:
            handle = replace(handle, most_range_bytes=room)
    return handle


class Maps:
    """The parts of the arena as one process sees them, each mapped when it is first needed."""

    def __init__(self, handle: ArenaHandle, backing: Backing) -> None:
        self.handle = handle
        self.backing = backing
        self._step = handle.header_bytes // 8  # from one header to the next, in words

    @cached_property
    def header(self) -> mmap.mmap:
        return self.backing.map(0, self.handle.ranges_at, writable=True)

    @cached_property
    def words(self) -> memoryview:
        """The headers as unsigned 64-bit words."""
        return memoryview(self.header).cast("Q")

    @cached_property
    def views(self) -> mmap.mmap:
        """Everything, to read."""
        return self.backing.map(0, self.handle.total_bytes, writable=False)

    @cached_property
    def views_at(self) -> int:
        """Where ``views`` lies in this process."""
        return address_of(self.views)

    def is_mapped(self, address: int) -> bool:
        """Whether this is an address of ``views``, if anything was ever viewed."""
        return "views" in self.__dict__ and 0 <= address - self.views_at < len(self.views)

    @cached_property
    def holders(self) -> HolderTable:
        workers, step, at = self.handle.workers, self.handle.header_bytes, self.handle.holders_at
        first = tuple(range(at, at + workers * step, step))
        return HolderTable(lambda: self.header, first, workers)

    def own(self, worker: int) -> mmap.mmap:
        """One worker's range, to write."""
        return self.backing.map(
            self.handle.range_at(worker), self.handle.range_bytes, writable=True
        )

    # -- the words of a header

    def usage(self, worker: int, cell: Usage) -> int:
        return self.words[worker * self._step + cell]

    def set_usage(self, worker: int, cell: Usage, value: int) -> None:
        """Only for ``worker`` itself, or once it is dead."""
        self.words[worker * self._step + cell] = value

    def usage_of_all(self, cell: Usage) -> int:
        """The sum of a cell over all pools."""
        return sum(self.words[cell :: self._step])

    def describe(self, worker: int, slot: int, offset: int, nbytes: int) -> None:
        """Write down where a slot of ``worker`` lies and how much memory it has."""
        at = (worker * self.handle.header_bytes + self.handle.directory_at) // 8 + 2 * slot
        self.words[at], self.words[at + 1] = offset, nbytes

    def described(self, worker: int) -> Iterator[tuple[int, int, int]]:
        """Number, offset and bytes of each slot of ``worker`` that has memory."""
        first = (worker * self.handle.header_bytes + self.handle.directory_at) // 8
        for slot in range(self.usage(worker, Usage.SLOTS)):
            offset, nbytes = self.words[first + 2 * slot], self.words[first + 2 * slot + 1]
            if nbytes:
                yield slot, offset, nbytes

    def idle_bytes(self) -> int:
        """Bytes of slots that have memory and that nobody holds."""
        return sum(
            nbytes
            for pool in range(self.handle.workers)
            for slot, _, nbytes in self.described(pool)
            if not self.holders.holders(pool, slot)
        )

    def held_bytes(self) -> tuple[tuple[int, int], ...]:
        """Worker number to the bytes of the slots that it holds, greatest first."""
        held: Counter[int] = Counter()
        for pool in range(self.handle.workers):
            for slot, _, nbytes in self.described(pool):
                for worker in self.holders.holders(pool, slot):
                    held[worker] += nbytes
        return tuple(held.most_common())


def address_of(memory: mmap.mmap) -> int:
    """Where a mapping lies in this process."""
    import numpy as np

    return int(np.frombuffer(memory, np.uint8, 1).__array_interface__["data"][0])


def bounds_of(array: np.ndarray[Any, Any]) -> tuple[int, int]:
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


def _granules(nbytes: int) -> int:
    """Rounded up to whole granules."""
    return -(-nbytes // GRANULE) * GRANULE

"""The arena: all shared memory of a run, in one descriptor; and one worker's share in it.

It is sparse: only what was reserved takes memory (``layout`` draws it). The supervisor creates it,
so what it holds outlives any worker; each worker lends out the slots of its own range
(``slots.SlotPool``) and looks into those of others (``views.Views``). Nobody waits for anybody.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pipeflow.transports.backing import Backing, create_backing
from pipeflow.transports.holdings import Holdings
from pipeflow.transports.layout import MAX_SLOTS, ArenaHandle, Maps, Usage, fitted
from pipeflow.values import dataclass, replace

if TYPE_CHECKING:
    from pipeflow.transports.slots import SlotPool
    from pipeflow.transports.views import Views


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUsage:
    """What one pool has, as its owner last wrote it.

    Attributes:
        reserved_bytes: Memory that it has.
        slots: Slots that it ever made.
        growths: How often it took memory.
        fallbacks: Buffers that found no slot and travelled in their frame.
        waits: How often it waited a moment for a slot to come back.
    """

    reserved_bytes: int
    slots: int
    growths: int
    fallbacks: int
    waits: int


class Arena:
    """The supervisor's hold of a run's shared memory: it creates, watches and closes it."""

    def __init__(self, handle: ArenaHandle) -> None:
        self.handle = handle
        self._backing = Backing(handle.fd)
        self._maps = Maps(handle, self._backing)

    @classmethod
    def create(
        cls,
        workers: int,
        limit_bytes: int,
        *,
        max_slots: int = MAX_SLOTS,
        address_space: int | None = None,
    ) -> Arena:
        """Make the memory for ``workers`` pools; it takes no room until it is used.

        Args:
            workers: How many pools, at least 1.
            limit_bytes: What all of them together may reserve.
            max_slots: Slots in each pool.
            address_space: What a process may map in all, in bytes; ``None``: there is no bound.

        Raises:
            OSError: The system refuses.
            MachineError: The address space is too small.
        """
        wanted = ArenaHandle(fd=-1, workers=workers, limit_bytes=limit_bytes, max_slots=max_slots)
        handle = fitted(wanted, address_space)
        return cls(replace(handle, fd=create_backing(handle.total_bytes)))

    @staticmethod
    def attach(handle: ArenaHandle, worker: int) -> Share:
        """The share of one worker, in its own process; ``handle.fd`` is inherited."""
        return Share(handle, worker)

    @property
    def fds(self) -> tuple[int, ...]:
        """What every worker inherits."""
        return (self._backing.fd,) if self._backing.fd >= 0 else ()

    def usage(self) -> tuple[PoolUsage, ...]:
        """What each pool has, by worker."""
        maps = self._maps
        return tuple(
            PoolUsage(
                reserved_bytes=maps.usage(worker, Usage.RESERVED),
                slots=maps.usage(worker, Usage.SLOTS),
                growths=maps.usage(worker, Usage.GROWTHS),
                fallbacks=maps.usage(worker, Usage.FALLBACKS),
                waits=maps.usage(worker, Usage.WAITS),
            )
            for worker in range(self.handle.workers)
        )

    def holders(self) -> tuple[tuple[int, int], ...]:
        """Worker number to the bytes that it holds, greatest first."""
        return self._maps.held_bytes()

    def bury(self, worker: int) -> None:
        """Let go of all that a dead worker held, and give back what nobody else holds of its pool.

        Only once its process is gone, for its cells are written here; and once all that it sent was
        received or thrown away, for what is in flight counts as held by its sender.
        """
        maps = self._maps
        for pool in range(self.handle.workers):
            for slot, _, _ in maps.described(pool):
                if worker in maps.holders.holders(pool, slot):
                    maps.holders.flip(maps.holders.cell(pool, slot, worker))
        maps.set_usage(worker, Usage.PINCHED, 0)
        self._give_back(worker)

    def close(self) -> None:
        """Close the descriptor; a second time: nothing. The memory goes when all have let go."""
        self._backing.close()
        self._maps = Maps(self.handle, self._backing)

    def _give_back(self, worker: int) -> None:
        maps, range_of = self._maps, None
        for slot, offset, nbytes in maps.described(worker):
            if not maps.holders.is_free(worker, slot):
                continue
            range_of = range_of or maps.own(worker)
            if self._backing.release(range_of, offset, nbytes):
                maps.describe(worker, slot, offset, 0)
        left = sum(nbytes for _, _, nbytes in maps.described(worker))
        maps.set_usage(worker, Usage.RESERVED, left)


class Share:
    """One worker's share in the arena: a pool of its own, views of all. Made after the fork.

    Nothing is mapped before it is used, so a worker without arrays pays nothing.
    """

    def __init__(self, handle: ArenaHandle, worker: int) -> None:
        if not 0 <= worker < handle.workers:
            raise ValueError(f"the arena has {handle.workers} workers, not number {worker}")
        self._backing = Backing(handle.fd)
        self._maps = Maps(handle, self._backing)
        self._worker = worker

    @cached_property
    def pool(self) -> SlotPool:
        """What this worker lends out."""
        from pipeflow.transports.slots import SlotPool  # the supervisor lends nothing

        return SlotPool(self._maps, self._holdings, self._worker)

    @cached_property
    def views(self) -> Views:
        """What this worker gets to see."""
        from pipeflow.transports.views import Views  # nor does it look into anything

        return Views(self._maps, self._holdings)

    def is_pinched(self, worker: int) -> bool:
        """Whether a worker waits for memory that others have."""
        return bool(self._maps.usage(worker, Usage.PINCHED))

    def close(self) -> None:
        """Give back memory that nobody holds, and the descriptor; arrays stay valid."""
        if "pool" in self.__dict__:
            self.pool.close()
        self._backing.close()

    @cached_property
    def _holdings(self) -> Holdings:
        return Holdings(self._maps.holders, self._worker)

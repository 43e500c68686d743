"""Looks into slots: read-only arrays over shared memory, valid as long as they are held."""

from __future__ import annotations

import mmap
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeflow.errors import ProtocolError
from pipeflow.transports.base import SlotRef
from pipeflow.transports.holdings import Holdings
from pipeflow.transports.layout import Maps

if TYPE_CHECKING:
    import numpy as np


class Views:
    """What one worker sees of all slots. Made by ``shm.Share``."""

    def __init__(self, maps: Maps, holdings: Holdings) -> None:
        self._maps, self._holdings = maps, holdings
        handle = maps.handle
        first, self._range_bytes = handle.ranges_at, handle.range_bytes
        self._starts = range(first, first + handle.workers * self._range_bytes, self._range_bytes)
        self._max_slots = handle.max_slots

    def view(self, ref: SlotRef) -> np.ndarray[Any, Any]:
        """The bytes of a slot as a read-only array; it holds the slot until it dies.

        Any array made from it keeps it alive. The memory is mapped without the right to write, and
        the mapping lives as long as an array over it, whatever happens to the writer.

        Raises:
            ProtocolError: There is no such place in the arena.
        """
        import numpy as np

        at = self._place(ref)
        memory, address = self._mapped
        base = np.frombuffer(memory, np.uint8, ref.nbytes, at)
        self._holdings.keep(base, ref, address=address + at)
        return base

    @cached_property
    def _mapped(self) -> tuple[mmap.mmap, int]:
        """All of the arena to read, and where it lies in this process."""
        return self._maps.views, self._maps.views_at

    def read(self, ref: SlotRef) -> bytes:
        """A copy of the bytes; the sender keeps them until it hears that we have them.

        Raises:
            ProtocolError: There is no such place in the arena.
        """
        at = self._place(ref)
        return self._maps.views[at : at + ref.nbytes]

    def _place(self, ref: SlotRef) -> int:
        pool, slot, offset, nbytes = ref
        if not 0 <= pool < len(self._starts) or slot >= self._max_slots:
            raise ProtocolError(f"no slot of the arena is meant by {ref}")
        if offset + nbytes > self._range_bytes:
            raise ProtocolError(f"{ref} ends behind its pool")
        return self._starts[pool] + offset

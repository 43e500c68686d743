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
        return self.array(ref, (ref.nbytes,), "u1", None)

    def array(
        self, ref: SlotRef, shape: tuple[int, ...], dtype: Any, layout: Any
    ) -> np.ndarray[Any, Any]:
        """The same as an array of another shape and type.

        Args:
            ref: The slot, and which part of it the array takes.
            shape: Length of each axis.
            dtype: Type of its elements.
            layout: As ``building.PlainArray`` has it.

        Raises:
            ProtocolError: There is no such place in the arena.
        """
        at = self._place(ref)
        new_array, memory, address = self._mapped
        array: np.ndarray[Any, Any]
        if layout is None or layout == "F":
            array = new_array(shape, dtype, memory, at, None, layout)
            if array.nbytes > ref.nbytes:
                raise ProtocolError(f"{ref} is less than an array of {array.nbytes} bytes")
        else:
            offset, strides = layout
            array = new_array(shape, dtype, memory, at + offset, strides)
        # It lies in the mapping itself, so every array made from it has it as its base.
        self._holdings.keep(array, ref, address=address + at)
        return array

    @cached_property
    def _mapped(self) -> tuple[type[np.ndarray[Any, Any]], mmap.mmap, int]:
        """What makes arrays, all of the arena to read, and where it lies in this process."""
        import numpy as np

        return np.ndarray, self._maps.views, self._maps.views_at

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

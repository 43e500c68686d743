"""Where an array lies in shared memory, found by what it lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeflow.transports.base import SlotRef
from pipeflow.transports.holdings import Hold, Holdings
from pipeflow.transports.layout import Maps, bounds_of
from pipeflow.transports.sealing import MOST_BASES, below

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Finder:
    """Finds the arrays of ``SlotPool.empty``, received ones, and slices of both."""

    def __init__(self, maps: Maps, holdings: Holdings) -> None:
        self._maps, self._holdings = maps, holdings

    def whole(self, array: Array) -> tuple[SlotRef, Array] | None:
        """``find`` for an array that takes all of its part of a slot, as most do; else ``None``."""
        holdings, keeper = self._holdings, array
        hold = holdings.of(keeper)
        if hold is None:  # it may be one in another shape
            keeper = array.base  # type: ignore[assignment]  # of any kind
            hold = holdings.of(keeper)
            if hold is None:
                return None
        ref = hold.ref
        if array.nbytes != ref.nbytes or not array.flags.c_contiguous or not hold.address:
            return None
        return ref, keeper

    def find(self, array: Array) -> tuple[SlotRef, Array] | None:
        """Where an array lies in shared memory, and the array that keeps it there."""
        found = self.whole(array)
        if found is not None:
            return found
        hold = self._hold_under(array)
        return None if hold is None else self._part(hold, *bounds_of(array))

    def find_bytes(self, array: Array) -> tuple[SlotRef, Array] | None:
        """The same for bytes of an object that does not say what they lie in: Arrow's buffers."""
        found = self.find(array)
        if found is not None or not self._maps.is_mapped(bounds_of(array)[0]):
            return found
        low, high = bounds_of(array)
        hold = self._holdings.covering(low, high - low)
        return None if hold is None else self._part(hold, low, high)

    def _part(self, hold: Hold, low: int, high: int) -> tuple[SlotRef, Array] | None:
        """What lies between two addresses, of what an object holds."""
        keeper, ref = hold(), hold.ref
        start = low - hold.address
        if keeper is None or start < 0 or start + high - low > ref.nbytes:
            return None
        return SlotRef(ref.pool, ref.slot, ref.offset + start, high - low), keeper

    def _hold_under(self, target: Any) -> Hold | None:
        """The hold under an array: arrays, memory views and numpy's helpers lead to their base."""
        for _ in range(MOST_BASES):
            if target is None:
                return None
            hold = self._holdings.of(target)
            if hold is not None:
                return hold if hold.address else None
            target = below(target)
        return None

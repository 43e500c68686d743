"""Taking objects apart: where the bytes of arrays go while the rest is pickled.

Large ones go to slots of shared memory or lie there already, small ones travel in the frame.
"""

from __future__ import annotations

import copyreg
import pickle
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from pipeflow.transports.base import SlotRef
from pipeflow.transports.kinds import in_its_own_way, reducers
from pipeflow.transports.reading import rebuild_array
from pipeflow.transports.sealing import Revocable, lent_under, seal
from pipeflow.transports.shelf import SHARED_FROM
from pipeflow.transports.slots import SlotPool

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

PROTOCOL: Final = 5
#: Number of its buffer, shape, type of its elements, layout: what ``rebuild_array`` takes.
PlainArray = tuple[int, tuple[int, ...], Any, Any]


class Build:
    """What gathers beside the pickle while it is made.

    Attributes:
        filled: Something was copied into a slot; else all that is shared lay there already.
    """

    def __init__(self, pool: SlotPool | None) -> None:
        self.pool = pool
        self.buffers: list[bytes | SlotRef] = []
        self.keep: list[object] = []
        self.shared_bytes = 0
        self.copied_bytes = 0
        self.filled = False
        self._sent: list[tuple[Any, Array]] = []  # what was sent, and what keeps it

    def dispatch_table(self) -> dict[type, Callable[[Any], Any]] | None:
        """How types are reduced, ours and those of ``copyreg``; ``None`` without numpy."""
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return None
        # A mapped file arrives as what it is to the reader: an array.
        array = self.array
        kinds, others = reducers(numpy), copyreg.dispatch_table
        return {**kinds, **others, numpy.ndarray: array, numpy.memmap: array}

    def array(self, array: Array) -> Any:
        """Reduce one array: where it lies, and how to look at it."""
        plain = self.plain_array(array)
        # Its elements are objects, so they go the way of objects.
        return in_its_own_way(array) if plain is None else (rebuild_array, plain)

    def plain_array(self, array: Array) -> PlainArray | None:
        """Put an array's bytes somewhere: what ``rebuild_array`` needs to find them.

        ``None`` if its elements are objects.
        """
        dtype = array.dtype
        if dtype.hasobject or not dtype.itemsize:
            return None
        index, layout = len(self.buffers), self._store(array)
        return index, array.shape, spell(dtype), layout

    def lying_array(self, array: Array) -> PlainArray | None:
        """``plain_array`` for one all of which lies in shared memory, as most that is passed on.

        It is read-only from now on. ``None`` if it does not.
        """
        found = None if self.pool is None else self.pool.finder.whole(array)
        if found is None:
            return None
        plain = len(self.buffers), array.shape, spell(array.dtype), None
        ref, keeper = found
        self._share(ref, keeper)
        seal(array, keeper)
        return plain

    def out_of_band(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer of any other object that offers some."""
        try:
            raw = buffer.raw()
        except BufferError:
            return True  # not in one piece: pickle has it in the stream, or says so
        if self.pool is None or raw.nbytes < SHARED_FROM or not self._share_raw(raw):
            self._inline(bytes(raw))
        return False

    def mark(self) -> tuple[int, int, int, int, int]:
        """How much there is, for ``return_to``."""
        sizes = len(self.buffers), len(self.keep), len(self._sent)
        return *sizes, self.shared_bytes, self.copied_bytes

    def return_to(self, mark: tuple[int, int, int, int, int]) -> None:
        """Forget what came since."""
        buffers, keep, sent, self.shared_bytes, self.copied_bytes = mark
        del self.buffers[buffers:], self.keep[keep:], self._sent[sent:]

    def drop(self) -> None:
        """Let go of everything: the traceback of a failure may keep us for long."""
        self.keep.clear()
        self._sent.clear()

    def freeze(self) -> None:
        """Make what was sent by reference read-only, as far as we can reach."""
        if self._sent:
            for part, keeper in self._sent:
                seal(part, keeper)
            self._sent.clear()

    # -- where the bytes go

    def _store(self, array: Array) -> Any:
        """Put an array's bytes somewhere; how they are laid out there."""
        if self.pool is not None and array.nbytes >= SHARED_FROM:
            found = self.pool.finder.find(array)
            if found is not None:
                return self._refer(array, *found)
            order = _order(array)
            placed = self.pool.place(array.shape, array.dtype, array.nbytes, order or "C")
            if placed is not None:
                import numpy as np

                copy, ref = placed
                self.filled = True
                self._share(ref, copy)
                np.copyto(copy, array)
                return order
        self._inline(array.tobytes("A"))
        if self.pool is None and array.nbytes >= SHARED_FROM:
            keeper = lent_under(array)
            if keeper is not None:
                self._sent.append((array, keeper))
        return _order(array)

    def _refer(self, array: Array, ref: SlotRef, keeper: Array) -> Any:
        self._share(ref, keeper)
        base: object = keeper.base
        if type(base) is Revocable:  # else it was received, so nobody could ever write it
            self._sent.append((array, keeper))
        flags = array.flags
        if flags.c_contiguous:
            return None
        below = sum(
            (length - 1) * stride
            for length, stride in zip(array.shape, array.strides, strict=True)
            if stride < 0
        )
        return -below, array.strides

    def _share_raw(self, raw: memoryview) -> bool:
        """Put a buffer into a slot, or find it there."""
        import numpy as np

        assert self.pool is not None
        found = self.pool.finder.find_bytes(np.frombuffer(raw, np.uint8))
        if found is not None:
            self._share(*found)
            self._sent.append((raw, found[1]))
            return True
        lease = self.pool.reserve(raw.nbytes)
        if lease is None:
            return False
        self.filled = True
        lease.memory[:] = raw
        self._share(lease.ref, lease)
        return True

    def _share(self, ref: SlotRef, keeper: object) -> None:
        self.buffers.append(ref)
        self.keep.append(keeper)
        self.shared_bytes += ref.nbytes

    def _inline(self, data: bytes) -> None:
        self.buffers.append(data)
        self.copied_bytes += len(data)


def spell(dtype: Any) -> Any:
    """A type of elements, as short text where that says all of it."""
    if dtype.kind in "biufc" and dtype.isbuiltin == 1:
        return dtype.str
    return dtype


def _order(array: Array) -> Literal["F"] | None:
    """How ``tobytes("A")`` lays an array out; ``None`` is as C does."""
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else None

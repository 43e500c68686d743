"""Rebuilding arrays: the packet that is being loaded, and what its pickle calls.

A pickle names functions of modules, so what belongs to one packet is found by way of its thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pipeflow.transports.base import SlotRef
from pipeflow.transports.views import Views

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_T = TypeVar("_T")


def load_with(reading: Reading, load: Callable[[Any, Any], _T], pickled: Any) -> _T:
    """Load with the packet's buffers in reach of its arrays."""
    before, _now.reading = _now.reading, reading
    try:
        return load(pickled, reading)
    finally:
        _now.reading = before


class Reading:
    """The buffers of the packet that is being loaded: arrays ask by number, others in turn."""

    def __init__(
        self, buffers: Sequence[bytes | SlotRef], views: Views | None, private: bool
    ) -> None:
        self._buffers, self._views, self.private = buffers, views, private
        self._next = 0

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        if self._next >= len(self._buffers):
            raise StopIteration
        buffer = self._buffers[self._next]
        self._next += 1
        found = buffer if isinstance(buffer, bytes) else needed(self._views).view(buffer)
        return bytearray(found) if self.private else found

    def array(self, index: int, shape: tuple[int, ...], dtype: Any, layout: Any) -> Array:
        """Array number ``index``: a look at its buffer, or a private copy."""
        self._next = index + 1
        array = array_in(self._buffers[index], self._views, shape, dtype, layout)
        return array.copy(order="K") if self.private else array


def array_in(
    buffer: bytes | SlotRef, views: Views | None, shape: tuple[int, ...], dtype: Any, layout: Any
) -> Array:
    """An array as a look at its buffer; it is read-only.

    Args:
        buffer: Where its bytes are.
        views: For those in shared memory.
        shape: Length of each axis.
        dtype: Type of its elements.
        layout: As ``building.PlainArray`` has it.
    """
    if not isinstance(buffer, bytes):
        return needed(views).array(buffer, shape, dtype, layout)
    import numpy as np

    if layout is None or layout == "F":
        return np.ndarray(shape, dtype, buffer, 0, None, layout)
    offset, strides = layout
    return np.ndarray(shape, dtype, buffer, offset, strides)


def needed(views: Views | None) -> Views:
    """Views, for a packet that cannot be read without."""
    if views is None:
        raise ValueError("a packet with buffers in shared memory needs views")
    return views


class _Now(threading.local):
    """What this thread is loading."""

    reading: Reading | None = None


_now: Final = _Now()


def rebuild_array(index: int, shape: tuple[int, ...], dtype: Any, layout: Any) -> Array:
    """Rebuild an array of the packet that is being loaded; called by its pickle."""
    if _now.reading is None:
        raise ValueError("this pickle is part of a packet")
    return _now.reading.array(index, shape, dtype, layout)


def is_private() -> bool:
    """Whether the arrays that are being loaded are copies that may be written."""
    return _now.reading is not None and _now.reading.private

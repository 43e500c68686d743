"""Objects to packets and back: one pickle a packet, large buffers beside it.

Arrays of every size arrive read-only; ``private`` ones are copies that may be written. Plain
objects cost one call of C for a whole list: the pickler looks types up in a table, and calls back
for arrays alone.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from pipeflow.errors import ItemNotLoadable, PipeflowError
from pipeflow.transports.base import Packet, SlotRef
from pipeflow.transports.culprit import loading_index, not_serializable, reason_of
from pipeflow.transports.slots import SHARED_FROM, SlotPool
from pipeflow.transports.views import Views

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_PROTOCOL: Final = 5

_T = TypeVar("_T")


class Encoder:
    """Makes packets, in the thread of whoever made the objects.

    Args:
        pool: Where buffers of ``SHARED_FROM`` bytes and more go; without one all travel in frames.
    """

    def __init__(self, pool: SlotPool | None = None) -> None:
        self._pool = pool

    def pile(self) -> Pile:
        """A packet to be made object by object."""
        return Pile(self._pool)

    def encode(self, payloads: list[Any]) -> Packet:
        """Pickle a list of payloads, once for all who will get it.

        Arrays that lie in shared memory already travel by reference, and are read-only from now
        on: what was sent may not be changed.

        Raises:
            ItemNotSerializable: One of them cannot be pickled; it says which, and which part.
            MemoryLimitReached: There is no room for the buffers.
        """
        build = _Build(self._pool)
        try:
            pickled = _dump(payloads, build.dispatch_table(), build.out_of_band)
        except PipeflowError:
            build.drop()
            raise
        except Exception as error:  # whatever the reduction of the user's own objects raises
            build.drop()
            raise not_serializable(payloads, error, _probe) from error
        build.freeze()
        return Packet(
            pickled=pickled,
            buffers=tuple(build.buffers),
            items=len(payloads),
            shared_bytes=build.shared_bytes,
            copied_bytes=build.copied_bytes,
            keep=tuple(build.keep),
        )


class Pile:
    """A packet in the making: each object is pickled the moment it is added.

    Whoever passes on an object may change it afterwards, a buffer that is filled again or a dict
    that is used again: what travels is what it was. Pickling a whole list at once is cheaper, and
    right for objects that cannot change.

    Args:
        pool: As for ``Encoder``.
    """

    def __init__(self, pool: SlotPool | None = None) -> None:
        self._build = _Build(pool)
        self._table = self._build.dispatch_table()
        self._pieces: list[bytes] = []

    def add(self, payload: Any) -> None:
        """Pickle one more object.

        Raises:
            ItemNotSerializable: It cannot be pickled; the pile is as it was.
            MemoryLimitReached: There is no room for its buffers.
        """
        build = self._build
        if self._table is None:
            self._table = build.dispatch_table()  # numpy may have come since
        before = build.mark()
        try:
            self._pieces.append(_dump(payload, self._table, build.out_of_band))
        except PipeflowError:
            build.return_to(before)
            raise
        except Exception as error:  # whatever the reduction of the user's own objects raises
            build.return_to(before)
            raise not_serializable([payload], error, _probe) from error
        build.freeze()

    def packet(self) -> Packet:
        """All objects that were added, as one packet."""
        build = self._build
        head = pickle.dumps(len(self._pieces), _PROTOCOL)
        return Packet(
            pickled=b"".join((head, *self._pieces)),
            buffers=tuple(build.buffers),
            items=len(self._pieces),
            shared_bytes=build.shared_bytes,
            copied_bytes=build.copied_bytes,
            keep=tuple(build.keep),
        )


class Decoder:
    """Makes objects of packets.

    Args:
        views: For buffers that travel by reference.
    """

    def __init__(self, views: Views | None = None) -> None:
        self._views = views

    def decode(self, packet: Packet, *, private: bool = False) -> list[Any]:
        """The payloads of a packet.

        Args:
            packet: As it came.
            private: Whether arrays are copies that may be written.

        Raises:
            ItemNotLoadable: The pickle of one of them cannot be loaded; it says which.
        """
        try:
            payloads: list[Any] = self._load(packet, private, _loads)
        except PipeflowError:
            raise
        except Exception as error:  # whatever the user's own objects raise when they are rebuilt
            index = self._load(packet, private, loading_index)
            raise ItemNotLoadable(index, reason_of(error)) from error
        return payloads

    def _load(self, packet: Packet, private: bool, load: Callable[[Any, Any], _T]) -> _T:
        """Load with this packet's buffers in reach of its arrays."""
        before, _now.reading = _now.reading, _Reading(packet, self._views, private)
        try:
            return load(packet.pickled, _now.reading)
        finally:
            _now.reading = before


def _dump(
    payloads: object,
    table: dict[type, Callable[[Any], Any]] | None,
    out_of_band: Callable[[pickle.PickleBuffer], object],
) -> bytes:
    if table is None:
        return pickle.dumps(payloads, _PROTOCOL, buffer_callback=out_of_band)
    file = io.BytesIO()
    pickler = pickle.Pickler(file, _PROTOCOL, buffer_callback=out_of_band)
    pickler.dispatch_table = table
    pickler.dump(payloads)
    return file.getvalue()


def _loads(pickled: Any, buffers: Any) -> Any:
    """A pickled list, or a number and so many pickles after it: see ``Pile``."""
    first = pickle.loads(pickled, buffers=buffers)
    if type(first) is list:
        return first
    file = io.BytesIO(pickled)
    pickle.load(file)
    payloads: list[Any] = []
    try:
        for _ in range(first):
            payloads.append(pickle.load(file, buffers=buffers))  # noqa: PERF401 - the count tells which failed
    except PipeflowError:
        raise
    except Exception as error:  # whatever the user's own objects raise when they are rebuilt
        raise ItemNotLoadable(len(payloads), reason_of(error)) from error
    return payloads


class _Build:
    """What gathers beside the pickle while it is made."""

    def __init__(self, pool: SlotPool | None) -> None:
        self._pool = pool
        self.buffers: list[bytes | SlotRef] = []
        self.keep: list[object] = []
        self.shared_bytes = 0
        self.copied_bytes = 0
        self._sent: list[Array] = []

    def dispatch_table(self) -> dict[type, Callable[[Any], Any]] | None:
        """How types are reduced, ours and those of ``copyreg``; ``None`` without numpy."""
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return None
        table = dict(copyreg.dispatch_table)
        table[numpy.ndarray] = self.array
        # A mapped file arrives as what it is to the reader: an array.
        table[numpy.memmap] = self.array
        table[numpy.recarray] = self.record_array
        return table

    def array(self, array: Array) -> Any:
        """Reduce one array: where it lies, and how to look at it."""
        if array.dtype.hasobject or not array.dtype.itemsize:
            # Its elements are objects, so they go the way of objects.
            return array.__reduce_ex__(_PROTOCOL)
        index, layout = len(self.buffers), self._store(array)
        return _array, (index, array.shape, _spell(array.dtype), layout)

    def record_array(self, array: Array) -> Any:
        """Reduce an array of records: the plain array, and what it is seen as."""
        import numpy as np

        return _viewed, (array.view(np.ndarray), type(array))

    def out_of_band(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer of any other object that offers some."""
        try:
            raw = buffer.raw()
        except BufferError:
            return True  # not in one piece: pickle has it in the stream, or says so
        if self._pool is None or raw.nbytes < SHARED_FROM or not self._share_raw(raw):
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
        for array in self._sent:
            part: Any = array
            while hasattr(part, "flags") and part.flags.writeable:
                part.flags.writeable = False
                part = part.base
        self._sent.clear()

    # -- where the bytes go

    def _store(self, array: Array) -> Any:
        """Put an array's bytes somewhere; how they are laid out there."""
        if self._pool is not None and array.nbytes >= SHARED_FROM:
            found = self._pool.find(array)
            if found is not None:
                return self._refer(array, *found)
            lease = self._pool.reserve(array.nbytes)
            if lease is not None:
                self._share(lease.ref, lease)
                return _copy_into(lease.memory, array)
        self._inline(array.tobytes("A"))
        return _order(array)

    def _refer(self, array: Array, ref: SlotRef, keeper: object) -> Any:
        self._share(ref, keeper)
        self._sent.append(array)
        if array.flags.c_contiguous:
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

        assert self._pool is not None
        found = self._pool.find(np.frombuffer(raw, np.uint8))
        if found is not None:
            self._share(*found)
            return True
        lease = self._pool.reserve(raw.nbytes)
        if lease is None:
            return False
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


class _Reading:
    """The buffers of the packet that is being loaded: arrays ask by number, others in turn."""

    def __init__(self, packet: Packet, views: Views | None, private: bool) -> None:
        self._buffers, self._views, self._private = packet.buffers, views, private
        self._next = 0

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        if self._next >= len(self._buffers):
            raise StopIteration
        buffer = self._buffer(self._next)
        return bytearray(buffer) if self._private else buffer

    def array(self, index: int, shape: tuple[int, ...], dtype: Any, layout: Any) -> Array:
        import numpy as np

        buffer = self._buffer(index)
        match layout:
            case (int(offset), strides):
                array = np.ndarray(shape, dtype, buffer=buffer, offset=offset, strides=strides)
            case _:
                array = np.ndarray(shape, dtype, buffer=buffer, order=layout)
        return array.copy(order="K") if self._private else array

    def _buffer(self, index: int) -> Any:
        self._next = index + 1
        buffer = self._buffers[index]
        if isinstance(buffer, bytes):
            return buffer
        if self._views is None:
            raise ValueError("a packet with buffers in shared memory needs views")
        return self._views.view(buffer)


class _Now(threading.local):
    """What this thread is loading."""

    reading: _Reading | None = None


_now: Final = _Now()


def _array(index: int, shape: tuple[int, ...], dtype: Any, layout: Any) -> Array:
    """Rebuild an array of the packet that is being loaded; called by its pickle."""
    if _now.reading is None:
        raise ValueError("this pickle is part of a packet")
    return _now.reading.array(index, shape, dtype, layout)


def _viewed(array: Array, kind: type[Any]) -> Any:
    """Rebuild an array of a subclass; called by its pickle."""
    return array.view(kind)


def _spell(dtype: Any) -> Any:
    """A type of elements, as short text where that says all of it."""
    if dtype.kind in "biufc" and dtype.isbuiltin == 1:
        return dtype.str
    return dtype


def _order(array: Array) -> Literal["F"] | None:
    """How ``tobytes("A")`` and ``_copy_into`` lay an array out; ``None`` is as C does."""
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else None


def _copy_into(memory: memoryview, array: Array) -> Literal["F"] | None:
    """Copy an array, whatever its strides, and say in which order."""
    import numpy as np

    order = _order(array)
    np.copyto(np.ndarray(array.shape, array.dtype, buffer=memory, order=order), array)
    return order


def _probe(payload: object) -> None:
    """Pickle something to see whether it can be; buffers are not looked at."""
    table: dict[type, Callable[[Any], Any]] | None = None
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        table = dict(copyreg.dispatch_table)
        table[numpy.ndarray] = lambda a: (
            a.__reduce_ex__(_PROTOCOL) if a.dtype.hasobject else (int, ())
        )
    _dump(payload, table, lambda _: False)

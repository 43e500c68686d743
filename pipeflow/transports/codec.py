"""Objects to packets and back: one pickle a packet, large buffers beside it.

Arrays of every size arrive read-only; ``private`` ones are copies that may be written. Plain
objects cost one call of C for a whole list: the pickler looks types up in a table, and calls back
for arrays alone. What a packet's bytes begin with tells its form:

    pickle's own 0x80   one pickle of the whole list
    b"P"                a count, the length of each pickle, the pickles: see ``Pile``
    b"A"                arrays and nothing else: one pickle of their shapes, types and layouts
"""

from __future__ import annotations

import copyreg
import io
import pickle
import struct
import sys
from collections.abc import Callable, Collection
from typing import Any, Final

from pipeflow.errors import ItemNotLoadable, PipeflowError
from pipeflow.transports.base import Packet, SlotRef
from pipeflow.transports.building import PROTOCOL, Build, PlainArray, spell
from pipeflow.transports.culprit import loading_index, not_serializable, reason_of
from pipeflow.transports.pieces import pieces_of
from pipeflow.transports.plain import MARSHALLED, dump_plain, load_plain
from pipeflow.transports.reading import Reading, array_in, load_with, needed, rebuild_array
from pipeflow.transports.sealing import seal
from pipeflow.transports.shelf import SHARED_FROM
from pipeflow.transports.slots import SlotPool
from pipeflow.transports.unloadable import Unloadable, Unopened, may_run_code, unloadable
from pipeflow.transports.views import Views

_PILE: Final = b"P"
_ARRAYS: Final = b"A"
_LIST_FORM, _PILE_FORM, _ARRAYS_FORM = 0x80, _PILE[0], _ARRAYS[0]
_COUNT: Final = struct.Struct("<I")
#: Shapes and types of arrays whose pickles are known; a run has few.
_KNOWN_MOST: Final = 64


class Encoder:
    """Makes packets, in the thread of whoever made the objects.

    Args:
        pool: Where buffers of ``SHARED_FROM`` bytes and more go; without one all travel in frames.
    """

    def __init__(self, pool: SlotPool | None = None) -> None:
        self._pool = pool
        self._known: dict[tuple[tuple[int, ...], str], bytes] = {}

    def alone(self, array: Any) -> Packet | None:
        """A packet of one large array; ``None``: it is small, or its elements are objects.

        The same as a pile of it gives, on the shortest way if it lies in shared memory.

        Raises:
            MemoryLimitReached: There is no room for it.
        """
        pool, dtype = self._pool, array.dtype
        if pool is None or array.nbytes < SHARED_FROM or dtype.hasobject:
            return None
        found, dtype, shape = pool.finder.whole(array), spell(dtype), array.shape
        if found is None or type(dtype) is not str:
            pile = self.pile()
            pile.add(array)
            return pile.packet()
        pickled = self._known.get((shape, dtype))
        if pickled is None:
            pickled = _ARRAYS + pickle.dumps([(0, shape, dtype, None)], PROTOCOL)
            if len(self._known) < _KNOWN_MOST:
                self._known[shape, dtype] = pickled
        ref, keeper = found
        seal(array, keeper)
        return Packet(pickled, (ref,), 1, ref.nbytes, 0, (keeper,))

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
        if len(payloads) == 1 and is_array(payloads[0]):
            pile = self.pile()
            pile.add(payloads[0])
            return pile.packet()
        build = Build(self._pool)
        try:
            pickled = _dump(payloads, build.dispatch_table(), build.out_of_band)
        except PipeflowError:
            build.drop()
            raise
        except BaseException as error:  # whatever the user's own reduction raises, sys.exit too
            build.drop()
            raise not_serializable(payloads, error, _probe) from error
        build.freeze()
        return _packet(pickled, build, len(payloads))


def encode_settled(payloads: list[Any], plain: bool) -> Packet:
    """``Encoder.encode`` for what nobody has any more, and that has no buffers.

    Args:
        payloads: The items.
        plain: See ``Packet.plain``.
    """
    data = dump_plain(payloads) if plain else pickle.dumps(payloads, PROTOCOL)
    return Packet(data, (), len(payloads), plain=plain)


class Pile(Build):
    """A packet in the making: each object is pickled the moment it is added.

    Whoever passes on an object may change it afterwards, a buffer that is filled again or a dict
    that is used again: what travels is what it was. Pickling a whole list at once is cheaper, and
    right for objects that cannot change.

    Args:
        pool: As for ``Encoder``.
    """

    def __init__(self, pool: SlotPool | None = None) -> None:
        super().__init__(pool)
        self._table: dict[type, Callable[[Any], Any]] | None = None
        self._pieces: list[bytes] = []
        #: What each object needs to be rebuilt, as long as all are arrays.
        self._arrays: list[PlainArray] = []

    def add(self, payload: Any) -> None:
        """Pickle one more object.

        Raises:
            ItemNotSerializable: It cannot be pickled; the pile is as it was.
            MemoryLimitReached: There is no room for its buffers.
        """
        alone = not self._pieces and is_array(payload)
        plain = self.lying_array(payload) if alone and payload.dtype.isbuiltin == 1 else None
        if plain is not None:
            self._arrays.append(plain)
            return
        before = self.mark()
        try:
            if alone:
                plain = self.plain_array(payload)
                if plain is not None:
                    if type(plain[2]) is not str:
                        pickle.dumps(plain[2], PROTOCOL)  # its type, which may hold anything
                    self._arrays.append(plain)
                    self.freeze()
                    return
            if self._table is None:
                self._table = self.dispatch_table()  # numpy may have come since
            piece = _dump(payload, self._table, self.out_of_band)
        except PipeflowError:
            self.return_to(before)
            raise
        except BaseException as error:  # whatever the user's own reduction raises, sys.exit too
            self.return_to(before)
            raise not_serializable([payload], error, _probe) from error
        self.freeze()
        # Now they are not alone any more.
        self._pieces += [pickle.dumps(_Rebuilt(plain), PROTOCOL) for plain in self._arrays]
        self._arrays.clear()
        self._pieces.append(piece)

    def lone_piece(self) -> bytes | None:
        """The pickle of the one object that was added; ``None``: it has buffers beside it."""
        if self.buffers:
            return None
        (piece,) = self._pieces
        return piece

    def add_piece(self, piece: bytes) -> None:
        """Add an object as another pile has pickled it: ``lone_piece``."""
        assert not self._arrays, "whoever adds pieces adds nothing else"
        self._pieces.append(piece)

    def packet(self) -> Packet:
        """All objects that were added, as one packet."""
        arrays = self._arrays
        if arrays:
            return _packet(_ARRAYS + pickle.dumps(arrays, PROTOCOL), self, len(arrays))
        pieces = self._pieces
        lengths = struct.pack(f"<{len(pieces)}I", *map(len, pieces))
        pickled = b"".join((_PILE, _COUNT.pack(len(pieces)), lengths, *pieces))
        return _packet(pickled, self, len(pieces))


class Decoder:
    """Makes objects of packets.

    Args:
        views: For buffers that travel by reference.
    """

    def __init__(self, views: Views | None = None) -> None:
        self._views = views
        #: Shape, type and layout of arrays that came alone, by their pickle.
        self._known: dict[bytes, tuple[tuple[int, ...], Any, Any]] = {}

    def decode(self, packet: Packet, *, private: bool = False) -> list[Any]:
        """The payloads of a packet.

        Args:
            packet: As it came.
            private: Whether arrays are copies that may be written.

        Raises:
            ItemNotLoadable: The pickle of one of them cannot be loaded; it says which.
        """
        if packet.handed is not None:
            return packet.handed
        form = packet.pickled[0]
        if form in MARSHALLED:
            return load_plain(packet.pickled)
        try:
            if form == _LIST_FORM and not packet.buffers and not private:
                plain: list[Any] = pickle.loads(packet.pickled)  # most are, so it is kept short
                return plain
            if form == _ARRAYS_FORM:
                return self._arrays(packet, private)
            reading = Reading(packet.buffers, self._views, private)
            load = _load_pile if form == _PILE_FORM else _load_list
            payloads: list[Any] = load_with(reading, load, packet.pickled)
        except PipeflowError:
            raise
        except BaseException as error:  # whatever the user's own objects raise when rebuilt
            index = 0
            if form == _LIST_FORM:
                again = Reading(packet.buffers, self._views, private)
                index = load_with(again, loading_index, packet.pickled)
            raise ItemNotLoadable(index, reason_of(error)) from error
        return payloads

    def _arrays(self, packet: Packet, private: bool) -> list[Any]:
        """The payloads of a packet of arrays and nothing else."""
        buffers, views = packet.buffers, self._views
        told: list[PlainArray] = pickle.loads(packet.pickled[1:])
        arrays = [
            array_in(buffers[index], views, shape, dtype, layout)
            for index, shape, dtype, layout in told
        ]
        if len(told) == 1 and len(self._known) < _KNOWN_MOST:
            (_, shape, _, layout), (array,) = told[0], arrays
            self._known[bytes(packet.pickled)] = shape, array.dtype, layout
        return [array.copy(order="K") for array in arrays] if private else arrays

    def shared(self, pickled: bytes, place: tuple[int, int, int, int]) -> list[Any] | None:
        """The payload of a packet of one array in shared memory, of a kind that came before.

        Args:
            pickled: Its pickle.
            place: Where its one buffer lies, as a ``SlotRef`` has it.

        Returns:
            ``None``: ``decode`` knows more.
        """
        known = self._known.get(pickled)
        if known is None:
            return None
        shape, dtype, layout = known
        return [needed(self._views).array(SlotRef(*place), shape, dtype, layout)]

    def salvage(
        self,
        packet: Packet,
        *,
        private: bool = False,
        begins: Callable[[int], None] = lambda _: None,
        lost: Collection[int] = (),
    ) -> list[Any]:
        """The payloads of a packet, slowly: an ``Unloadable`` for each that cannot be loaded.

        Args:
            packet: As it came.
            private: As for ``decode``.
            begins: Told of each item before it is loaded.
            lost: Items not to be tried.
        """
        from pipeflow.transports import salvage  # few runs need it, and it loads what they do not

        def load(pickled: Any, buffers: Any) -> list[Any]:
            pile = packet.pickled[0] == _PILE_FORM
            slowly = salvage.salvage_pile if pile else salvage.salvage_list
            return slowly(pickled, buffers, begins=begins, lost=lost)

        if packet.pickled[0] in MARSHALLED:
            return load_plain(packet.pickled)  # that fails for none of them
        if packet.pickled[0] != _ARRAYS_FORM:
            reading = Reading(packet.buffers, self._views, private)
            return load_with(reading, load, packet.pickled)
        try:
            return self.decode(packet, private=private)
        except ItemNotLoadable as error:
            return [unloadable(index, error) for index in range(packet.items)]


def holds_arrays(packet: Packet) -> bool:
    """Whether a packet holds plain arrays alone, so that to unpickle it runs no code of others."""
    return packet.pickled[:1] == _ARRAYS


def half_opened(packet: Packet) -> list[Any] | None:
    """The items of a packet, those unopened that are more than plain data.

    Returns:
        ``None``: it has buffers, or was not made object by object, so it has to be opened.
    """
    if packet.buffers or packet.pickled[0] != _PILE_FORM:
        return None
    return [
        Unopened(piece) if may_run_code(piece) else pickle.loads(piece)
        for piece in pieces_of(packet.pickled)
    ]


def passed_on(packet: Packet, payloads: list[Any]) -> list[Any]:
    """What was salvaged of a packet, with the items that could not be loaded as they came.

    Args:
        packet: It has no buffers, and was made object by object.
        payloads: What ``salvage`` gave.
    """
    pieces = pieces_of(packet.pickled)
    return [
        Unopened(piece) if type(payload) is Unloadable else payload
        for piece, payload in zip(pieces, payloads, strict=True)
    ]


class _Rebuilt:
    """Stands for an array whose bytes are stored already; it is unpickled as that array."""

    def __init__(self, stored: PlainArray) -> None:
        self._stored = stored

    def __reduce__(self) -> Any:
        return rebuild_array, self._stored


def is_array(payload: object) -> bool:
    """Whether this is a plain array, as most that is large is."""
    kind = type(payload)
    return kind.__name__ == "ndarray" and kind.__module__ == "numpy"


def _packet(pickled: bytes, build: Build, items: int) -> Packet:
    return Packet(
        pickled,
        tuple(build.buffers),
        items,
        build.shared_bytes,
        build.copied_bytes,
        tuple(build.keep),
    )


def _dump(
    payloads: object,
    table: dict[type, Callable[[Any], Any]] | None,
    out_of_band: Callable[[pickle.PickleBuffer], object],
) -> bytes:
    if table is None:
        return pickle.dumps(payloads, PROTOCOL, buffer_callback=out_of_band)
    file = io.BytesIO()
    pickler = pickle.Pickler(file, PROTOCOL, buffer_callback=out_of_band)
    pickler.dispatch_table = table
    pickler.dump(payloads)
    return file.getvalue()


def _load_list(pickled: Any, buffers: Any) -> list[Any]:
    payloads: list[Any] = pickle.loads(pickled, buffers=buffers)
    return payloads


def _load_pile(pickled: Any, buffers: Any) -> list[Any]:
    """One after the other, so that the first that cannot be loaded is known."""
    (count,) = _COUNT.unpack_from(pickled, 1)
    lengths = struct.unpack_from(f"<{count}I", pickled, 1 + _COUNT.size)
    data, at = memoryview(pickled), 1 + _COUNT.size * (1 + count)
    payloads: list[Any] = []
    try:
        for length in lengths:
            payloads.append(pickle.loads(data[at : at + length], buffers=buffers))
            at += length
    except PipeflowError:
        raise
    except BaseException as error:  # whatever the user's own objects raise when rebuilt
        raise ItemNotLoadable(len(payloads), reason_of(error)) from error
    return payloads


def _probe(payload: object) -> None:
    """Pickle something to see whether it can be; buffers are not looked at."""
    table: dict[type, Callable[[Any], Any]] | None = None
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        table = dict(copyreg.dispatch_table)
        table[numpy.ndarray] = lambda a: (
            a.__reduce_ex__(PROTOCOL) if a.dtype.hasobject else (int, ())
        )
    _dump(payload, table, lambda _: False)

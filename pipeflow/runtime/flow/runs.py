"""Runs: whole units of one item each, on lane 0, in a row. What most edges carry.

    payloads   a    b    c    d    e          appended by the loop, without a lock
    ordinals   17   18   20   21   0          last part of each id
    prefixes   ^ (find,)          ^ (find, 22)     what stands before it, from which unit on
    units      5    6    7    8    9          count on from ``first``

While ordinals count on from the first, as most do, that one is all there is of them, and an item
costs its loop one append. From the first gap on they are listed until nothing waits any more: an
ordinal is appended before its payload, so the thread that sends finds one for each.
"""

from __future__ import annotations

import pickle
import struct
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache, partial
from sys import getrefcount
from typing import Any, Final, NamedTuple

from pipeflow.runtime.messages import ItemId
from pipeflow.transports.codec import Pile

#: Types whose objects nobody can change, and which can always be pickled.
UNCHANGING: Final = frozenset({int, float, str, bytes, bool, type(None)})
#: Types of results that are surely one item, and no iterator of many.
ONE: Final = UNCHANGING | {dict, list, tuple}
#: So many values an item may have to be searched for what its result has taken over.
WIDTH: Final = 32
#: How deep the containers of an item may lie in one another to be looked at; records are flat.
DEPTH: Final = 8
#: References to an object that nobody else holds: our name for it, and ``getrefcount``'s.
OURS: Final = 2

#: What most frames of runs need to say: its first byte, parts of the prefix, first unit, first
#: ordinal; the parts of the prefix follow. All others begin with pickle's 0x80.
#: One form for each length of prefix.
_PLAIN: Final = tuple(struct.Struct(f"<BBQQ{depth}Q") for depth in range(8))
PLAIN_FORM: Final = 1
_unpack_one: Final = _PLAIN[1].unpack


class Cut(NamedTuple):
    """What one frame takes off a run.

    Attributes:
        meta: Units and ids, as bytes.
        payloads: The items.
        pile: The items, pickled already; ``payloads`` then only counts.
        plain: See ``Packet.plain``.
    """

    meta: bytes
    payloads: list[Any]
    pile: Pile | None
    plain: bool


#: One is made for each frame, and this is the shortest way.
_make_cut: Final = partial(tuple.__new__, Cut)


class Run:
    """Items on their way into frames.

    Attributes:
        payloads: The items.
        first: Unit of the first of them.
        pile: The items, pickled already, if one of them might still be changed; ``payloads`` then
            only counts.
        plain: All of them are plain data; see ``Packet.plain``.
    """

    __slots__ = ("_listed", "_next", "_prefixes", "first", "payloads", "pile", "plain")

    def __init__(self) -> None:
        self.payloads: list[Any] = []
        self.first = 0
        self.pile: Pile | None = None
        self.plain = True
        self._next = 0  # last part of the first id, while they count on
        self._listed: list[int] | None = None  # all of them, while they do not
        self._prefixes: list[tuple[int, ItemId]] = [(0, ())]

    @property
    def prefix(self) -> ItemId:
        """What the ids of items that are added now begin with."""
        return self._prefixes[-1][1]

    @property
    def waiting(self) -> int:
        """Credits that what waits will take."""
        return len(self.payloads)

    @property
    def shared_bytes(self) -> int:
        """Bytes of what it refers to in shared memory."""
        return 0 if self.pile is None else self.pile.shared_bytes

    def begin(self, prefix: ItemId, ordinal: int) -> None:
        """The ids of all that is added from now on begin like this and go on from this one."""
        before = self._prefixes[-1][1]
        waiting = len(self.payloads)
        if not waiting:
            self._next, self._listed = ordinal, None
            if before != prefix:
                self._prefixes = [(self.first, prefix)]
            return
        if before != prefix:
            self._begin_prefix(prefix)
        if self._listed is None and ordinal != self._next + waiting:
            self.list_ordinals()

    def _begin_prefix(self, prefix: ItemId) -> None:
        at, (unit, before) = self.first + len(self.payloads), self._prefixes[-1]
        if before != prefix:
            if unit == at:
                self._prefixes.pop()
            self._prefixes.append((at, prefix))

    @property
    def listed(self) -> list[int] | None:
        """What each ordinal must be appended to, before its item is; ``None``: they count on."""
        return self._listed

    def list_ordinals(self) -> list[int]:
        """They do not count on: what each must be appended to, before its item is."""
        if self._listed is None:
            self._listed = [*range(self._next, self._next + len(self.payloads))]
        return self._listed

    def append(self, payload: Any, ordinal: int) -> None:
        """Append an item that nobody can change any more."""
        if self._listed is not None:
            self._listed.append(ordinal)
        elif not self.payloads:
            self._next = ordinal
        elif ordinal != self._next + len(self.payloads):
            self.list_ordinals().append(ordinal)
        self.payloads.append(payload)

    def add(
        self, payload: Any, ordinal: int, new_pile: Callable[[], Pile], *, settled: bool = False
    ) -> None:
        """Add an item that may still be changed by its maker: it travels as it is now.

        Args:
            payload: The item.
            ordinal: Last part of its id.
            new_pile: Makes a packet to be made object by object.
            settled: Nobody else has it, so nobody changes it.

        Raises:
            ItemNotSerializable: It cannot be pickled; the run is as it was.
        """
        if self.pile is None and not settled and type(payload) not in UNCHANGING:
            pile = new_pile()
            for earlier in self.payloads:
                pile.add(earlier)
            pile.add(payload)
            self.pile = pile
        elif self.pile is not None:
            self.pile.add(payload)
        elif settled and self.plain:
            self.plain = is_settled(payload, alone=True)  # nobody has it, yet it may be anything
        self.append(payload if self.pile is None else None, ordinal)

    def cut(self) -> Cut:
        """Take all there is."""
        count, pile, plain = len(self.payloads), self.pile, self.plain
        payloads = self.payloads[:count]
        meta = self._cut_off(count)
        del self.payloads[:count]
        self.pile, self.plain = None, True
        cut: Cut = _make_cut((meta, payloads, pile, plain))
        return cut

    def pass_by(self, ordinal: int) -> bytes:
        """An item goes by while nothing waits: the meta of the frame that it makes alone."""
        self._next, self._listed = ordinal, None
        return self._cut_off(1)

    def _cut_off(self, count: int) -> bytes:
        """Take so many units off: what is said of them and of their ids."""
        first = self.first
        unit, prefix = self._prefixes[-1]
        depth = len(prefix)
        if self._listed is None and unit <= first and depth < len(_PLAIN):  # as most often
            meta = _PLAIN[depth].pack(PLAIN_FORM, depth, first, self._next, *prefix)
            self._next += count
        else:
            meta = self._cut_meta(count)
        self.first = first + count
        return meta

    def _cut_meta(self, count: int) -> bytes:
        """Take the units and ids of so many off what is noted, and say them."""
        first, (prefixes, ordinals) = self.first, self._cut_ids(count)
        if len(prefixes) == 1:
            meta = plain_meta(first, prefixes[0][1], ordinals)
            if meta is not None:
                return meta
        told = (0, first, count, (), (prefixes, _pack_ordinals(ordinals)))
        return pickle.dumps(told, protocol=5)

    def _cut_ids(self, count: int) -> tuple[list[tuple[int, ItemId]], Sequence[int]]:
        """Take the ids of so many off what is noted: prefixes from which place on, and ordinals."""
        first, prefixes = self.first, self._prefixes
        unit, prefix = prefixes[-1]
        if self._listed is not None:
            ordinals: Sequence[int] = self._listed[:count]
            del self._listed[:count]
        else:
            ordinals = range(self._next, self._next + count)
            self._next += count
        if unit <= first:
            return [(0, prefix)], ordinals
        self._prefixes = [(max(unit, first + count), prefix)]
        return [(max(0, at - first), each) for at, each in prefixes], ordinals


class Items:
    """The items of a run as a reader gets them: pairs of id and payload, made when asked for.

    Args:
        prefixes: (place, prefix) where the ids begin to begin so, rising from place 0.
        ordinals: Last part of each id.
        payloads: The items.
    """

    __slots__ = ("_ordinals", "_payloads", "_prefixes")

    def __init__(
        self,
        prefixes: Sequence[tuple[int, ItemId]],
        ordinals: Sequence[int],
        payloads: list[Any],
    ) -> None:
        self._prefixes, self._ordinals, self._payloads = prefixes, ordinals, payloads

    def __len__(self) -> int:
        return len(self._payloads)

    def __iter__(self) -> Iterator[tuple[ItemId, Any]]:
        for prefix, ordinals, payloads in self.stretches():
            for ordinal, payload in zip(ordinals, payloads, strict=True):
                yield (*prefix, ordinal), payload

    def __contains__(self, pair: object) -> bool:
        return any(pair == each for each in self)

    def stretches(self) -> Iterator[tuple[ItemId, Sequence[int], list[Any]]]:
        """Items whose ids have one prefix, together: prefix, ordinals, payloads."""
        if len(self._prefixes) == 1:
            yield self._prefixes[0][1], self._ordinals, self._payloads
            return
        ends = [place for place, _ in self._prefixes[1:]] + [len(self._payloads)]
        for (start, prefix), end in zip(self._prefixes, ends, strict=True):
            if start < end:
                yield prefix, self._ordinals[start:end], self._payloads[start:end]


def items_of(squeezed: tuple[Any, Any], payloads: list[Any]) -> Items:
    """The items of a frame that ``Run.cut`` made."""
    return Items(*prefixes_and_ordinals(squeezed), payloads)


def prefixes_and_ordinals(
    squeezed: tuple[Any, Any],
) -> tuple[Sequence[tuple[int, ItemId]], Sequence[int]]:
    """The ids of such a frame."""
    prefixes, ordinals = squeezed
    return prefixes, _unpack_ordinals(ordinals)


def id_of(squeezed: tuple[Any, Any], index: int) -> ItemId:
    """Id of one of them."""
    prefixes, ordinals = squeezed
    prefix = next(prefix for place, prefix in reversed(prefixes) if place <= index)
    return (*prefix, _unpack_ordinals(ordinals)[index])


def plain_meta(unit: int, prefix: ItemId, ordinals: Sequence[int]) -> bytes | None:
    """What a frame without gaps says; ``None``: it takes more to say it."""
    depth = len(prefix)
    if depth < len(_PLAIN) and _count_on(ordinals):
        return _PLAIN[depth].pack(PLAIN_FORM, depth, unit, ordinals[0], *prefix)
    return None


def plain_run(meta: bytes, count: int) -> tuple[int, ItemId, range]:
    """What a frame says whose meta begins with ``PLAIN_FORM``: first unit, prefix, ordinals."""
    if meta[1] == 1:  # as most
        _, _, unit, first, stage = _unpack_one(meta)
        return unit, (stage,), range(first, first + count)
    _, _, unit, first, *prefix = _PLAIN[meta[1]].unpack(meta)
    return unit, tuple(prefix), range(first, first + count)


def is_settled(
    value: Any,
    *,
    alone: bool,
    item: dict[Any, Any] | tuple[Any, ...] | None = None,
    depth: int = DEPTH,
    kinds: Collection[object] = UNCHANGING,
) -> bool:
    """Whether nobody can change a value any more, so that it may be pickled later.

    A record as JSON has them is settled as a whole: what only it holds is nobody else's either, nor
    what it has taken over from the item that it was made of.

    Args:
        value: Any object.
        alone: Nobody else holds it.
        item: What it was made of, if nobody else holds that either and it has few values; of a
            pair: a tuple, which is ours.
        depth: So many levels of dicts, lists and tuples in one another are looked at.
        kinds: Types whose objects nobody can change.
    """
    kind = type(value)
    if kind in kinds:
        return True
    inner: Iterable[Any]
    if kind is tuple:
        inner = value
    elif not alone:
        return False
    elif kind is list:
        inner = value
    elif kind is dict and UNCHANGING.issuperset(map(type, value)):
        inner = value.values()
    else:
        return False
    if UNCHANGING.issuperset(map(type, inner)):
        return True
    if not depth:
        return False
    for each in inner:
        if type(each) not in kinds:
            held = getrefcount(each) - OURS  # ``value`` has it once
            own = alone and (held == 1 or (held == 2 and _holds(item, each)))
            if not is_settled(each, alone=own, item=item, depth=depth - 1, kinds=kinds):
                return False
    return True


def with_scalars() -> Collection[object]:
    """``UNCHANGING``, and numpy's numbers, dates and texts, where numpy is loaded.

    They can always be pickled, too; but to load them takes numpy: they are no plain data.
    """
    numpy = sys.modules.get("numpy")
    return UNCHANGING if numpy is None else _with_scalars_of(numpy.generic)


@cache
def _with_scalars_of(generic: type) -> Collection[object]:
    kinds: set[object] = {*UNCHANGING}
    found: list[type] = [generic]
    while found:
        kind = found.pop()
        found += kind.__subclasses__()
        # Not ``void``, whose fields can be set, nor what somebody has made of them.
        if kind.__module__ == "numpy" and kind.__name__ not in {"void", "record", "object_"}:
            kinds.add(kind)
    return kinds


def _holds(item: dict[Any, Any] | tuple[Any, ...] | None, value: object) -> bool:
    """Whether an item has this very object as a value; of a pair: is it, or has it."""
    if isinstance(item, dict):
        return any(each is value for each in item.values())
    for each in item or ():
        own = type(each) is dict and len(each) <= WIDTH and getrefcount(each) == OURS + 1
        if each is value or (own and _holds(each, value)):
            return True
    return False


def _pack_ordinals(ordinals: Sequence[int]) -> object:
    """Ordinals that count on become (first, count)."""
    return (ordinals[0], len(ordinals)) if _count_on(ordinals) else ordinals


def _count_on(ordinals: Sequence[int]) -> bool:
    """Whether each is one more than that before it."""
    if type(ordinals) is range:
        return True
    if not ordinals:
        return False
    first, count = ordinals[0], len(ordinals)
    return ordinals[-1] - first == count - 1 and ordinals == [*range(first, first + count)]


def counting_on(ordinals: list[int]) -> Sequence[int]:
    """Some ordinals, as a range if they count on: a row of calls is cheaper by that."""
    return range(ordinals[0], ordinals[-1] + 1) if _count_on(ordinals) else ordinals


def _unpack_ordinals(packed: Any) -> Sequence[int]:
    if type(packed) is tuple:
        first, count = packed
        return range(first, first + count)
    ordinals: list[int] = packed
    return ordinals

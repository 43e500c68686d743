"""A batch of units, and the few bytes that tell a reader which item belongs to which unit. Pure.

    items      a        b  c            d
    units      17       18       19     20          lane 0
    counts     1        2        0      1           unit 19 gave nothing
    counts     negative: so many units in a row that gave nothing and cost no credit;
               of a unit that goes on: so many of its items that are not for this reader

A unit without items costs one credit, so that a replica runs at most one capacity ahead; a run of
units that were not for this reader, or were dropped, costs none. A unit may be open: more of its
items follow, in this batch or a later one, and units of other lanes may come between them.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from pipeflow.runtime.flow.gapped import GAPPED_FORM, Gapped, GappedItems, gapped, gapped_of
from pipeflow.runtime.flow.runs import (
    PLAIN_FORM,
    UNCHANGING,
    Items,
    id_of,
    items_of,
    plain_run,
    prefixes_and_ordinals,
)
from pipeflow.runtime.messages import ItemId
from pipeflow.transports.codec import Pile
from pipeflow.values import dataclass, field

#: Says which of several batches began first.
births: Final = itertools.count()


@dataclass(slots=True)
class Batch:
    """Units on their way into one frame.

    Attributes:
        payloads: The items of all units, in order.
        ids: Their ids, in step.
        lanes: Lane of each unit.
        units: Number of each unit (of a run: of its first).
        counts: Items of each unit; ``-n``: a run of n empty units without cost, or n items of one
            unit that went elsewhere.
        open: Whether the last unit goes on.
        begun: Places in the batch of the other entries whose unit goes on.
        pile: The payloads, pickled already, if one of them might still be changed; ``payloads``
            then only counts.
        born: When its first entry came, counted over all that is batched in this process.
    """

    payloads: list[Any] = field(default_factory=list)
    ids: list[ItemId] = field(default_factory=list)
    lanes: list[int] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    open: bool = False
    begun: list[int] = field(default_factory=list)
    pile: Pile | None = None
    born: int = -1

    def __bool__(self) -> bool:
        return bool(self.units)

    def settle(self, payload: Any, new_pile: Callable[[], Pile]) -> Any:
        """Make sure that a payload travels as it is now; what to add for it.

        Raises:
            ItemNotSerializable: It cannot be pickled; the batch is as it was.
        """
        if self.pile is None:
            if type(payload) in UNCHANGING:
                return payload
            self.pile = new_pile()
            for earlier in self.payloads:
                self.pile.add(earlier)
        self.pile.add(payload)
        return None

    def settle_piece(self, piece: bytes, new_pile: Callable[[], Pile]) -> None:
        """The same for one that is pickled already, for several batches at once."""
        if self.pile is None:
            self.pile = new_pile()
        self.pile.add_piece(piece)

    def add(self, lane: int, unit: int, item: ItemId, payload: Any) -> None:
        """One more item of a unit, which stays open until ``close``."""
        if self._goes_on(lane, unit) and self.counts[-1] > 0:
            self.counts[-1] += 1
        else:
            self._begin(lane, unit, 1)
        self.payloads.append(payload)
        self.ids.append(item)
        self.open = True

    def close(self, lane: int, unit: int) -> int:
        """The unit is complete; gives what this costs: 1 if it had no item in this batch, else 0.

        A unit of which an earlier batch took all items is closed by an empty part of it, which
        costs a credit as well: it is one more thing that the reader has to pass.
        """
        if self._goes_on(lane, unit) and self.counts[-1] > 0:
            self.open = False
            return 0
        self._begin(lane, unit, 0)
        return 1

    def skip(self, lane: int, unit: int) -> None:
        """The unit has nothing for this reader, at no cost."""
        self.skip_run(lane, unit, 1)

    def skip_run(self, lane: int, unit: int, span: int) -> None:
        """The same for a run of units."""
        same_lane = bool(self.units) and self.lanes[-1] == lane and not self.open
        if same_lane and self.counts[-1] < 0 and self.units[-1] - self.counts[-1] == unit:
            self.counts[-1] -= span
        else:
            self._begin(lane, unit, -span)

    def pass_over(self, lane: int, unit: int) -> None:
        """One more item of a unit, which stays open, is not for this reader; at no cost."""
        if self._goes_on(lane, unit) and self.counts[-1] < 0:
            self.counts[-1] -= 1
        else:
            self._begin(lane, unit, -1)
        self.open = True

    def _goes_on(self, lane: int, unit: int) -> bool:
        """Whether the last entry is of this unit, and open."""
        return self.open and self.units[-1] == unit and self.lanes[-1] == lane

    def _begin(self, lane: int, unit: int, count: int) -> None:
        if not self.units:
            self.born = next(births)
        if self.open:
            self.begun.append(len(self.units) - 1)
        self.lanes.append(lane)
        self.units.append(unit)
        self.counts.append(count)
        self.open = False

    def meta(self) -> bytes:
        """Everything but the payloads, as bytes; a plain run of single items takes about 40."""
        first = self.units[0]
        count = len(self.units)
        lanes: object = self.lanes
        if self.lanes.count(self.lanes[0]) == count:
            lanes = self.lanes[0]
        units: object = self.units
        if self.units == list(range(first, first + count)):
            units = first
        counts: object = self.counts
        if self.counts.count(1) == count:
            counts = count
        going_on = (*self.begun, count - 1) if self.open else tuple(self.begun)
        return pickle.dumps((lanes, units, counts, going_on, _squeeze(self.ids)), protocol=5)


class Part(NamedTuple):
    """Some items of one unit, or a run of units, as a reader gets them.

    Attributes:
        lane: Lane of the unit.
        unit: Its number; of a run: of the first.
        span: How many units: 1, or more for a run of units that are empty or hold one item each.
        items: (id, payload) in order.
        closed: Whether the unit ends here.
        cost: Credits to give back for the part beside one for each item.
        others: How many items of the unit, in place of items, are not for this reader.
    """

    lane: int
    unit: int
    span: int
    items: Collection[tuple[ItemId, Any]]
    closed: bool
    cost: int
    others: int = 0

    def singly(self) -> Iterator[Part]:
        """The units of a run one by one."""
        if self.span == 1 or not self.items:
            yield self
            return
        for offset, item in enumerate(self.items):
            yield Part(self.lane, self.unit + offset, 1, [item], closed=True, cost=0)


def parts_of(meta: bytes, payloads: list[Any]) -> list[Part]:
    """The units of one frame, in order."""
    if meta[0] == PLAIN_FORM:
        count = len(payloads)
        unit, prefix, ordinals = plain_run(meta, count)
        run = Items(((0, prefix),), ordinals, payloads)
        return [Part(0, unit, count, run, closed=True, cost=0)]
    if meta[0] == GAPPED_FORM:
        return list(parts_with_gaps(GappedItems(gapped(meta), payloads)))
    lanes, units, counts, going_on, squeezed = pickle.loads(meta)
    if isinstance(counts, int):
        if isinstance(lanes, int) and isinstance(units, int) and not going_on:
            items: Collection[tuple[ItemId, Any]]
            if isinstance(squeezed, tuple):
                items = items_of(squeezed, payloads)
            else:
                items = list(zip(squeezed, payloads, strict=True))
            return [Part(lanes, units, counts, items, closed=True, cost=0)]
        counts = [1] * counts
    number = len(counts)
    if isinstance(lanes, int):
        lanes = [lanes] * number
    if isinstance(units, int):
        units = range(units, units + number)
    pairs = list(zip(_unsqueeze(squeezed), payloads, strict=True))
    parts: list[Part] = []
    at = 0
    for index, (lane, unit, count) in enumerate(zip(lanes, units, counts, strict=True)):
        closed = index not in going_on
        if count == 1:
            parts.append(Part(lane, unit, 1, pairs[at : at + 1], closed, 0))
            at += 1
        elif count > 0:
            parts.append(Part(lane, unit, 1, pairs[at : at + count], closed, 0))
            at += count
        elif count == 0:
            parts.append(Part(lane, unit, 1, [], closed, 1))
        elif not closed:
            parts.append(Part(lane, unit, 1, [], closed=False, cost=0, others=-count))
        else:
            parts.append(Part(lane, unit, -count, [], closed=True, cost=0))
    return parts


def row_of(meta: bytes, payloads: list[Any]) -> Part | None:
    """All units of a frame as one part, if each has one item at most and none is left out."""
    told = gapped_of(meta, len(payloads)) or _gapped_batch(meta)
    return None if told is None else _part_of(told, payloads)


def _gapped_batch(meta: bytes) -> Gapped | None:
    """What a batch says, if it could be said of a run with gaps."""
    lanes, units, counts, going_on, squeezed = pickle.loads(meta)
    if lanes != 0 or going_on:
        return None
    if isinstance(counts, int):
        counts = [1] * counts
    if isinstance(units, int):
        units = range(units, units + len(counts))
    own: list[int] = []
    empties: list[int] = []
    reached = units[0]
    for unit, count in zip(units, counts, strict=True):
        if unit != reached or count > 1:
            return None
        if count < 0:
            reached = unit - count
            continue
        (own if count else empties).append(unit)
        reached = unit + 1
    return Gapped(units[0], reached, own, empties, *_ids_of(squeezed))


def _ids_of(squeezed: Any) -> tuple[Sequence[tuple[int, ItemId]], Sequence[int]]:
    """Ids as prefixes, from which place on, and ordinals."""
    if isinstance(squeezed, tuple):
        return prefixes_and_ordinals(squeezed)
    prefixes: list[tuple[int, ItemId]] = []
    for place, item in enumerate(squeezed):
        if not prefixes or prefixes[-1][1] != item[:-1]:
            prefixes.append((place, item[:-1]))
    return prefixes or [(0, ())], [item[-1] for item in squeezed]


def cut_row(part: Part, end: int) -> tuple[Part, Part | None]:
    """A part that tells of a row of units, before a unit and from there on."""
    if part.unit + part.span <= end:
        return part, None
    if type(part.items) is not GappedItems:
        rest = part._replace(unit=end, span=part.unit + part.span - end)
        return part._replace(span=end - part.unit), rest
    head, tail = part.items.told.cut(end)
    count, payloads = len(head.units), part.items.payloads
    return _part_of(head, payloads[:count]), _part_of(tail, payloads[count:])


def _part_of(told: Gapped, payloads: list[Any]) -> Part:
    items = GappedItems(told, payloads)
    return Part(0, told.unit, told.end - told.unit, items, closed=True, cost=len(told.empties))


def parts_with_gaps(items: GappedItems) -> Iterator[Part]:
    """Its units, each item by itself."""
    pairs = list(items)
    for unit, span, place in items.told.pieces():
        own = pairs[place : place + 1] if place is not None and place >= 0 else []
        yield Part(0, unit, span, own, closed=True, cost=int(place == -1))


def first_id(meta: bytes) -> ItemId:
    """Id of the first item of a frame that has one."""
    if meta[0] == PLAIN_FORM:
        _, prefix, ordinals = plain_run(meta, 1)
        return (*prefix, ordinals[0])
    return id_at(meta, 0)


def id_at(meta: bytes, index: int) -> ItemId:
    """Id of one item of a frame."""
    if meta[0] == PLAIN_FORM:
        _, prefix, ordinals = plain_run(meta, index + 1)
        return (*prefix, ordinals[index])
    if meta[0] == GAPPED_FORM:
        return gapped(meta).id_at(index)
    squeezed = pickle.loads(meta)[-1]
    if isinstance(squeezed, tuple):
        return id_of(squeezed, index)
    return tuple(squeezed[index])


def _squeeze(ids: list[ItemId]) -> object:
    """Ids that count up from one origin become what ``items_of`` reads."""
    if not ids:
        return ids
    first = ids[0]
    if len(first) != 2:
        return ids
    origin, start = first
    if ids == [(origin, ordinal) for ordinal in range(start, start + len(ids))]:
        return [(0, (origin,))], (start, len(ids))
    return ids


def _unsqueeze(squeezed: Any) -> list[ItemId]:
    if isinstance(squeezed, list):
        return squeezed
    (_, (start, count)) = squeezed
    ((_, prefix),) = squeezed[0]
    return [(*prefix, ordinal) for ordinal in range(start, start + count)]

"""Runs with gaps: units in a row, of which some hold one item and others nothing for this reader.

    units       5    6    7    8    9   10   11          one frame tells of all of them
    payloads    a         b              c               appended by the loop
    empties                   8                          gave nothing, and cost a credit
    the others                                           are not this reader's, at no cost

What a stage gives that keeps the units of its items goes so, and what a partition by key spreads. A
unit is **announced** before its item is appended, so whoever sends, which may be the second thread,
finds the units of all that has been appended, and knows up to where nothing more comes.
"""

from __future__ import annotations

import pickle
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from pipeflow.runtime.flow.runs import PLAIN_FORM, Cut, Items, Run, plain_meta, plain_run
from pipeflow.runtime.messages import ItemId

#: First byte of what such a frame says; a pickle of what ``Gapped`` has follows.
GAPPED_FORM: Final = 2


class Gapped(NamedTuple):
    """What a frame says of its units.

    Attributes:
        unit: The first of them.
        end: The one after the last.
        units: Those of the items.
        empties: Those that gave nothing and cost a credit.
        prefixes: (place, prefix) where the ids of the items begin to begin so, from place 0 on.
        ordinals: Last part of each id.
    """

    unit: int
    end: int
    units: Sequence[int]
    empties: Sequence[int]
    prefixes: Sequence[tuple[int, ItemId]]
    ordinals: Sequence[int]

    def id_at(self, index: int) -> ItemId:
        """Id of one item."""
        prefix = next(prefix for place, prefix in reversed(self.prefixes) if place <= index)
        return (*prefix, self.ordinals[index])

    def cut(self, end: int) -> tuple[Gapped, Gapped]:
        """What comes before a unit, and the rest."""
        count, empty = bisect_left(self.units, end), bisect_left(self.empties, end)
        before = [each for each in self.prefixes if each[0] < max(count, 1)]
        after = [(max(0, place - count), prefix) for place, prefix in self.prefixes]
        units, empties, ordinals = self.units, self.empties, self.ordinals
        head = Gapped(self.unit, end, units[:count], empties[:empty], before, ordinals[:count])
        rest = Gapped(end, self.end, units[count:], empties[empty:], after, ordinals[count:])
        return head, rest

    def pieces(self) -> Iterator[tuple[int, int, int | None]]:
        """All units in order, those in a row that are not this reader's together.

        Yields:
            First unit, how many, and the place of the item; -1: it gave nothing; ``None``: they
            are not this reader's.
        """
        own = [(unit, place) for place, unit in enumerate(self.units)]
        own += [(unit, -1) for unit in self.empties]
        reached = self.unit
        for unit, place in sorted(own):
            if unit > reached:
                yield reached, unit - reached, None
            yield unit, 1, place
            reached = unit + 1
        if self.end > reached:
            yield reached, self.end - reached, None


class GappedItems(Items):
    """The items of such a frame, which go on after another in one part of a row of units.

    Args:
        told: What the frame says.
        payloads: The items.
    """

    __slots__ = ("payloads", "told")

    def __init__(self, told: Gapped, payloads: list[Any]) -> None:
        super().__init__(told.prefixes, told.ordinals, payloads)
        self.told, self.payloads = told, payloads


def gapped(meta: bytes) -> Gapped:
    """What a frame says whose meta begins with ``GAPPED_FORM``."""
    return Gapped._make(pickle.loads(memoryview(meta)[1:]))


def gapped_of(meta: bytes, count: int) -> Gapped | None:
    """What a frame of so many items says if it is a run, with gaps or without."""
    if meta[0] == GAPPED_FORM:
        return gapped(meta)
    if meta[0] == PLAIN_FORM:
        unit, prefix, ordinals = plain_run(meta, count)
        return Gapped(unit, unit + count, range(unit, unit + count), (), ((0, prefix),), ordinals)
    return None


class GappedRun(Run):
    """See the module; ``first`` counts the items that were taken off it.

    Attributes:
        units: Units of what waits, then of what was announced.
        empties: Units that gave nothing.
        told: The unit from which on the reader was told nothing.
        end: The one after the last that is known of, once all that was announced has come.
    """

    __slots__ = ("empties", "end", "told", "units")

    def __init__(self) -> None:
        super().__init__()
        self.units: list[int] = []
        self.empties: list[int] = []
        self.told = self.end = 0

    @property
    def waiting(self) -> int:
        return len(self.payloads) + len(self.empties)

    def has_news(self) -> bool:
        """Whether there is anything to tell the reader."""
        return bool(self.payloads or self.empties) or self._reached(0) > self.told

    def untold(self) -> int:
        """Of how many units the reader was told nothing."""
        return self._reached(len(self.payloads)) - self.told

    def go_on_at(self, unit: int) -> None:
        """Nothing waits, and the next unit is this one, which may be an earlier one too."""
        self.told = self.end = unit

    def announce(self, units: Sequence[int], end: int) -> None:
        """The next items are these units, and none comes of those between them and this one."""
        self.units += units
        self.end = end

    def retract(self) -> None:
        """Nothing comes of what was announced, or not in this way."""
        waiting = len(self.payloads)
        if len(self.units) > waiting:
            self.end = self.units[waiting]
            del self.units[waiting:]

    def leave_empty(self) -> None:
        """The next of what was announced gave nothing."""
        self.empties.append(self.units.pop(len(self.payloads)))

    def cut(self) -> Cut:
        """Take all there is."""
        count, pile, plain = len(self.payloads), self.pile, self.plain
        payloads = self.payloads[:count]
        begin, end, units, empties = self.told, self._reached(count), self.units[:count], []
        if self.empties:
            empties = self.empties[:]
            self.empties.clear()
        prefixes, ordinals = self._cut_ids(count)
        del self.payloads[:count], self.units[:count]
        self.told, self.first, self.pile, self.plain = end, self.first + count, None, True
        meta = None
        if count == end - begin and not empties and len(prefixes) == 1:  # without gaps
            meta = plain_meta(begin, prefixes[0][1], ordinals)
        if meta is None:
            told = (begin, end, units, empties, prefixes, ordinals)
            meta = b"\x02" + pickle.dumps(told, protocol=5)
        return Cut(meta, payloads, pile, plain)

    def _reached(self, count: int) -> int:
        """The unit up to which all is known once so many items have left."""
        return self.units[count] if len(self.units) > count else self.end


class SharedRun(GappedRun):
    """One of several runs that share the units of one port: each unit is an item of one of them.

    Ordinals are always listed.

    Args:
        reached: Its first cell has the next unit of the port.
    """

    __slots__ = ("_reached_by_all", "ordinals")

    def __init__(self, reached: Sequence[int]) -> None:
        super().__init__()
        self._reached_by_all = reached
        self.ordinals: list[int] = []
        self._listed = self.ordinals

    def begin(self, prefix: ItemId, ordinal: int) -> None:  # noqa: ARG002 - as all runs have it
        self._begin_prefix(prefix)

    def _reached(self, count: int) -> int:
        units = self.units
        if len(units) > count:
            return units[count]
        reached = self._reached_by_all[0]
        # An item is appended before its unit is counted.
        return max(reached, units[count - 1] + 1) if count else max(reached, self.told)

"""Rows of pairs: what all ports of a zip hold in runs is paired row by row. Pure.

    port 0    17 18 19 20 21 22 23          one frame
    port 1    17 18 19 20 | 21 22 23        two frames
    rows      17 18 19 20 | 21 22 23        one item of each port in every call

The zips decide what may be paired so; here is how.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pipeflow.runtime.flow.joins import Calls, Origin
from pipeflow.runtime.flow.runs import Items
from pipeflow.runtime.flow.units import Part
from pipeflow.runtime.messages import ItemId


class Row(NamedTuple):
    """Items of one port in a row, each a unit of its own.

    Attributes:
        unit: Unit of the first; they count on.
        prefix: What their ids begin with.
        ordinals: Last part of their ids.
        payloads: The items.
        origin: Where all of them came from.
    """

    unit: int
    prefix: ItemId
    ordinals: Sequence[int]
    payloads: list[Any]
    origin: Origin

    def reached(self) -> int:
        """Number after the last unit."""
        return self.unit + len(self.payloads)

    def part(self) -> Part:
        """The same as it came."""
        items = Items(((0, self.prefix),), self.ordinals, self.payloads)
        return Part(0, self.unit, len(self.payloads), items, closed=True, cost=0)


def rows_of(part: Part, origin: Origin) -> Iterator[Row]:
    """The rows of a part that ``is_run``."""
    unit, items = part.unit, part.items
    if type(items) is not Items:
        ((item, payload),) = items
        yield Row(unit, item[:-1], [item[-1]], [payload], origin)
        return
    for prefix, ordinals, payloads in items.stretches():
        yield Row(unit, prefix, ordinals, payloads, origin)
        unit += len(payloads)


def is_run(part: Part) -> bool:
    """Whether a part is of whole units with one item each."""
    _, _, span, items, closed, cost, _ = part
    return closed and (type(items) is Items or (span == len(items) == 1 and not cost))


def cut(rows: deque[Any], count: int) -> Row:
    """Take so many items off the first of the rows, or all that it has if they are fewer."""
    first: Row = rows.popleft()
    unit, prefix, ordinals, payloads, origin = first
    if count >= len(payloads):
        return first
    rows.appendleft(Row(unit + count, prefix, ordinals[count:], payloads[count:], origin))
    return Row(unit, prefix, ordinals[:count], payloads[:count], origin)


def pairs(rows: Sequence[Row], lane: int, unit: int, *, end_units: bool) -> Calls:
    """The calls for rows of one length, one of each port."""
    first = rows[0]
    return Calls(
        first.prefix,
        first.ordinals,
        list(zip(*[row.payloads for row in rows], strict=True)),
        lane,
        unit,
        first.origin,
        end_units,
        partners=tuple([row.origin for row in rows[1:]]),
    )


def are_alike(rows: Sequence[Row]) -> bool:
    """Whether rows of one length are of the same units and have the same ids."""
    unit, prefix, ordinals, _, _ = rows[0]
    for row in rows[1:]:
        if row.unit != unit or row.prefix != prefix:
            return False
        if row.ordinals != ordinals and [*row.ordinals] != [*ordinals]:
            return False
    return True

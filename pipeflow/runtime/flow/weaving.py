"""Weaving: rows of units of which each of several writers has some become one row of calls. Pure.

    writer 0    17 a    18 -    19 -    20 d
    writer 1    17 -    18 b    19 c    20 -       ──>    a  b  c  d

Behind a partition by key each unit is an item of one replica, so the rows have their gaps where the
others have their items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from pipeflow.runtime.flow.collector import Piece
from pipeflow.runtime.flow.gapped import GappedItems
from pipeflow.runtime.flow.joins import Calls, Origin, Output, Passed
from pipeflow.runtime.flow.runs import counting_on
from pipeflow.runtime.messages import ItemId


def weave(pieces: Sequence[Piece], port: int, lane: int) -> Iterator[Output]:
    """Calls with the items of some pieces, by their units, and what they cost beside them.

    Args:
        pieces: Those of each writer, about the same units.
        port: Position of the edge among the stage's inputs.
        lane: Lane of the units, counted over all inputs.
    """
    origins = tuple([Origin(port, writer, frame) for _, writer, frame in pieces])
    full = [
        (number, part.items)
        for number, (part, _, _) in enumerate(pieces)
        if type(part.items) is GappedItems and part.items.payloads
    ]
    if len(full) == 1:
        ((number, items),) = full
        for prefix, ordinals, payloads in items.stretches():
            yield Calls(prefix, ordinals, payloads, lane, 0, origins[number])
    elif full:
        yield from _woven(full, origins, lane)
    for origin, (part, _, _) in zip(origins, pieces, strict=True):
        if part.cost:
            yield Passed(origin, part.cost)


def _woven(
    full: Sequence[tuple[int, GappedItems]], origins: tuple[Origin, ...], lane: int
) -> Iterator[Calls]:
    all_items = [items for _, items in full]
    units = [*chain.from_iterable(items.told.units for items in all_items)]
    ordinals = [*chain.from_iterable(items.told.ordinals for items in all_items)]
    payloads = [*chain.from_iterable(items.payloads for items in all_items)]
    froms = [*chain.from_iterable([number] * len(items) for number, items in full)]
    # Of one unit several may have an item; the first writer's is first, since the sort is stable.
    order = sorted(range(len(units)), key=units.__getitem__)
    in_order = itemgetter(*order)
    woven: tuple[list[int], list[Any], list[int]] = (
        list(in_order(ordinals)),
        list(in_order(payloads)),
        list(in_order(froms)),
    )
    prefix = _only_prefix(all_items)
    if prefix is not None:
        yield _calls_of(prefix, slice(None), woven, origins, lane)
        return
    prefixes = in_order([*chain.from_iterable(_prefixes(items) for items in all_items)])
    at = 0
    for prefix, group in groupby(prefixes):
        stop = at + len([*group])
        yield _calls_of(prefix, slice(at, stop), woven, origins, lane)
        at = stop


def _calls_of(
    prefix: ItemId,
    some: slice,
    woven: tuple[list[int], list[Any], list[int]],
    origins: tuple[Origin, ...],
    lane: int,
) -> Calls:
    ordinals, payloads, froms = woven
    return Calls(
        prefix,
        counting_on(ordinals[some]),
        payloads[some],
        lane,
        0,
        origins[froms[0]],
        origins=origins,
        froms=froms[some],
    )


def _only_prefix(all_items: Sequence[GappedItems]) -> ItemId | None:
    """What the ids of all items begin with, if it is the same."""
    found = {prefix for items in all_items for _, prefix in items.told.prefixes}
    return found.pop() if len(found) == 1 else None


def _prefixes(items: GappedItems) -> Iterator[ItemId]:
    """What each id begins with."""
    for prefix, ordinals, _ in items.stretches():
        yield from [prefix] * len(ordinals)

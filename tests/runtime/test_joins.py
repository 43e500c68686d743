from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.joins import Call, Calls, Join, Kept, Lone, Output, Passed, UnitEnd
from pipeflow.runtime.flow.merging import Merge
from pipeflow.runtime.flow.positions import ZipByPosition
from pipeflow.runtime.flow.refused import NotOneToOne
from pipeflow.runtime.flow.runs import Items
from pipeflow.runtime.flow.units import Part
from pipeflow.runtime.flow.zipping import ZipById
from pipeflow.runtime.messages import ItemId


def one_writer() -> Collector:
    return Collector(writers=1, lanes=1, ordered=True, in_parts=False, first=0, step=1)


def unit(number: int, *payloads: Any) -> Part:
    items: list[tuple[ItemId, Any]] = [((0, number), payload) for payload in payloads]
    return Part(0, number, 1, items, closed=True, cost=0 if items else 1)


def calls(join: Join) -> list[Any]:
    seen: list[Any] = []
    while (output := join.take()) is not None:
        match output:
            case Call(payload=payload):
                seen.append(payload)
            case Lone(payload=payload, origin=origin):
                seen.append(("lone", origin.port, payload))
            case _:
                pass
    return seen


def test_a_zip_pairs_equal_ids_and_tells_who_has_no_partner() -> None:
    images, masks = one_writer(), one_writer()
    zipped = ZipById([images, masks], lanes=1)
    for number in range(3):
        images.feed(0, unit(number, f"image {number}"), None)
    masks.feed(0, unit(0, "mask 0"), None)
    masks.feed(0, unit(1), None)
    masks.feed(0, unit(2, "mask 2"), None)

    seen = calls(zipped)

    assert seen == [("image 0", "mask 0"), ("lone", 0, "image 1"), ("image 2", "mask 2")]


def test_a_zip_waits_for_nothing_that_is_known_to_be_missing() -> None:
    images, masks = one_writer(), one_writer()
    zipped = ZipById([images, masks], lanes=1)
    images.feed(0, unit(0, "image"), None)

    before = calls(zipped)
    masks.feed(0, Part(0, 0, 5, [], closed=True, cost=0), None)

    assert before == []
    assert calls(zipped) == [("lone", 0, "image")]


def test_a_zip_leaves_nothing_of_a_unit_that_its_writers_have_not_ended() -> None:
    left, right = one_writer(), one_writer()
    zipped = ZipById([left, right], lanes=1)
    left.feed(0, Part(0, 0, 1, [((0, 0), "left")], closed=False, cost=0), None)
    left.feed(0, Part(0, 0, 1, [((0, 1), "more")], closed=False, cost=0), None)
    right.feed(0, Part(0, 0, 1, [((0, 1), "right")], closed=False, cost=0), None)
    before = calls(zipped)
    left.feed(0, Part(0, 0, 1, [((0, 2), "last")], closed=False, cost=0), None)

    left.end(0)
    assert not zipped.over()
    right.end(0)

    assert before == [("lone", 0, "left"), ("more", "right")]
    assert calls(zipped) == [("lone", 0, "last")]
    assert zipped.over()


def test_a_replica_of_a_zip_closes_only_its_own_units() -> None:
    left, right = one_writer(), one_writer()
    zipped = ZipById([left, right], lanes=1, first=1, step=2)
    for number in (1, 3, 5):
        left.feed(0, unit(number, f"a{number}"), None)
        right.feed(0, unit(number, f"b{number}"), None)

    ends = []
    while (output := zipped.take()) is not None:
        if isinstance(output, UnitEnd):
            ends.append((output.unit, output.span))

    assert ends == [(1, 1), (3, 1), (5, 1)]


def test_a_zip_by_position_ends_with_its_shortest_input() -> None:
    short, long = one_writer(), one_writer()
    zipped = ZipByPosition([short, long])
    short.feed(0, unit(0, "a"), None)
    for number in range(3):
        long.feed(0, unit(number, number), None)
    short.end(0)

    seen = calls(zipped)

    assert seen == [("a", 0), ("lone", 1, 1), ("lone", 1, 2)]
    assert zipped.cut_short


def test_a_replica_of_a_zip_by_position_ends_each_unit_of_items_without_partner() -> None:
    ports = [one_writer() for _ in range(3)]
    zipped = ZipByPosition(ports, first=1, step=2)
    for collector, count in zip(ports, (1, 3, 2), strict=True):
        for number in range(count):
            collector.feed(0, unit(number, number), None)
        collector.end(0)

    told = [
        (each.unit, each.origin.port if isinstance(each, Lone) else type(each))
        for each in iter(zipped.take, None)
        if isinstance(each, Call | Lone | UnitEnd)
    ]

    assert told == [(1, Call), (1, UnitEnd), (3, 1), (3, 2), (3, UnitEnd), (5, 1), (5, UnitEnd)]


def test_what_has_no_partner_by_position_comes_in_one_order_however_it_arrives() -> None:
    ports = [one_writer() for _ in range(3)]
    zipped = ZipByPosition(ports)
    ports[0].end(0)

    ports[2].feed(0, unit(0, "c0"), None)
    before = calls(zipped)
    ports[1].feed(0, unit(0, "b0"), None)

    assert zipped.waits_for() == 1
    assert before == []
    assert calls(zipped) == [("lone", 1, "b0"), ("lone", 2, "c0")]


def test_a_merge_starves_no_input() -> None:
    busy, calm = one_writer(), one_writer()
    merged = Merge([busy, calm], [0, 1])
    for number in range(10):
        busy.feed(0, unit(number, f"busy {number}"), None)
    calm.feed(0, unit(0, "calm"), None)

    assert "calm" in calls(merged)[:2]


def test_a_zip_pairs_an_open_unit_as_it_comes_and_keeps_the_rest_at_its_own_expense() -> None:
    left, right = one_writer(), one_writer()
    zipped = ZipById([left, right], lanes=1)
    left.feed(0, part(0, 0, 1, 2), "left frame")

    kept = [output for output in iter(zipped.take, None) if isinstance(output, Kept)]
    right.feed(0, part(0, 1), "right frame")
    paired = [output for output in iter(zipped.take, None) if isinstance(output, Call | Lone)]

    assert [each.origin.frame for each in kept] == ["left frame"] * 3
    assert [each.payload for each in paired] == [0, (1, 1)]
    assert isinstance(paired[1], Call)
    assert [origin.frame for origin in paired[1].origins] == [None, "right frame"]


def test_a_zip_tells_the_same_in_the_same_order_however_the_parts_come() -> None:
    ways = ([0, 1, 3, 4, 6], [1, 2, 3, 5, 6])
    told = []
    for size in (1, 2, 5):
        ports = [one_writer(), one_writer()]
        zipped = ZipById(ports, lanes=1)
        seen: list[Any] = []
        for start in range(0, 5, size):
            for port, items in zip(ports, ways, strict=True):
                port.feed(0, part(0, *items[start : start + size]), None)
                seen += calls(zipped)
        for port in ports:
            port.feed(0, Part(0, 0, 1, [], closed=True, cost=1), None)
        told.append(seen + calls(zipped))

    assert told[0] == told[1] == told[2]
    assert [each for each in told[0] if each[0] != "lone"] == [(1, 1), (3, 3), (6, 6)]


def test_a_zip_of_inputs_in_other_orders_pairs_a_unit_once_it_is_whole_by_rising_ids() -> None:
    ways = ([0, 2, 3, 1, 5], [0, 1, 2, 3, 4])
    told = []
    for size in (1, 2, 5):
        ports = [one_writer(), one_writer()]
        zipped = ZipById(ports, lanes=1, in_order=False)
        before: list[Any] = []
        for start in range(0, 5, size):
            for port, items in zip(ports, ways, strict=True):
                port.feed(0, part(0, *items[start : start + size]), None)
                before += calls(zipped)
        for port in ports:
            port.feed(0, Part(0, 0, 1, [], closed=True, cost=1), None)
        told.append((before, calls(zipped)))

    pairs = [(each, each) for each in range(4)]
    assert told == [([], [*pairs, ("lone", 1, 4), ("lone", 0, 5)])] * 3


def part(number: int, *payloads: int) -> Part:
    """Some items of a unit that goes on."""
    items: list[tuple[ItemId, Any]] = [((0, number, each), each) for each in payloads]
    return Part(0, number, 1, items, closed=False, cost=0)


@pytest.mark.parametrize("in_order", [True, False])
def test_a_zip_refuses_items_that_began_as_the_partner_that_they_lack(*, in_order: bool) -> None:
    pages, words = one_writer(), one_writer()
    zipped = ZipById([pages, words], lanes=1, in_order=in_order, inputs=["page", "word"])
    pages.feed(0, unit(0, "page"), None)
    made: list[tuple[ItemId, Any]] = [((0, 0, number), "word") for number in range(2)]
    words.feed(0, Part(0, 0, 1, made, closed=True, cost=0), None)

    with pytest.raises(
        NotOneToOne, match="on the way to 'word' gives any number of results"
    ) as why:
        zipped.take()

    assert why.value.item == (0, 0)


# -- in rows


def run(first: int, count: int, *, name: str = "", prefix: ItemId = (0,)) -> Part:
    """Units of one item each, as most frames have them."""
    ordinals = range(first, first + count)
    items = Items(((0, prefix),), ordinals, [f"{name}{number}" for number in ordinals])
    return Part(0, first, count, items, closed=True, cost=0)


def test_a_zip_pairs_runs_in_rows_wherever_their_frames_begin_and_end() -> None:
    left, right = one_writer(), one_writer()
    zipped = ZipById([left, right], lanes=1)
    zipped.give_rows()
    left.feed(0, run(0, 7, name="a"), "whole")
    right.feed(0, run(0, 4, name="b"), "one")
    right.feed(0, run(4, 2, name="b"), "two")

    rows = list(iter(zipped.take, None))

    assert all(isinstance(row, Calls) and row.end_units for row in rows)
    assert [(row.unit, row.ordinals, row.payloads[0]) for row in rows] == [
        (0, range(4), ("a0", "b0")),
        (4, range(4, 6), ("a4", "b4")),
    ]
    assert [row.single(1).origins for row in rows] == [
        ((0, 0, "whole"), (1, 0, "one")),
        ((0, 0, "whole"), (1, 0, "two")),
    ]
    assert zipped.waits_for() == 1
    assert not zipped.over()


def test_a_zip_by_position_pairs_runs_in_rows_with_the_ids_of_its_first_port() -> None:
    left, right = one_writer(), one_writer()
    zipped = ZipByPosition([left, right], unit_ends=False)
    zipped.give_rows()
    left.feed(0, run(0, 3, name="a", prefix=(7,)), None)
    right.feed(0, unit(0, "x", "y"), None)
    right.feed(0, run(1, 5, name="b"), None)
    left.end(0)

    told = list(iter(zipped.take, None))

    rows = [each for each in told if isinstance(each, Calls)]
    assert [pair for row in rows for pair in row.payloads] == [
        ("a0", "x"),
        ("a1", "y"),
        ("a2", "b1"),
    ]
    assert [row.single(0).id for row in rows] == [(7, 0), (7, 1), (7, 2)]
    assert [row.single(0).unit for row in rows] == [0, 1, 2]
    assert not any(row.end_units for row in rows)
    assert [each.payload for each in told if isinstance(each, Lone)] == ["b2", "b3", "b4", "b5"]


#: What one port has of a unit: one item of the unit's own id, in a run or not, none at a cost, none
#: for free, or several, of which some lack a partner, in one part or in two.
_KINDS = st.sampled_from(
    ["one", "one", "one", "one", "alone", "alone", "empty", "free", "several", "in parts"]
)


def parts_for(port: str, kinds: list[str], cuts: set[int]) -> list[Part]:
    """What a port brings of units of these kinds; runs end at the cuts too."""
    parts: list[Part] = []
    for number, kind in enumerate(kinds):
        match kind:
            case "one":
                last = parts[-1] if parts else None
                grows = last is not None and type(last.items) is Items and number not in cuts
                if last is not None and grows:
                    parts[-1] = run(last.unit, last.span + 1, name=port)
                else:
                    parts.append(run(number, 1, name=port))
            case "alone":
                parts.append(Part(0, number, 1, [((0, number), f"{port}{number}")], True, 0))
            case "empty":
                parts.append(Part(0, number, 1, [], closed=True, cost=1))
            case "free":
                parts.append(Part(0, number, 1, [], closed=True, cost=0))
            case _:
                ids: list[ItemId] = [(0, number), (9, number)] if port == "a" else [(0, number)]
                items = [(item, f"{port}{number}") for item in ids]
                parts.append(Part(0, number, 1, items, closed=kind == "several", cost=0))
                if kind == "in parts":
                    parts.append(Part(0, number, 1, [], closed=True, cost=1))
    return parts


def one_by_one(outputs: list[Output]) -> list[Any]:
    """What a join has told, call by call, but for whose credit went back before its turn."""
    told: list[Any] = []
    for output in outputs:
        match output:
            case Calls():
                for at in range(len(output.payloads)):
                    call = output.single(at)
                    told += [call[:-1], UnitEnd(call.lane, call.unit, 1, free=False)]
            case Call():
                told.append(output[:-1])
            case Lone():
                told.append((*output[:-1], output.origin.port))
            case UnitEnd(lane, first, span, free):
                told += [UnitEnd(lane, first + at, 1, free) for at in range(span)]
            case _:
                pass
    return told


def paid(outputs: list[Output]) -> int:
    """Credit that goes back, sooner or later."""
    count = 0
    for output in outputs:
        match output:
            case Calls():
                count += len(output.payloads) * (1 + len(output.partners))
            case Call():
                count += sum(origin.frame is not None for origin in output.origins)
            case Lone():
                count += output.origin.frame is not None
            case Kept():
                count += 1
            case Passed():
                count += output.cost
            case _:
                pass
    return count


@given(
    kinds=st.lists(st.tuples(_KINDS, _KINDS), max_size=14),
    cuts=st.sets(st.integers(0, 13)),
    order=st.lists(st.integers(0, 1), max_size=30),
    in_order=st.booleans(),
)
def test_a_zip_in_rows_tells_what_one_without_them_does(
    kinds: list[tuple[str, str]], cuts: set[int], order: list[int], in_order: bool
) -> None:
    ways = [
        parts_for("a", [left for left, _ in kinds], cuts),
        parts_for("b", [right for _, right in kinds], {cut + 1 for cut in cuts}),
    ]
    told: list[list[Output]] = []
    for gives_rows in (False, True):
        ports = [one_writer(), one_writer()]
        zipped = ZipById(ports, lanes=1, in_order=in_order)
        if gives_rows:
            zipped.give_rows()
        outputs: list[Output] = []
        left = [list(way) for way in ways]
        for port in [*order, *[0, 1] * 40]:
            if left[port]:
                ports[port].feed(0, left[port].pop(0), f"frame of {port}")
                outputs += list(iter(zipped.take, None))
        for collector in ports:
            collector.end(0)
        told.append(outputs + list(iter(zipped.take, None)))
        assert zipped.over()

    plain, rows = told
    assert one_by_one(rows) == one_by_one(plain)
    assert paid(rows) == paid(plain)

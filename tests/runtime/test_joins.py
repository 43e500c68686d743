from __future__ import annotations

from typing import Any

import pytest

from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.joins import Call, Join, Kept, Lone, UnitEnd
from pipeflow.runtime.flow.merging import Merge
from pipeflow.runtime.flow.refused import NotOneToOne
from pipeflow.runtime.flow.units import Part
from pipeflow.runtime.flow.zipping import ZipById, ZipByPosition
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

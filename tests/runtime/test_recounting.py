from __future__ import annotations

from pipeflow.runtime.flow.collector import Arrived
from pipeflow.runtime.flow.recounting import Recounter
from pipeflow.runtime.flow.units import Batch, Part, parts_of


def recounter(writers: int = 1, *, in_parts: bool = False) -> Recounter:
    return Recounter(writers=writers, lanes=1, ordered=True, in_parts=in_parts, first=0, step=1)


def feed(to: Recounter, writer: int, batch: Batch) -> None:
    to.feed_frame(writer, batch.meta(), batch.payloads, None)


def taken(from_: Recounter) -> list[Arrived]:
    return list(iter(from_.take, None))


def units(arrived: list[Arrived]) -> list[tuple[int, int, list[object]]]:
    """Number, span and payloads of what was given out."""
    return [
        (each.part.unit, each.part.span, [payload for _, payload in each.part.items])
        for each in arrived
    ]


def unit_for(replica: int, unit: int, places: list[int]) -> Batch:
    """A unit whose items go to these replicas, as one of them hears of it."""
    batch = Batch()
    for number, place in enumerate(places):
        if place == replica:
            batch.add(0, unit, (0, unit, number), f"{unit}.{number}")
        else:
            batch.pass_over(0, unit)
    if replica in places:
        batch.close(0, unit)
    else:
        batch.skip(0, unit)
    return batch


def test_items_that_go_elsewhere_cost_nothing_and_leave_their_unit_open() -> None:
    batch = Batch()
    batch.pass_over(0, 5)
    batch.pass_over(0, 5)
    batch.add(0, 5, (1, 5, 2), "c")
    batch.pass_over(0, 5)

    cost = batch.close(0, 5)

    assert cost == 1
    assert parts_of(batch.meta(), ["c"]) == [
        Part(0, 5, 1, [], closed=False, cost=0, others=2),
        Part(0, 5, 1, [((1, 5, 2), "c")], closed=False, cost=0),
        Part(0, 5, 1, [], closed=False, cost=0, others=1),
        Part(0, 5, 1, [], closed=True, cost=1),
    ]


def test_replicas_count_the_items_of_a_unit_alike() -> None:
    first, second = recounter(), recounter()
    for replica, one in enumerate((first, second)):
        feed(one, 0, unit_for(replica, 0, [0, 1, 1, 0]))
        feed(one, 0, unit_for(replica, 1, []))
        feed(one, 0, unit_for(replica, 2, [1]))

    heard_first, heard_second = units(taken(first)), units(taken(second))

    assert [each for each in heard_first if each[1]] == [
        (0, 1, ["0.0"]),
        (1, 2, []),
        (3, 1, ["0.3"]),
        (4, 1, []),
    ]
    assert [each for each in heard_second if each[1]] == [
        (0, 1, []),
        (1, 2, ["0.1", "0.2"]),
        (3, 1, []),
        (4, 1, ["2.0"]),
    ]
    assert first.frontier == second.frontier == [5]


def test_what_an_empty_unit_costs_goes_back_without_a_unit() -> None:
    one = recounter()
    batch = Batch()
    batch.close(0, 0)
    feed(one, 0, batch)

    (arrived,) = taken(one)

    assert arrived.part.cost == 1
    assert arrived.part.span == 0
    assert not arrived.ends_unit


def test_parts_of_one_unit_are_counted_writer_by_writer() -> None:
    one = recounter(writers=2, in_parts=True)
    for writer in (1, 0):
        batch = Batch()
        batch.add(0, 0, (0, 0), f"of {writer}")
        batch.close(0, 0)
        feed(one, writer, batch)

    assert units(taken(one)) == [(0, 1, ["of 0"]), (1, 1, ["of 1"])]

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.errors import ProtocolError
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.units import Part
from pipeflow.runtime.messages import ItemId


def unit(number: int, *payloads: str, closed: bool = True, lane: int = 0) -> Part:
    items: list[tuple[ItemId, Any]] = [
        ((0, number, index), payload) for index, payload in enumerate(payloads)
    ]
    return Part(lane, number, 1, items, closed, 0 if items else 1)


def taken(collector: Collector) -> list[tuple[int, list[str]]]:
    seen = []
    while (arrived := collector.take()) is not None:
        seen.append((arrived.part.unit, [payload for _, payload in arrived.part.items]))
    return seen


def make(writers: int, **settings: Any) -> Collector:
    options: dict[str, Any] = {
        "lanes": 1, "ordered": True, "in_parts": False, "first": 0, "step": 1,
    }  # fmt: skip
    return Collector(writers=writers, **{**options, **settings})


def test_units_wait_for_the_one_that_is_due() -> None:
    collector = make(3)
    collector.feed(1, unit(1, "b"), None)
    collector.feed(2, unit(2, "c"), None)

    before = taken(collector)
    collector.feed(0, unit(0, "a"), None)

    assert before == []
    assert taken(collector) == [(0, ["a"]), (1, ["b"]), (2, ["c"])]


def test_without_order_parts_leave_as_they_come() -> None:
    collector = make(2, ordered=False)
    collector.feed(1, unit(1, "b"), None)
    collector.feed(0, unit(0, "a"), None)

    assert taken(collector) == [(1, ["b"]), (0, ["a"])]


def test_an_open_unit_streams_while_it_is_the_oldest() -> None:
    collector = make(2)
    collector.feed(0, unit(0, "a", closed=False), None)
    collector.feed(1, unit(1, "z"), None)

    first = taken(collector)
    collector.feed(0, unit(0, "b"), None)

    assert first == [(0, ["a"])]
    assert taken(collector) == [(0, ["b"]), (1, ["z"])]


def test_parts_of_a_unit_come_in_the_order_of_the_replicas() -> None:
    collector = make(2, in_parts=True)
    collector.feed(1, unit(0, "late"), None)
    collector.feed(0, unit(0, "early"), None)
    collector.feed(0, unit(1), None)

    assert taken(collector) == [(0, ["early"]), (0, ["late"]), (1, [])]


def test_a_replica_that_ended_early_is_not_waited_for() -> None:
    collector = make(2, in_parts=True)
    collector.feed(0, unit(0, "a"), None)
    collector.end(0)
    collector.feed(1, unit(0, "b"), None)
    collector.feed(1, unit(1, "c"), None)

    assert taken(collector) == [(0, ["a"]), (0, ["b"]), (1, ["c"])]


def test_a_unit_ends_though_its_last_replica_ended_early() -> None:
    collector = make(2, in_parts=True)
    collector.feed(0, unit(0, "a"), None)
    collector.feed(0, unit(1, "b"), None)
    collector.end(1)

    seen = list(iter(collector.take, None))

    assert [(arrived.part.unit, arrived.ends_unit) for arrived in seen] == [
        (0, False),
        (0, True),
        (1, False),
        (1, True),
    ]
    collector.end(0)
    assert collector.exhausted()


def test_a_reader_of_every_third_unit_waits_for_those_alone() -> None:
    collector = make(2, first=1, step=3)
    collector.feed(0, unit(4, "e"), None)
    collector.feed(1, unit(1, "b"), None)

    assert taken(collector) == [(1, ["b"]), (4, ["e"])]


def test_a_unit_that_never_comes_is_a_protocol_error() -> None:
    collector = make(2)
    collector.feed(0, unit(1, "b"), None)
    collector.end(0)
    collector.end(1)

    assert taken(collector) == []
    with pytest.raises(ProtocolError, match="unit 0 of lane 0 never came"):
        collector.exhausted()


def test_where_the_run_was_cut_short_units_that_nobody_can_bring_any_more_are_empty() -> None:
    collector = make(2, cut_short=lambda: True)
    collector.feed(1, unit(0, "a"), None)
    collector.feed(1, unit(3, "d"), None)

    assert taken(collector) == [(0, ["a"])]  # the other may still bring them
    collector.end(0)
    assert taken(collector) == [(1, []), (2, []), (3, ["d"])]
    collector.end(1)
    assert collector.exhausted()


def test_a_unit_that_comes_twice_is_a_protocol_error() -> None:
    collector = make(2)
    collector.feed(0, unit(0, "a"), None)
    collector.feed(1, unit(0, "a again"), None)

    with pytest.raises(ProtocolError, match="came again"):
        taken(collector)


@given(st.integers(1, 5), st.integers(0, 60), st.randoms(use_true_random=False))
def test_any_spread_over_any_writers_comes_out_in_order(
    writers: int, count: int, rng: random.Random
) -> None:
    collector = make(writers)
    queues: list[list[Part]] = [[] for _ in range(writers)]
    for number in range(count):
        items = [f"{number}.{index}" for index in range(rng.randint(0, 2))]
        queues[rng.randrange(writers)].append(unit(number, *items))
    seen: list[tuple[int, list[str]]] = []

    while any(queues):
        writer = rng.choice([index for index, queue in enumerate(queues) if queue])
        collector.feed(writer, queues[writer].pop(0), None)
        if rng.random() < 0.5:
            seen += taken(collector)
    seen += taken(collector)

    assert [number for number, _ in seen] == list(range(count))


@given(st.integers(2, 4), st.integers(1, 40), st.randoms(use_true_random=False))
def test_parts_from_every_writer_come_out_unit_by_unit(
    writers: int, count: int, rng: random.Random
) -> None:
    collector = make(writers, in_parts=True)
    queues: list[list[Part]] = [[] for _ in range(writers)]
    for writer, queue in enumerate(queues):
        number = 0
        while number < count:
            if rng.random() < 0.5:
                span = min(rng.randint(1, 4), count - number)
                queue.append(Part(0, number, span, [], closed=True, cost=0))
                number += span
            else:
                queue.append(unit(number, f"{writer}"))
                number += 1
    places: list[tuple[int, int]] = []

    while any(queues):
        writer = rng.choice([index for index, queue in enumerate(queues) if queue])
        collector.feed(writer, queues[writer].pop(0), None)
        while (arrived := collector.take()) is not None:
            places.append((arrived.part.unit, arrived.writer))

    assert places == [(number, writer) for number in range(count) for writer in range(writers)]

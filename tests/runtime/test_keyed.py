"""The join by key, beside the same said in plain lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.planner.plan import Pairing
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.joins import (
    Call,
    Kept,
    Lone,
    Origin,
    Output,
    Passed,
    UnitEnd,
    Unjoinable,
)
from pipeflow.runtime.flow.keyed import HELD_MOST, KeyJoin
from pipeflow.runtime.flow.units import Part
from pipeflow.runtime.messages import ItemId


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Bench:
    """A join whose items are fed by hand; a frame's note is ``(port, number)`` of its one item.

    An item is ``(key, number)``.
    """

    def __init__(self, pairing: Pairing, *, ports: int = 2, **place: Any) -> None:
        self.clock = Clock()
        self.collectors = [
            Collector(writers=1, lanes=1, ordered=True, in_parts=False, first=0, step=1)
            for _ in range(ports)
        ]
        keys = [lambda item: item[0]] * ports
        self.join = KeyJoin(self.collectors, keys, pairing, stage=9, now=self.clock, **place)
        self.sent = [0] * ports

    def feed(self, port: int, *keys: Any) -> None:
        for key in keys:
            number = self.sent[port]
            self.sent[port] += 1
            items = [((port, number), (key, number))]
            part = Part(0, number, 1, items, closed=True, cost=0)
            self.collectors[port].feed(0, part, (port, number))

    def end(self, port: int) -> None:
        self.collectors[port].end(0)

    def outputs(self) -> list[Output]:
        seen: list[Output] = []
        while (output := self.join.take()) is not None:
            seen.append(output)
        return seen

    def told(self) -> list[Any]:
        return told(self.outputs())


def told(outputs: Sequence[Output]) -> list[Any]:
    """Pairs as the numbers of their items, the rest as (port, number)."""
    seen: list[Any] = []
    for output in outputs:
        match output:
            case Call(payload=payload):
                seen.append([number for _, number in payload])
            case Lone(payload=(_, number), origin=Origin(port=port)):
                seen.append((port, number))
            case _:
                pass
    return seen


def plainly(streams: Sequence[Sequence[Any]], within: int) -> list[Any]:
    """What comes of whole streams, by the words of the manual.

    The next item is one of the port on which fewest wait; of several, of that which brought fewest.
    """
    seen: list[Any] = []
    left = [list(enumerate(keys)) for keys in streams]
    waiting: list[list[tuple[int, Any]]] = [[] for _ in streams]
    brought = [0 for _ in streams]
    open_ports = list(range(len(streams)))

    def can_meet(port: int, rank: int, key: Any) -> bool:
        over = [one for one in range(len(streams)) if one not in open_ports and one != port]
        return all(sum(each == key for _, each in waiting[one]) >= rank for one in over)

    def sweep() -> None:
        again = True
        while again:
            again = False
            for port, items in enumerate(waiting):
                for place, (number, key) in enumerate(list(items)):
                    rank = sum(each == key for _, each in items[:place]) + 1
                    if not can_meet(port, rank, key):
                        items.remove((number, key))
                        seen.append((port, number))
                        again = True
                        break
                if again:
                    break

    while open_ports:
        port = min(open_ports, key=lambda one: (len(waiting[one]), brought[one], one))
        if not left[port]:
            open_ports.remove(port)
            sweep()
            continue
        number, key = left[port].pop(0)
        brought[port] += 1
        for late in [one for one in waiting[port] if number - one[0] > within]:
            waiting[port].remove(late)
            seen.append((port, late[0]))
        waiting[port].append((number, key))
        if all(any(each == key for _, each in items) for items in waiting):
            pair = [next(one for one in items if one[1] == key) for items in waiting]
            for items, one in zip(waiting, pair, strict=True):
                items.remove(one)
            seen.append([one[0] for one in pair])
        elif not can_meet(port, sum(each == key for _, each in waiting[port]), key):
            waiting[port].remove((number, key))
            seen.append((port, number))
    return seen


keys = st.lists(st.integers(0, 5), max_size=25)


@given(
    st.lists(keys, min_size=2, max_size=3),
    st.integers(1, 8),
    st.randoms(use_true_random=False),
)
def test_what_pairs_depends_on_the_streams_and_not_on_which_came_first(
    streams: list[list[int]], within: int, random: Any
) -> None:
    bench = Bench(Pairing(items=within), ports=len(streams))
    left = [list(keys) for keys in streams]
    open_ports = list(range(len(streams)))
    seen: list[Any] = []
    while open_ports:
        port = random.choice(open_ports)
        some = [left[port].pop(0) for _ in range(min(len(left[port]), random.randint(0, 4)))]
        bench.feed(port, *some)
        if not left[port] and random.random() < 0.5:
            open_ports.remove(port)
            bench.end(port)
        if random.random() < 0.7:
            seen += bench.told()

    seen += bench.told()

    assert by_sweeps(seen) == by_sweeps(plainly(streams, within))
    assert bench.join.over()


class Opener:
    """Knows the keys of what was opened."""

    def __init__(self) -> None:
        self.closed: list[Any] = []

    def came(self, port: int, item: ItemId, payload: Any) -> None:
        assert item[0] == port
        self.closed.append(payload)

    def known(self, payload: Any) -> bool:
        return payload not in self.closed

    def key(self, payload: Any) -> Any:
        assert self.known(payload)
        return payload[0]


@given(
    st.lists(keys, min_size=2, max_size=3),
    st.integers(1, 8),
    st.randoms(use_true_random=False),
)
def test_what_pairs_does_not_depend_on_when_keys_are_known(
    streams: list[list[int]], within: int, random: Any
) -> None:
    opener = Opener()
    bench = Bench(Pairing(items=within), ports=len(streams), unopened=opener)
    seen: list[Any] = []
    for port, some in enumerate(streams):
        bench.feed(port, *some)
        bench.end(port)
    while not bench.join.over():
        seen += bench.told()
        assert opener.closed or bench.join.over()
        if opener.closed:
            opener.closed.remove(random.choice(opener.closed))

    assert by_sweeps(seen) == by_sweeps(plainly(streams, within))


def test_within_a_time_what_is_not_opened_yet_is_as_if_it_had_not_come() -> None:
    opener = Opener()
    bench = Bench(Pairing(seconds=5.0), unopened=opener)
    bench.feed(0, "a")
    bench.feed(1, "a")
    bench.end(0)
    bench.end(1)

    assert (bench.told(), bench.join.over()) == ([], False)
    opener.closed.clear()
    assert (bench.told(), bench.join.over()) == ([[0, 0]], True)


def by_sweeps(seen: list[Any]) -> list[Any]:
    """In order; what one end leaves without a partner is told in any order."""
    shown: list[Any] = []
    run: list[Any] = []
    for one in [*seen, None]:
        if isinstance(one, tuple):
            run.append(one)
            continue
        shown += [*sorted(run), one]
        run = []
    return shown


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), max_size=80),
    st.integers(1, 5),
    st.integers(0, 6),
)
def test_every_item_is_told_once_and_its_credit_given_back_once(
    arrivals: list[tuple[int, int]], within: int, ahead: int
) -> None:
    bench = Bench(Pairing(items=within, ahead=ahead))
    outputs: list[Output] = []
    for port, key in arrivals:
        bench.feed(port, key)
        outputs += bench.outputs()
    for port in (0, 1):
        bench.end(port)
    outputs += bench.outputs()

    given_back: list[Any] = []
    items: list[Any] = []
    for output in outputs:
        match output:
            case Kept(origin):
                given_back.append(origin.frame)
            case Call(payload=pair, origins=origins):
                assert len({key for key, _ in pair}) == 1
                items += [
                    (origin.port, number) for origin, (_, number) in zip(origins, pair, strict=True)
                ]
                given_back += [origin.frame for origin in origins if origin.frame is not None]
            case Lone(payload=(_, number), origin=origin):
                items.append((origin.port, number))
                if origin.frame is not None:
                    given_back.append(origin.frame)
            case _:
                pass
    every = sorted((port, number) for port in (0, 1) for number in range(bench.sent[port]))
    assert sorted(items) == every
    assert sorted(given_back) == every
    assert bench.join.over()


def test_equal_keys_pair_one_to_one_in_order_of_arrival() -> None:
    bench = Bench(Pairing(items=1000))
    bench.feed(0, "a", "b", "a", "a")
    bench.feed(1, "a", "a", "b")
    for port in (0, 1):
        bench.end(port)

    assert bench.told() == [[0, 0], [2, 1], [1, 2], (0, 3)]


def test_ids_of_pairs_count_anew_and_those_without_a_partner_keep_theirs() -> None:
    bench = Bench(Pairing(items=1000))
    bench.feed(0, "a", "b", "c")
    bench.feed(1, "c", "a", "x")
    for port in (0, 1):
        bench.end(port)

    ids = [output.id for output in bench.outputs() if isinstance(output, Call | Lone)]

    assert ids == [(9, 0), (9, 1), (1, 2), (0, 1)]


def test_an_item_waits_for_so_many_further_items_on_its_port_and_no_more() -> None:
    in_time, too_late = Bench(Pairing(items=2, ahead=1)), Bench(Pairing(items=2, ahead=1))
    in_time.feed(0, "a", "b", "c")
    too_late.feed(0, "a", "b", "c", "d")
    seen = [in_time.told(), too_late.told()]
    in_time.feed(1, "a")
    too_late.feed(1, "a")

    assert seen == [[], [(0, 0)]]
    assert in_time.told() == [[0, 0]]
    assert too_late.told() == []


def test_a_port_that_is_ahead_waits_where_nothing_can_depend_on_it() -> None:
    bench = Bench(Pairing(items=2))
    bench.feed(0, *"abcdefgh")

    outputs = bench.outputs()

    assert [type(output) for output in outputs] == [Kept]  # of "a", which waits for its partner
    assert bench.join.waits_for() == 1


def test_elsewhere_what_is_pending_gives_its_credit_back_and_is_looked_at_in_the_end() -> None:
    bench = Bench(Pairing(items=2, ahead=3))
    bench.feed(0, *"abcdefgh")

    outputs = bench.outputs()

    assert sum(isinstance(output, Kept) for output in outputs) == 8
    # Two are pending, three wait for their partners.
    assert told(outputs) == [(0, 0), (0, 1), (0, 2)]


def test_when_a_port_is_over_what_has_no_partner_there_waits_no_longer() -> None:
    bench = Bench(Pairing(items=1000))
    bench.feed(0, "a")
    bench.end(0)
    bench.feed(1, "x", "a", "y")

    assert bench.told() == [(1, 0), [0, 1], (1, 2)]
    assert not bench.join.over()


def test_none_is_no_key() -> None:
    bench = Bench(Pairing(items=1000))
    bench.feed(0, None)
    bench.feed(1, None)

    assert bench.told() == [(0, 0), (1, 0)]


@pytest.mark.parametrize("key", [[1], object(), {"a": 1}])
def test_what_cannot_be_a_key_is_told_as_a_failure_of_its_item(key: Any) -> None:
    bench = Bench(Pairing(items=1000))
    bench.feed(0, key)

    (broken,) = bench.outputs()

    assert isinstance(broken, Unjoinable)
    assert isinstance(broken.error, TypeError)
    assert broken.call.id == (0, 0)
    assert broken.call.origins[0].frame == (0, 0)


def test_a_number_pairs_with_its_equal_of_another_type() -> None:
    bench = Bench(Pairing(items=1000))
    bench.feed(0, 1, (2, "b"))
    bench.feed(1, 1.0, (2.0, "b"))

    assert bench.told() == [[0, 0], [1, 1]]


def test_replicas_number_what_they_give_each_on_a_lane_of_its_own() -> None:
    bench = Bench(Pairing(items=1000, ahead=1000), replica=1, replicas=3)
    bench.feed(0, "a", "b")
    bench.feed(1, "a", "b")

    shown = [output for output in bench.outputs() if isinstance(output, Call | UnitEnd)]

    assert [output.id for output in shown if isinstance(output, Call)] == [(9, 1), (9, 4)]
    assert [(type(output), output.lane, output.unit) for output in shown] == [
        (Call, 1, 0),
        (UnitEnd, 1, 0),
        (Call, 1, 1),
        (UnitEnd, 1, 1),
    ]


def test_a_bound_in_time_speaks_of_arrival() -> None:
    bench = Bench(Pairing(seconds=5.0))
    bench.feed(0, "a", "b")
    seen = [bench.told()]
    bench.clock.seconds += 5.0
    bench.feed(1, "a")
    seen.append(bench.told())
    bench.clock.seconds += 0.1
    bench.feed(1, "b")
    seen.append(bench.told())

    assert seen == [[], [[0, 0]], [(0, 1)]]


def test_a_bound_in_time_says_when_it_is_to_be_looked_at_again() -> None:
    bench = Bench(Pairing(seconds=5.0))
    nothing = bench.join.wake_in()
    bench.feed(0, "a")
    bench.outputs()
    bench.clock.seconds += 2.0
    bench.feed(1, "b")
    bench.outputs()
    soon = bench.join.wake_in()
    bench.clock.seconds += 4.0

    assert (nothing, soon) == (None, 3.0)
    assert bench.join.wake_in() == 0.0
    assert bench.told() == [(0, 0)]
    assert bench.join.wake_in() == 1.0


def test_within_the_time_only_so_many_are_held_at_our_expense() -> None:
    bench = Bench(Pairing(seconds=5.0))
    bench.feed(0, *range(HELD_MOST + 10))

    outputs = bench.outputs()

    assert sum(isinstance(output, Kept) for output in outputs) == HELD_MOST


def test_an_empty_unit_is_passed_at_once() -> None:
    bench = Bench(Pairing(items=1000))
    bench.collectors[0].feed(0, Part(0, 0, 1, [], closed=True, cost=1), "note")

    assert bench.outputs() == [Passed(Origin(0, 0, "note"), 1)]

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.planner.plan import Numbering, Route
from pipeflow.runtime.board import SENT as SENT_ITEMS
from pipeflow.runtime.board import WORKER_WORDS, Words
from pipeflow.runtime.flow.ahead import (
    AHEAD_AT_FIRST,
    AHEAD_S,
    ENOUGH_LEFT,
    LAST_REST_S,
    LEAST_S,
    REST_S,
    Pace,
    items_ahead,
    rest_s,
)
from pipeflow.runtime.flow.dealing import KEPT_BYTES, Dealing
from pipeflow.runtime.flow.frame_size import LOOK_S
from pipeflow.runtime.flow.joins import Calls, Origin
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.targets import OutChannel, Spread, Target
from pipeflow.runtime.flow.units import Part, parts_of
from pipeflow.runtime.loops.rows import append_from, call_into, nowhere
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Decoder, Encoder
from tests.runtime.loop_fakes import PlainAsPackets

SENT, TAKEN = 0, 1


class Replica(PlainAsPackets):
    """The end of a channel to one replica, which takes what it is told to."""

    hands_over = False

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.words: Words = memoryview(bytearray(16)).cast("Q")
        self.frames: list[list[Part]] = []

    def credit_cells(self) -> tuple[Words, int, int]:
        return self.words, SENT, TAKEN

    def room(self, _nbytes: int = 0) -> int:
        return self.capacity - (self.words[SENT] - self.words[TAKEN])

    def idle(self) -> bool:
        return self.words[TAKEN] >= self.words[SENT]

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        self.words[SENT] += credits
        self.frames.append(parts_of(meta, Decoder().decode(packet)))

    def close(self) -> None:
        """Nothing is open."""

    def take(self, items: int) -> None:
        self.words[TAKEN] += items

    def has(self) -> int:
        """Items that it was dealt and has not taken."""
        return self.words[SENT] - self.words[TAKEN]

    def units(self) -> list[range]:
        return [range(part.unit, part.unit + part.span) for frame in self.frames for part in frame]


class Deal:
    """A dealing way to some replicas, with a clock that stands still."""

    def __init__(
        self,
        *capacities: int,
        on_wait: Callable[[Sequence[Target]], None] = lambda _: None,
        onward: bool = False,
    ) -> None:
        self.replicas = [Replica(capacity) for capacity in capacities]
        self.rows: list[Words] = [memoryview(bytearray(64)).cast("Q") for _ in capacities]
        self.targets = [
            Target([OutChannel(replica, 0, row)])  # type: ignore[arg-type]  # only what it uses
            for replica, row in zip(self.replicas, self.rows, strict=True)
        ]
        self.emitted: Words = memoryview(bytearray(8)).cast("Q")
        self.now_s = 0.0
        self.waited_for: list[Sequence[Target]] = []
        self.rests = 0
        self._on_wait = on_wait
        self.way = Dealing(
            self.targets,
            encoder=Encoder(),
            counter=(self.emitted, 0),
            lock=threading.Lock(),
            wait_for_room=self._wait,
            reader_left=lambda: None,
            batch_items=64,
            onward=onward,
            now=lambda: self.now_s,
        )

    def _wait(self, targets: Sequence[Target]) -> None:
        self.waited_for.append(targets)
        self.way.flush()
        self._on_wait(targets)

    def keep_back(self, on_rest: Callable[[], None] = lambda: None) -> None:
        """From now on there is a second thread."""

        def pause(_targets: Sequence[Target], rests: Iterator[float], /) -> None:
            for seconds in rests:
                self.rests += 1
                self.now_s += seconds
                on_rest()

        self.way.may_keep(pause)

    def later(self, seconds: float) -> None:
        """Time passes, and then the second thread comes."""
        self.now_s += seconds
        self.way.flush()

    def dealt(self) -> list[int]:
        """How many items each replica was dealt in all."""
        return [sum(map(len, replica.units())) for replica in self.replicas]

    def counted(self) -> tuple[int, int]:
        """How many items count as emitted, and as sent."""
        return self.emitted[0], sum(row[SENT_ITEMS] for row in self.rows)

    def give(self, first: int, count: int, *, item: Callable[[int], object] = int) -> None:
        """Some items from a source, as fast as there is room."""
        items = iter([item(number) for number in range(first, first + count)])
        done = 0
        while done < count:
            most = min(self.way.room((0,), done), count - done)
            numbers = (first + done, 1, most)
            got = append_from(items, numbers, express=self.way, asking=bytearray(1))
            assert got.error is None
            done += got.appended


def work(deal: Deal, *, milliseconds: int, per_item: int) -> Iterator[None]:
    """More than enough comes, and each replica is done with an item in so many milliseconds."""
    for moment in range(milliseconds):
        deal.give(0, 2)
        if not moment % per_item:
            for replica in deal.replicas:
                replica.take(min(1, replica.has()))
        deal.later(0.001)
        yield


def test_what_comes_goes_to_whoever_has_room() -> None:
    deal = Deal(2, 50)

    deal.give(0, 20)
    deal.way.flush()

    few, many = (sum(map(len, replica.units())) for replica in deal.replicas)
    assert few <= 2
    assert few + many == 20


def test_every_unit_goes_to_one_replica_and_units_rise_at_each() -> None:
    deal = Deal(64, 64, 64)

    for start in range(0, 90, 10):
        deal.give(start, 10)
        for replica in deal.replicas:
            replica.take(replica.words[SENT] - replica.words[TAKEN])
    deal.way.flush()

    for replica in deal.replicas:
        first = [run.start for run in replica.units()]
        assert first == sorted(first)
    units = [unit for replica in deal.replicas for run in replica.units() for unit in run]
    assert sorted(units) == list(range(90))


def test_slow_replicas_get_one_item_at_a_time_in_turn() -> None:
    deal = Deal(8, 8)

    deal.give(0, 16)

    assert all(len(run) == 1 for replica in deal.replicas for run in replica.units())
    assert [len(replica.units()) for replica in deal.replicas] == [8, 8]


def test_frames_grow_while_the_replicas_take_much() -> None:
    deal = Deal(1000, 1000)
    for moment in range(1, 20):
        deal.give(moment * 200, 200)
        for replica in deal.replicas:
            replica.take(replica.words[SENT] - replica.words[TAKEN])
        deal.now_s = moment * LOOK_S * 1.01
        deal.way.flush()

    assert deal.way.batch_items > 8
    assert max(len(run) for replica in deal.replicas for run in replica.units()) > 8


def test_a_moment_in_which_slow_replicas_take_nothing_does_not_shorten_the_frames() -> None:
    deal = Deal(1000, 1000)
    lengths = [deal.way.batch_items for _ in work(deal, milliseconds=300, per_item=2)]

    assert {*lengths[200:]} <= {4, 5}


def test_while_something_is_kept_back_a_whole_frame_is_gathered_between_two_looks() -> None:
    deal = Deal(1000, 1000)
    deal.keep_back()
    for _ in work(deal, milliseconds=300, per_item=2):
        pass

    assert deal.way.kept_for_s()
    assert deal.way.hold() == deal.way.batch_items - len(deal.way.run.payloads) > 1


def test_when_all_are_full_it_waits_for_any_of_them() -> None:
    def take_one(_: Sequence[Target]) -> None:
        deal.replicas[1].take(1)

    deal = Deal(2, 2, on_wait=take_one)

    deal.give(0, 6)

    assert deal.waited_for[0] == deal.targets
    assert [len(replica.units()) for replica in deal.replicas] == [2, 4]


def test_a_replica_that_has_left_gets_nothing_more() -> None:
    deal = Deal(8, 8)
    deal.targets[0].drop(deal.targets[0].channels[0])

    deal.give(0, 8)
    deal.way.flush()

    assert not deal.replicas[0].frames
    assert sum(map(len, deal.replicas[1].units())) == 8


def test_results_that_are_there_together_are_dealt_like_all_others() -> None:
    deal = Deal(64, 64)
    results = iter(range(6))
    calls = Calls((0,), range(6), [None] * 6, 0, 0, Origin(0, 0, None))
    deal.way.room(calls.prefix, 0)
    deal.way.hold()

    halt = call_into(
        lambda _: next(results),
        calls,
        (0, 6),
        row=memoryview(bytearray(8 * WORKER_WORDS)).cast("Q"),
        edge=0,
        express=deal.way,
        wait=False,
        more=lambda: False,
        route=nowhere,
        at_once=True,
    )

    assert halt.at == 6
    assert [replica.units() for replica in deal.replicas] == [
        [range(unit, unit + 1) for unit in units] for units in ((0, 2, 4), (1, 3, 5))
    ]


def test_slow_replicas_are_dealt_little_ahead_and_the_rest_is_kept_back() -> None:
    deal = Deal(64, 64)
    deal.keep_back()

    deal.give(0, 40)
    deal.later(1.0)

    assert deal.dealt() == [AHEAD_AT_FIRST, AHEAD_AT_FIRST]
    assert deal.way.waits()
    assert LEAST_S <= deal.way.kept_for_s() <= REST_S


def test_items_that_go_on_from_replica_to_replica_are_dealt_evenly() -> None:
    deal = Deal(64, 64, onward=True)
    deal.keep_back()

    deal.give(0, 40)
    deal.way.flush()

    assert deal.dealt() == [20, 20]


def test_an_edge_holds_as_much_as_if_nothing_were_kept_back() -> None:
    deal = Deal(64, 64)
    deal.keep_back()

    deal.give(0, 128)

    assert not deal.waited_for
    assert not deal.rests
    assert deal.way.room((0,), 128) == 0


def test_what_comes_now_and_then_goes_to_whoever_has_nothing_to_do() -> None:
    deal = Deal(64, 64)
    deal.keep_back()
    quick, late = deal.replicas
    for number in range(50):
        deal.give(number, 1)
        deal.later(0.005)
        quick.take(quick.has())
        late.take(late.has() if number < 30 else 0)
    stuck = late.has()
    for number in range(50, 70):
        deal.give(number, 1)
        deal.later(0.005)

    assert stuck == 1
    assert all(replica.has() <= AHEAD_AT_FIRST for replica in deal.replicas)
    assert deal.way.waits()


def test_what_is_kept_back_goes_to_whoever_is_done_first() -> None:
    deal = Deal(64, 64)
    deal.keep_back()
    quick, stuck = deal.replicas

    deal.give(0, 40)
    for _ in range(100):
        quick.take(min(1, quick.has()))
        deal.later(0.05)

    assert deal.dealt() == [40 - AHEAD_AT_FIRST, AHEAD_AT_FIRST]
    assert not deal.way.waits()
    assert stuck.has() == AHEAD_AT_FIRST


def test_what_is_kept_back_counts_as_sent_and_is_counted_once() -> None:
    def take() -> None:
        for replica in deal.replicas:
            replica.take(replica.has())

    deal = Deal(64, 64)
    deal.keep_back(take)

    deal.give(0, 40)
    deal.way.flush()
    before = (*deal.counted(), sum(deal.dealt()))
    deal.way.wind_up()

    assert before == (40, 40, 2 * AHEAD_AT_FIRST)
    assert (*deal.counted(), sum(deal.dealt())) == (40, 40, 40)


def test_what_is_kept_back_when_the_last_replica_leaves_is_counted_once() -> None:
    deal = Deal(64, 64)
    deal.keep_back()
    deal.give(0, 40)
    for target in deal.targets:
        target.drop(target.channels[0])

    deal.way.wind_up()

    assert deal.counted() == (40, 40)


def test_who_waits_for_other_things_keeps_nothing_back() -> None:
    deal = Deal(16, 64)
    deal.keep_back()

    deal.give(0, 60)
    deal.way.flush_all()

    assert sum(deal.dealt()) == 60
    assert all(replica.has() <= replica.capacity for replica in deal.replicas)


def test_at_the_end_the_last_items_are_dealt_as_the_replicas_take_them() -> None:
    deal = Deal(64, 64)
    most = list[int]()

    def take() -> None:
        most.append(max(replica.has() for replica in deal.replicas))
        for replica in deal.replicas:
            replica.take(min(1, replica.has()))

    deal.keep_back(take)
    deal.give(0, 30)

    deal.way.wind_up()

    assert sum(deal.dealt()) == 30
    assert not deal.way.waits()
    assert max(most) < 10


def test_a_full_edge_waits_a_moment_and_deals_again() -> None:
    def take(*_: object) -> None:
        for replica in deal.replicas:
            replica.take(min(1, replica.has()))

    deal = Deal(8, 8, on_wait=take)
    deal.keep_back(take)

    deal.give(0, 40)

    assert deal.rests
    assert sum(deal.dealt()) >= 40 - 16


@pytest.mark.parametrize("count", range(2000, 3000, 100))
def test_replicas_that_are_about_as_fast_are_done_at_about_the_same_time(count: int) -> None:
    periods_s = (1.15e-3, 1.21e-3)  # what each does in its share of time is about half an edge
    spent_s, seen_s = [0.0, 0.0], 0.0

    def work() -> None:
        nonlocal seen_s
        for number, (replica, period_s) in enumerate(zip(deal.replicas, periods_s, strict=True)):
            spent_s[number] += deal.now_s - seen_s
            done = min(int(spent_s[number] / period_s), replica.has())
            replica.take(done)
            spent_s[number] = min(spent_s[number] - done * period_s, period_s)
        seen_s = deal.now_s

    def wait(_: Sequence[Target]) -> None:
        deal.now_s += 0.001
        work()

    deal = Deal(256, 256, on_wait=wait)
    deal.keep_back(work)

    deal.give(0, count)
    deal.way.wind_up()

    quick, slow = (
        replica.has() * each for replica, each in zip(deal.replicas, periods_s, strict=True)
    )
    assert abs(quick - slow) < 0.03


@pytest.mark.parametrize("count", range(2000, 3000, 100))
def test_the_last_items_are_dealt_late_for_nobody_knows_who_will_be_slower(count: int) -> None:
    period_s, seen_s, idle_s = 2e-3, 0.0, 0.0

    def work() -> None:
        nonlocal seen_s, idle_s
        while seen_s + period_s <= deal.now_s:
            seen_s += period_s
            idle_s += period_s * sum(not replica.has() for replica in deal.replicas)
            for replica in deal.replicas:
                replica.take(min(1, replica.has()))

    deal = Deal(256, 256, on_wait=lambda _: work())
    deal.keep_back(work)

    deal.give(0, count)
    deal.way.wind_up()

    assert max(replica.has() for replica in deal.replicas) * period_s < 0.05
    assert idle_s < 0.01


def test_what_takes_much_memory_is_not_kept_back() -> None:
    deal = Deal(64, 64)
    deal.keep_back()

    deal.give(0, 8, item=lambda _: bytes(KEPT_BYTES // 4))

    assert sum(deal.dealt()) > 4


def test_a_stuck_replica_does_not_hold_up_a_quick_one() -> None:
    def take(*_: object) -> None:
        quick.take(quick.has())

    deal = Deal(16, 16, on_wait=take)
    deal.keep_back(take)
    quick, stuck = deal.replicas

    deal.give(0, 1000)
    deal.way.wind_up()

    assert sum(map(len, stuck.units())) <= 2 * AHEAD_AT_FIRST
    assert deal.rests < 1000 / 4


def test_quick_replicas_are_dealt_all_there_is() -> None:
    def take_all() -> None:
        for replica in deal.replicas:
            replica.take(replica.has())

    deal = Deal(64, 64, on_wait=lambda _: take_all())
    deal.keep_back(take_all)
    for moment in range(20):
        deal.give(moment * 60, 60)
        deal.later(0.001)
        take_all()
    deal.give(1200, 60)
    deal.way.flush()

    assert not deal.way.waits()


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("give"), st.integers(1, 30)),
            st.tuples(st.sampled_from(["take 0", "take 1", "take 2"]), st.integers(1, 20)),
            st.tuples(st.sampled_from(["later", "all"]), st.integers(0, 100)),
        ),
        max_size=40,
    ),
    capacities=st.lists(st.integers(1, 40), min_size=3, max_size=3),
)
def test_whatever_is_kept_back_each_item_is_dealt_once_and_in_order(
    steps: list[tuple[str, int]], capacities: list[int]
) -> None:
    def take_some(*_: object) -> None:
        for replica in deal.replicas:
            replica.take(min(1, replica.has()))

    deal = Deal(*capacities, on_wait=take_some)
    deal.keep_back(take_some)
    given = 0
    for step, count in steps:
        match step:
            case "give":
                deal.give(given, count)
                given += count
            case "later":
                deal.later(count / 1000)
            case "all":
                deal.way.flush_all()
            case _:
                replica = deal.replicas[int(step[-1])]
                replica.take(min(count, replica.has()))
        assert all(replica.has() <= replica.capacity for replica in deal.replicas)
    deal.way.wind_up()

    units = [[unit for run in replica.units() for unit in run] for replica in deal.replicas]
    assert all(each == sorted(each) for each in units)
    assert sorted(unit for each in units for unit in each) == list(range(given))


@given(rate=st.floats(0, 1e9), before=st.integers(1, 10_000))
def test_a_replica_is_dealt_the_work_of_some_moments_ahead_and_at_least_one_item(
    rate: float, before: int
) -> None:
    items = items_ahead(rate, before=before)

    assert 1 <= items <= 4 * before
    assert items == 1 or items <= rate * AHEAD_S


def test_a_replica_that_had_nothing_to_do_is_not_believed_to_be_slow() -> None:
    words: Words = memoryview(bytearray(16)).cast("Q")
    pace = Pace((words, SENT, TAKEN), 0.0)
    words[SENT] = words[TAKEN] = 100
    pace.look(0.001, kept_short=True)
    quick = pace.ahead

    pace.look(10.0, kept_short=True)
    then = pace.ahead
    words[SENT] += 1
    pace.look(20.0, kept_short=True)

    assert quick > AHEAD_AT_FIRST
    assert then == quick
    assert pace.ahead == 1


def test_who_waits_for_what_comes_is_dealt_no_more_ahead_however_fast_it_may_be() -> None:
    words: Words = memoryview(bytearray(16)).cast("Q")
    pace = Pace((words, SENT, TAKEN), 0.0)
    for moment in range(1, 100):
        words[SENT] = words[TAKEN] = moment
        pace.look(moment * 0.001, kept_short=False)

    assert pace.ahead == AHEAD_AT_FIRST


@given(before_s=st.floats(LEAST_S, REST_S), little=st.floats(0, 0.49, exclude_min=True))
def test_the_replicas_are_looked_at_sooner_the_less_they_had_left(
    before_s: float, little: float
) -> None:
    assert LEAST_S <= rest_s(before_s, left=0) <= before_s
    assert rest_s(before_s, left=little) == before_s
    assert before_s <= rest_s(before_s, left=ENOUGH_LEFT) <= REST_S


@given(before_s=st.floats(LEAST_S, REST_S), left=st.floats(0, 1))
def test_at_the_end_they_are_looked_at_often(before_s: float, left: float) -> None:
    assert rest_s(before_s, left=left, last=True) <= LAST_REST_S


@pytest.mark.parametrize("period_s", [0.3e-3, 1.19e-3, 2e-3, 7e-3, 40e-3])
def test_while_there_is_enough_no_replica_runs_out_of_it(period_s: float) -> None:
    seen_s, dry = 0.0, list[float]()

    def work() -> None:
        nonlocal seen_s
        while seen_s + period_s <= deal.now_s:
            seen_s += period_s
            if not all(replica.has() for replica in deal.replicas):
                dry.append(seen_s)
            for replica in deal.replicas:
                replica.take(min(1, replica.has()))

    def wait(_: Sequence[Target]) -> None:
        deal.now_s += 0.001
        work()

    deal = Deal(256, 256, on_wait=wait)
    deal.keep_back(work)

    deal.give(0, 2000)

    # At first nobody knows how fast they are.
    assert [moment for moment in dry if moment > 10 * period_s] == []


class Narrow(Replica):
    """No frame fits in its kernel's pipe."""

    before_wait: Callable[[], None]

    def bytes_left(self) -> int:
        return 2**20

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        self.before_wait()
        super().send(meta, packet, credits)


def test_what_was_kept_back_before_a_frame_that_must_wait_leaves_first() -> None:
    def port(name: str, route: Route, *replicas: Replica) -> OutPort:
        row: Words = memoryview(bytearray(64)).cast("Q")
        channels = [OutChannel(replica, 0, row) for replica in replicas]  # type: ignore[arg-type]  # only what it uses
        return OutPort(name, [Spread(route, [Target([channel]) for channel in channels])])

    replicas, narrow = [Replica(64), Replica(64)], Narrow(64)
    outbox = Outbox(
        {"a": port("a", Route.BALANCE, *replicas), "b": port("b", Route.SINGLE, narrow)},
        numbering=Numbering.PER_PORT,
        encoder=Encoder(),
        wait_for_room=lambda _: None,
        counters=(memoryview(bytearray(64)).cast("Q"), {"a": 0, "b": 1}),
        now=lambda: 0.0,
    )
    outbox.may_keep(lambda _targets, _rests: None)
    for name, count in (("b", 1), ("a", 10), ("b", 1), ("a", 10)):
        for number in range(count):
            outbox.emit(name, number, (0, number), 0, number)
    before = sum(replica.words[SENT] for replica in replicas)

    outbox.flush()

    assert before == 2 * AHEAD_AT_FIRST
    assert sum(replica.words[SENT] for replica in replicas) >= 10

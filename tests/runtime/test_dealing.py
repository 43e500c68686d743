from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.board import WORKER_WORDS, Words
from pipeflow.runtime.flow.dealing import LOOK_S, Dealing, frame_items
from pipeflow.runtime.flow.joins import Calls, Origin
from pipeflow.runtime.flow.targets import OutChannel, Target
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

    def units(self) -> list[range]:
        return [range(part.unit, part.unit + part.span) for frame in self.frames for part in frame]


class Deal:
    """A dealing way to some replicas, with a clock that stands still."""

    def __init__(
        self, *capacities: int, on_wait: Callable[[Sequence[Target]], None] = lambda _: None
    ) -> None:
        self.replicas = [Replica(capacity) for capacity in capacities]
        self.rows: list[Words] = [memoryview(bytearray(64)).cast("Q") for _ in capacities]
        self.targets = [
            Target([OutChannel(replica, 0, row)])  # type: ignore[arg-type]  # only what it uses
            for replica, row in zip(self.replicas, self.rows, strict=True)
        ]
        self.now_s = 0.0
        self.waited_for: list[Sequence[Target]] = []
        self._on_wait = on_wait
        self.way = Dealing(
            self.targets,
            encoder=Encoder(),
            counter=(memoryview(bytearray(8)).cast("Q"), 0),
            lock=threading.Lock(),
            wait_for_room=self._wait,
            reader_left=lambda: None,
            batch_items=64,
            now=lambda: self.now_s,
        )

    def _wait(self, targets: Sequence[Target]) -> None:
        self.waited_for.append(targets)
        self.way.flush()
        self._on_wait(targets)

    def give(self, first: int, count: int) -> None:
        """Some items from a source, as fast as there is room."""
        items = iter(range(first, first + count))
        done = 0
        while done < count:
            most = min(self.way.room((0,), done), count - done)
            numbers = (first + done, 1, most)
            got = append_from(items, numbers, express=self.way, asking=bytearray(1))
            assert got.error is None
            done += got.appended


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


@given(
    rate=st.floats(0, 1e9),
    before=st.integers(1, 256),
    most=st.integers(1, 256),
)
def test_a_frame_holds_the_work_of_a_moment_and_at_least_one_item(
    rate: float, before: int, most: int
) -> None:
    items = frame_items(rate, before=before, most=most)

    assert 1 <= items <= most
    assert items <= 4 * before
    assert items == 1 or items <= rate * 0.01


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

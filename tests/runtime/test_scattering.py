"""The short way of a partition by key: each item to its replica, and every unit told to each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.planner.plan import Numbering, Route
from pipeflow.runtime.board import SENT, Words
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.refused import ResultNotSerializable, Unplaced
from pipeflow.runtime.flow.scattering import Scattering
from pipeflow.runtime.flow.targets import OutChannel, Spread, Target
from pipeflow.runtime.loops.rows import Gathered, append_from
from pipeflow.transports.codec import Encoder
from tests.runtime.test_dealing import SENT as CREDITS
from tests.runtime.test_dealing import TAKEN, Replica


class Keyed(Replica):
    """One replica of several that share a key."""

    def bytes_left(self) -> int:
        return 2**20

    def items(self) -> list[Any]:
        return [payload for frame in self.frames for part in frame for _, payload in part.items]

    def ids(self) -> list[Any]:
        return [item for frame in self.frames for part in frame for item, _ in part.items]

    def told(self) -> list[int]:
        """Units that it was told of, in order."""
        return [unit for run in self.units() for unit in run]


class Spreading:
    """A port whose items go to replicas by their remainder; the real outbox, over fakes."""

    def __init__(
        self, *capacities: int, on_wait: Callable[[Sequence[Target]], None] = lambda _: None
    ) -> None:
        self.replicas = [Keyed(capacity) for capacity in capacities]
        self.rows: list[Words] = [memoryview(bytearray(64)).cast("Q") for _ in capacities]
        self.targets = [
            Target([OutChannel(replica, 0, row)])  # type: ignore[arg-type]  # only what it uses
            for replica, row in zip(self.replicas, self.rows, strict=True)
        ]
        self.waited_for: list[Sequence[Target]] = []
        self._on_wait = on_wait
        self.emitted: Words = memoryview(bytearray(8)).cast("Q")
        self.outbox = Outbox(
            {"out": OutPort("out", [Spread(Route.KEY, self.targets, self.pick)])},
            numbering=Numbering.PER_PORT,
            encoder=Encoder(),
            wait_for_room=self._wait,
            counters=(self.emitted, {"out": 0}),
            batch_items=16,
        )
        way = self.outbox.express("out")
        assert isinstance(way, Scattering)
        self.way = way

    def pick(self, item: Any) -> int:
        number: int = item["n"] if isinstance(item, dict) else item
        return number % len(self.replicas)

    def _wait(self, targets: Sequence[Target]) -> None:
        self.waited_for.append(targets)
        self._on_wait(targets)

    def gather(self, items: Iterator[Any], first: int) -> Gathered:
        numbers = (first, 1, self.way.room((0,), first))
        return append_from(items, numbers, express=self.way, asking=bytearray(1))

    def give(self, items: list[Any]) -> None:
        """All of them, as a source does."""
        left, done = iter(items), 0
        while done < len(items):
            got = self.gather(left, done)
            assert got.error is None or isinstance(got.error, StopIteration)
            done += got.appended


@given(
    numbers=st.lists(st.integers(0, 20), max_size=60),
    capacities=st.lists(st.integers(1, 20), min_size=2, max_size=3),
    flushes=st.sets(st.integers(0, 60)),
    dicts=st.booleans(),
)
def test_each_item_goes_to_its_replica_in_order_and_each_hears_of_every_unit(
    numbers: list[int], capacities: list[int], flushes: set[int], dicts: bool
) -> None:
    def take_all(_targets: Sequence[Target]) -> None:
        for replica in spreading.replicas:
            replica.take(replica.words[CREDITS] - replica.words[TAKEN])

    spreading = Spreading(*capacities, on_wait=take_all)

    def items() -> Iterator[Any]:
        for at, number in enumerate(numbers):
            if at in flushes:  # the second thread may do so at any time
                spreading.outbox.flush_old()
            assert all(replica.room() >= 0 for replica in spreading.replicas)
            yield {"n": number} if dicts else number

    left, done = items(), 0
    while done < len(numbers):
        done += spreading.gather(left, done).appended
    spreading.outbox.flush()

    count = len(capacities)
    for place, replica in enumerate(spreading.replicas):
        own = [at for at, number in enumerate(numbers) if number % count == place]
        assert [spreading.pick(item) for item in replica.items()] == [place] * len(own)
        assert replica.ids() == [(0, at) for at in own]
        assert replica.told() == list(range(len(numbers)))
        assert spreading.rows[place][SENT] == len(own)
    assert spreading.emitted[0] == len(numbers)


def test_a_full_replica_is_waited_for_only_by_an_item_of_its_own() -> None:
    def make_room(_targets: Sequence[Target]) -> None:
        spreading.replicas[0].take(1)

    spreading = Spreading(2, 8, on_wait=make_room)

    spreading.give([0, 2, 1, 3, 5])
    before = [*spreading.waited_for]
    spreading.give([4])

    assert not before
    assert spreading.waited_for == [(spreading.targets[0],)]


def test_an_item_whose_key_fails_is_handed_back_and_takes_no_unit() -> None:
    spreading = Spreading(8, 8)

    got = spreading.gather(iter([1, "no number", 2]), 0)

    assert got.appended == 1
    assert isinstance(got.error, Unplaced)
    assert got.error.payload == "no number"
    with pytest.raises(TypeError):
        spreading.outbox.emit("out", "no number", (0, 1), 0, 0)
    spreading.gather(iter([2]), 2)
    spreading.outbox.flush()
    assert [replica.ids() for replica in spreading.replicas] == [[(0, 2)], [(0, 0)]]
    assert [replica.told() for replica in spreading.replicas] == [[0, 1], [0, 1]]


def test_an_item_that_may_be_changed_travels_as_it_was() -> None:
    spreading = Spreading(8, 8)
    held = {"n": 1, "list": [1]}

    spreading.gather(iter([{"n": 3}, held]), 0)
    held["list"].append(2)  # type: ignore[attr-defined]  # it is a list
    spreading.gather(iter([{"n": 5}, {"n": 2}]), 2)
    spreading.outbox.flush()

    assert spreading.replicas[1].items() == [{"n": 3}, {"n": 1, "list": [1]}, {"n": 5}]
    assert spreading.replicas[0].items() == [{"n": 2}]
    assert [replica.told() for replica in spreading.replicas] == [[0, 1, 2, 3]] * 2


def test_what_cannot_be_pickled_takes_no_unit() -> None:
    spreading = Spreading(8, 8)
    broken = {"n": 1, "lock": threading.Lock()}

    got = spreading.gather(iter([broken]), 0)
    spreading.gather(iter([3, 2]), 1)
    spreading.outbox.flush()

    assert isinstance(got.error, ResultNotSerializable)
    assert [replica.ids() for replica in spreading.replicas] == [[(0, 2)], [(0, 1)]]
    assert spreading.replicas[0].told() == [0, 1]


def test_ids_are_what_they_were_where_some_items_gave_nothing_or_many() -> None:
    spreading = Spreading(16, 16)

    for prefix, ordinals in [((0,), [0, 3, 4]), ((0, 4), [0, 1]), ((0,), [9])]:
        spreading.way.room(prefix, ordinals[0])
        note = spreading.way.list_ordinals()
        for ordinal in ordinals:
            note.append(ordinal)
            spreading.way.run.payloads.append(ordinal)
    spreading.outbox.flush()

    even, odd = spreading.replicas
    assert even.ids() == [(0, 0), (0, 4), (0, 4, 0)]
    assert odd.ids() == [(0, 3), (0, 4, 1), (0, 9)]


def test_a_replica_without_items_hears_of_the_others_before_it_is_waited_for() -> None:
    def hears(_targets: Sequence[Target]) -> None:
        assert spreading.replicas[1].told() == [0, 1]
        spreading.replicas[0].take(2)

    spreading = Spreading(2, 8, on_wait=hears)

    spreading.give([0, 2, 4])

    assert len(spreading.waited_for) == 1


def test_many_units_of_others_are_told_without_being_asked_for() -> None:
    spreading = Spreading(64, 64)

    spreading.give([2 * number for number in range(40)])

    assert len(spreading.replicas[1].told()) >= 16

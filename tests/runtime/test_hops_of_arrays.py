"""Arrays in shared memory hop as plain items do, and the way in Python does the same with them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pipeflow.errors import MemoryLimitReached, ProtocolError
from pipeflow.runtime.board import (
    DELIVERED,
    EMPTY,
    PROCESSED,
    RECEIVED,
    SENT,
    SHARED_BYTES,
    SKIPPED,
)
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.loops import stretch
from pipeflow.runtime.messages import ItemGivenUp
from pipeflow.stages.work import Work
from pipeflow.transports.base import Packet, SlotRef
from pipeflow.transports.codec import Encoder
from pipeflow.transports.counters import WriterCell
from pipeflow.transports.shm import Arena, Share
from tests.runtime.hop_rig import BEFORE, OURS, Stage
from tests.runtime.test_hops import making, record

pytestmark = pytest.mark.skipif(not stretch.HOPS, reason="nothing was compiled")

LENGTH = 16 * 1024
NBYTES = 8 * LENGTH


@pytest.fixture
def shares() -> Iterator[list[Share]]:
    arena = Arena.create(3, 2**27)
    made = [Share(arena.handle, worker) for worker in range(3)]
    yield made
    while made:  # pytest keeps the list itself beyond the look for leftovers
        made.pop().pool.close()
    gc.collect()
    arena.close()


@pytest.fixture(
    params=[(hops, keeps) for keeps in (False, True) for hops in (False, True)],
    ids=("python", "hops", "python, units kept", "hops, units kept"),
)
def make(request: pytest.FixtureRequest, shares: list[Share]) -> Iterator[Callable[..., Stage]]:
    hops, keeps = request.param
    yield from making(hops=hops, keeps=keeps, shares=shares)


@pytest.fixture
def make_hopping(shares: list[Share]) -> Iterator[Callable[..., Stage]]:
    yield from making(hops=True, keeps=False, shares=shares)


def array(number: int) -> np.ndarray[Any, Any]:
    return np.full(LENGTH, number, np.int64)


def lent(share: Share, number: int) -> np.ndarray[Any, Any]:
    made = share.pool.empty(LENGTH, np.int64)
    made.fill(number)
    return made


def numbers(stage: Stage) -> list[int]:
    return [int(value[0]) for _, value in stage.got]


def is_settled(stage: Stage) -> bool:
    """Whether nothing is owed on either edge: neither credits nor bytes."""
    counters = [line.counters for line in (stage.before, stage.behind)]
    return not any(each.in_flight() or each.bytes_in_flight() for each in counters)


def test_an_array_that_is_passed_on_is_not_copied(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: item)

    for number in range(5):
        stage.feed_array(array(number))
        stage.go()
        stage.take()

    assert numbers(stage) == [*range(5)]
    assert [item for item, _ in stage.got] == [(BEFORE, number) for number in range(5)]
    assert stage.edges[1][SHARED_BYTES] == 5 * NBYTES
    assert is_settled(stage)


def test_results_lie_where_the_stage_has_made_them(
    make: Callable[..., Stage], shares: list[Share]
) -> None:
    def double(item: np.ndarray[Any, Any]) -> Any:
        return np.multiply(item, 2, out=shares[1].pool.empty(item.shape, item.dtype))

    stage = make(double)
    for number in range(20):
        stage.feed_array(lent(shares[0], number))
        stage.go()
        stage.take()
    stage.end()

    assert numbers(stage) == [2 * number for number in range(20)]
    assert not any(value.flags.writeable for _, value in stage.got)
    row, (came, left) = stage.row, stage.edges
    assert (row[RECEIVED], row[PROCESSED], row[EMPTY]) == (20, 20, 0)
    assert (came[DELIVERED], left[SENT], stage.cells[0]) == (20, 20, 20)
    assert is_settled(stage)


def test_private_results_are_as_they_were_when_they_were_given(make: Callable[..., Stage]) -> None:
    used = np.zeros(LENGTH, np.int64)

    def refill(item: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        used.fill(item[0])
        return used

    stage = make(refill)
    for number in range(6):
        stage.feed_array(array(number))
    stage.end()
    stage.take()

    assert numbers(stage) == [*range(6)]


@pytest.mark.parametrize(
    "taken",
    [
        lambda item: item[::2],
        lambda item: item.reshape(2, -1).T,
        lambda item: item.reshape(-1, 4)[:, ::-1],
    ],
    ids=["every second", "turned", "backwards"],
)
def test_a_part_keeps_its_layout(make: Callable[..., Stage], taken: Callable[..., Any]) -> None:
    whole = np.arange(LENGTH)
    stage = make(lambda item: taken(taken(item)))

    for _ in range(3):
        stage.feed_array(whole)
        stage.go()
    stage.end()
    stage.take()

    for _, value in stage.got:
        np.testing.assert_array_equal(value, taken(taken(whole)))
    assert len(stage.got) == 3
    assert is_settled(stage)


def test_arrays_and_plain_items_keep_their_order(make: Callable[..., Stage]) -> None:
    kept: list[int] = []

    def mixed(item: Any) -> Any:
        if isinstance(item, dict):
            return item["n"] if item["n"] % 2 else None
        kept.append(int(item[0]))
        return kept if item[0] % 3 == 0 else item

    stage = make(mixed)
    for number in range(30):
        if number % 5 < 2:
            stage.feed(record(number))
        else:
            stage.feed_array(array(number))
    stage.end()
    stage.take()

    expected = [n for n in range(30) if n % 5 >= 2 or n % 2]
    assert [item[1] for item, _ in stage.got] == expected
    for (_, n), value in stage.got:
        if n % 5 < 2:
            assert value == n
        elif n % 3:
            assert value[0] == n
        else:
            assert value[-1] == n


def test_nothing_is_lost_where_its_edge_is_full(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: item, capacity=2)

    for number in range(20):
        stage.feed_array(array(number))
        if number % 2:
            stage.go()
    stage.end()
    stage.take()

    assert numbers(stage) == [*range(20)]
    assert stage.behind.counters.peak_in_flight() <= 2
    assert is_settled(stage)


def test_a_failed_item_gives_its_bytes_back(make: Callable[..., Stage]) -> None:
    def fails(item: np.ndarray[Any, Any]) -> Any:
        return 1 // int(item[0] - 2)

    stage = make(fails)
    for number in range(5):
        stage.feed_array(array(number))
    stage.end()
    stage.take()

    (report,) = stage.reports
    assert isinstance(report, ItemGivenUp)
    assert report.failure.item == "before:2"
    assert (stage.row[RECEIVED], stage.row[PROCESSED], stage.row[SKIPPED]) == (5, 4, 1)
    assert is_settled(stage)


def test_results_that_nobody_reads_are_counted(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: item if item[0] else None, read=False)

    for number in range(5):
        stage.feed_array(array(number))
    stage.end()

    assert (stage.row[PROCESSED], stage.row[EMPTY], stage.cells[0]) == (5, 1, 4)
    assert is_settled(stage)


def test_an_item_is_let_go_once_it_was_called(
    make: Callable[..., Stage], shares: list[Share]
) -> None:
    stage = make(lambda _: None)

    stage.feed_array(lent(shares[0], 1))
    stage.go()
    stage.before.sender.settle()

    place = stage.packet_of(array(2)).buffers[0]  # the slot comes back, so no other one is taken
    assert isinstance(place, SlotRef)
    assert place.slot == 0


def test_arrays_of_a_kind_that_came_before_are_not_taken_by_the_inbox(
    make_hopping: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_hopping(lambda item: item)
    stage.feed_array(array(0))
    stage.go()
    taken: list[Inbox] = []
    monkeypatch.setattr(Inbox, "take", taken.append)

    for number in range(1, 10):
        stage.take()
        stage.feed_array(array(number))
        stage.go()
    stage.take()

    assert numbers(stage) == [*range(10)]
    assert taken == []


def test_the_writer_is_told_whether_arrays_are_taken_one_by_one(
    make_hopping: Callable[..., Stage],
) -> None:
    kept: list[int] = []
    quick, slow = make_hopping(lambda item: item), make_hopping(lambda _: kept)

    for stage in (quick, slow):
        assert not stage.before.sender.is_taken_singly()
        for number in range(80):
            stage.feed(record(number))
            stage.go()
            stage.take()

    assert quick.before.sender.is_taken_singly()
    assert not slow.before.sender.is_taken_singly()  # all that it gives is more than plain


def test_a_source_gives_arrays_on_the_short_way(make: Callable[..., Stage]) -> None:
    source = Work(source=lambda: iter([array(0), {"n": 1}, array(2), array(3)]))
    stage = make(source)

    stage.end()
    stage.take()

    assert [item for item, _ in stage.got] == [(OURS, number) for number in range(4)]
    assert stage.got[1][1] == {"n": 1}
    assert [int(stage.got[n][1][0]) for n in (0, 2, 3)] == [0, 2, 3]


def test_a_place_that_the_arena_does_not_have_is_told(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: item)
    stage.feed_array(array(0))
    stage.go()  # this kind of array is known from now on
    good = stage.packet_of(array(1))
    wrong = SlotRef(pool=9, slot=0, offset=0, nbytes=NBYTES)
    stage.feed_packet(Packet(good.pickled, (wrong,), 1, NBYTES, 0, good.keep))

    with pytest.raises(ProtocolError, match="no slot of the arena"):
        stage.go()


def test_a_frame_of_another_run_is_an_error(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: item)
    stage.feed_array(array(0))
    stage.go()
    stage.before.counters.add_writer(0, WriterCell.FRAMES, 1)  # one was counted that does not come
    stage.feed_array(array(1))

    with pytest.raises(ProtocolError, match="lost"):
        stage.go()


def test_an_array_for_which_there_is_no_memory_ends_the_run(
    make: Callable[..., Stage], shares: list[Share]
) -> None:
    stage = make(lambda item: np.ones(2**25, np.uint8) if item[0] else item)
    held = [shares[1].pool.empty(2**25, np.uint8) for _ in range(3)]

    stage.feed_array(array(0))
    stage.feed_array(array(1))
    stage.feed_array(array(0))
    with pytest.raises(MemoryLimitReached):
        stage.end()

    assert len(held) == 3


def test_an_array_that_cannot_be_sent_is_let_go(
    make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Any]] = []

    def fresh(_: object) -> np.ndarray[Any, Any]:
        result = array(1)
        made.append(weakref.ref(result))
        return result

    def refuse(*_: object) -> None:
        raise OSError("no room")

    stage = make(fresh)
    for number in range(2):
        stage.feed_array(array(number))
        if not number:
            stage.go()  # this kind of array is known from now on
            stage.take()
    monkeypatch.setattr(Encoder, "alone", refuse)
    monkeypatch.setattr(Encoder, "pile", refuse)

    stage.end()
    gc.collect()

    assert stage.row[SKIPPED] == 1
    assert [each() is None for each in made] == [True, True]

"""Hops do what the way that is written in Python does: both are held to the same sentences."""

from __future__ import annotations

import fcntl
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.errors import PeerLost, ProtocolError
from pipeflow.runtime.board import (
    DELIVERED,
    EMPTY,
    IN_ROW,
    LEFT,
    PROCESSED,
    RECEIVED,
    SENT,
    SKIPPED,
    TURNS,
    WAIT_IN_NS,
    WAIT_OUT_NS,
)
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.loops import stretch
from pipeflow.runtime.messages import ItemGivenUp
from pipeflow.spec.policies import Budget, OnError
from pipeflow.stages.work import Work
from pipeflow.transports.counters import ReaderCell, WriterCell
from tests.runtime.hop_rig import BEFORE, OURS, Stage

pytestmark = pytest.mark.skipif(not stretch.HOPS, reason="nothing was compiled")

WAYS = (
    pytest.param({"hops": False, "keeps": False}, id="python"),
    pytest.param({"hops": True, "keeps": False}, id="hops"),
    pytest.param({"hops": False, "keeps": True}, id="python, units kept"),
    pytest.param({"hops": True, "keeps": True}, id="hops, units kept"),
)


def making(**always: Any) -> Iterator[Callable[..., Stage]]:
    """What makes stages with these settings, and closes them afterwards."""
    made: list[Stage] = []

    def make_stage(work: Work | Callable[[Any], Any], **settings: Any) -> Stage:
        whole = work if isinstance(work, Work) else Work(call=work)
        made.append(Stage(whole, **always, **settings))
        return made[-1]

    yield make_stage
    while made:  # pytest keeps the list itself
        made.pop().close()


@pytest.fixture(params=WAYS)
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Stage]]:
    yield from making(**request.param)


@pytest.fixture(params=(False, True), ids=("", "units kept"))
def make_hopping(request: pytest.FixtureRequest) -> Iterator[Callable[..., Stage]]:
    yield from making(hops=True, keeps=request.param)


def record(number: int) -> dict[str, Any]:
    return {"n": number, "text": str(number)}


def renamed(item: dict[str, Any]) -> dict[str, Any]:
    return {"was": item["n"], "text": item["text"]}


# -- what goes through


def test_items_leave_in_order_and_keep_their_ids(make: Callable[..., Stage]) -> None:
    stage = make(renamed)

    stage.feed(*map(record, range(5)))
    stage.feed(*map(record, range(5, 8)), gap=10)
    stage.end()
    stage.take()

    assert [item["was"] for _, item in stage.got] == [*range(8)]
    assert [item for item, _ in stage.got] == [
        (BEFORE, ordinal) for ordinal in (*range(5), *range(15, 18))
    ]


def test_all_of_it_is_counted(make: Callable[..., Stage]) -> None:
    stage = make(renamed)

    stage.feed(*map(record, range(300)))
    stage.end()
    stage.take()

    row, (came, left) = stage.row, stage.edges
    assert (row[RECEIVED], row[PROCESSED], row[EMPTY], row[IN_ROW]) == (300, 300, 0, 0)
    assert (came[DELIVERED], left[SENT], stage.cells[0]) == (300, 300, 300)
    assert stage.before.counters.in_flight() == stage.behind.counters.in_flight() == 0
    assert stage.before.counters.lost(0) == stage.behind.counters.lost(0) == 0


def test_plain_frames_are_not_taken_by_the_inbox(
    make_hopping: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Inbox] = []
    monkeypatch.setattr(Inbox, "take", taken.append)
    stage = make_hopping(renamed)

    for number in range(20):
        stage.feed(record(number))
        stage.go()
        stage.take()

    assert len(stage.got) == 20
    assert taken == []


def test_frames_that_are_plain_as_a_whole_count_for_whether_hops_are_worth_it(
    make_hopping: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Inbox] = []
    kept: list[int] = []
    stage = make_hopping(lambda item: renamed(item) if item["n"] % 20 else kept)
    for number in range(64 * 20):
        stage.feed(record(number))
        stage.go()
        stage.take()

    monkeypatch.setattr(Inbox, "take", taken.append)
    stage.feed(record(1))
    stage.go()

    assert taken == []


def test_the_last_results_leave_before_it_waits(make: Callable[..., Stage]) -> None:
    stage = make(renamed)
    stage.feed(*map(record, range(100)))

    stage.go()
    stage.take()

    assert len(stage.got) == 100


def test_a_result_of_none_leaves_a_gap(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: item if item["n"] % 3 else None)

    stage.feed(*map(record, range(10)))
    stage.end()
    stage.take()

    assert [(item[1], value["n"]) for item, value in stage.got] == [
        (n, n) for n in (1, 2, 4, 5, 7, 8)
    ]
    assert (stage.row[PROCESSED], stage.row[EMPTY]) == (10, 4)


def test_a_failed_item_is_given_up_and_the_others_go_on(make: Callable[..., Stage]) -> None:
    def fails_at_three(item: dict[str, Any]) -> Any:
        return 1 // (item["n"] - 3)

    stage = make(fails_at_three)
    stage.feed(*map(record, range(6)))
    stage.end()
    stage.take()

    (report,) = stage.reports
    assert isinstance(report, ItemGivenUp)
    assert report.failure.item == "before:3"
    assert "'n': 3" in report.failure.view  # it is in hand, though those before it were let go
    assert [item[1] for item, _ in stage.got] == [0, 1, 2, 4, 5]
    assert (stage.row[RECEIVED], stage.row[PROCESSED], stage.row[SKIPPED]) == (6, 5, 1)


def test_what_may_still_be_changed_travels_as_it_is_now(make: Callable[..., Stage]) -> None:
    total: list[int] = []

    def running(item: dict[str, Any]) -> list[int]:
        total.append(item["n"])
        return total

    stage = make(running)
    stage.feed(*map(record, range(4)))
    stage.end()
    stage.take()

    assert [value for _, value in stage.got] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]


def test_what_was_made_bytes_already_waits_as_it_is(make: Callable[..., Stage]) -> None:
    kept: list[int] = []

    def keeps_some(item: dict[str, Any]) -> Any:
        if item["n"] < 3:
            return item
        kept.append(item["n"])
        return kept

    stage = make(keeps_some)
    for number in range(5):
        stage.feed(record(number))
        stage.go()  # its reader has not taken what came before, so this need not leave at once
    stage.take()

    assert [value for _, value in stage.got] == [*map(record, range(3)), [3], [3, 4]]


def test_an_item_that_is_kept_and_changed_travels_as_it_was(make: Callable[..., Stage]) -> None:
    held: list[dict[str, Any]] = []

    def keeps(item: dict[str, Any]) -> dict[str, Any]:
        for earlier in held:
            earlier["n"] = -1
        held.append(item)
        return item

    stage = make(keeps)
    stage.feed(*map(record, range(20)))
    stage.end()
    stage.take()

    assert [value["n"] for _, value in stage.got] == [*range(20)]


def test_many_results_of_an_item_follow_one_another(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: iter([item["n"], -item["n"]]) if item["n"] == 2 else item["n"])

    stage.feed(*map(record, range(4)))
    stage.end()
    stage.take()

    assert [value for _, value in stage.got] == [0, 1, 2, -2, 3]
    assert (BEFORE, 2, 1) in [item for item, _ in stage.got]


def test_results_that_nobody_reads_are_counted(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: item["n"] or None, read=False)

    stage.feed(*map(record, range(10)))
    stage.end()

    assert (stage.row[PROCESSED], stage.row[EMPTY], stage.cells[0]) == (10, 1, 9)


def test_an_item_is_let_go_once_it_was_called(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: [item["n"]])  # it must not be taken for what is still in hand

    stage.feed(*map(record, range(50)))
    stage.end()
    stage.take()

    assert [value for _, value in stage.got] == [[n] for n in range(50)]


@pytest.mark.parametrize("read", [True, False])
def test_where_nothing_was_compiled_all_goes_the_way_in_python(
    make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, read: bool
) -> None:
    monkeypatch.setattr(stretch, "HOPS", 0)
    monkeypatch.setitem(sys.modules, "pipeflow.runtime.loops.stretch._compiled", None)
    stage = make(renamed, read=read)

    stage.feed(*map(record, range(20)))
    stage.end()
    stage.take()

    assert stage.row[PROCESSED] == 20
    assert len(stage.got) == 20 * read


def test_a_stage_with_a_budget_hops_once_that_can_be_judged(make: Callable[..., Stage]) -> None:
    def fails_at_times(item: dict[str, Any]) -> Any:
        return 1 // (item["n"] % 50)

    stage = make(fails_at_times, budget=Budget(3, percent=True))
    for start in range(0, 1000, 20):
        stage.feed(*map(record, range(start, start + 20)))
    stage.end()
    stage.take()

    assert (stage.row[PROCESSED], stage.row[SKIPPED], len(stage.got)) == (980, 20, 980)


TEXTS = ("id", "über", "plain text of some length", "z", "\ud800", "")
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.sampled_from([*map(sys.intern, TEXTS), *(f"{each}!" for each in TEXTS)]),
        st.text(max_size=300),
        st.binary(max_size=300),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=300).map(tuple),
        st.dictionaries(st.sampled_from(TEXTS), inner, max_size=4),
    ),
    max_leaves=10,
)


@given(items=st.lists(VALUES.filter(lambda value: value is not None), min_size=1, max_size=20))
def test_any_plain_items_go_through(items: list[Any]) -> None:
    stage = Stage(Work(call=lambda item: item), hops=True)
    try:
        stage.feed(*items)
        stage.go()
        stage.take()

        assert [repr(value) for _, value in stage.got] == [*map(repr, items)]
    finally:
        stage.close()


#: Nobody can tell before 3.13.
is_interned: Callable[[str], bool] | None = getattr(sys, "_is_interned", None)


@pytest.mark.skipif(is_interned is None, reason="nobody can tell before 3.13")
def test_texts_that_were_interned_do_not_stay_for_ever(make_hopping: Callable[..., Stage]) -> None:
    stage = make_hopping(lambda item: {sys.intern(f"key-{item['n']}"): sys.intern(f"ü{item['n']}")})

    stage.feed(*map(record, range(50)))
    stage.go()
    stage.take()

    assert is_interned is not None
    assert len(stage.got) == 50
    for _, value in stage.got:
        ((key, text),) = value.items()
        assert not is_interned(key)
        assert not is_interned(text)


# -- room and credit


@pytest.mark.parametrize("capacity", [1, 2, 3, 7])
def test_no_more_is_on_its_way_than_there_is_room_for(
    make: Callable[..., Stage], capacity: int
) -> None:
    stage = make(renamed, capacity=capacity)

    for start in range(0, 12, capacity):
        stage.feed(*map(record, range(start, start + capacity)))
        stage.go()
        assert stage.behind.counters.in_flight() <= capacity
    stage.end()
    stage.take()

    assert stage.behind.counters.peak_in_flight() <= capacity
    assert [item["was"] for _, item in stage.got] == [*range(len(stage.got))]


def test_a_writer_that_waits_is_rung_once_it_is_worth_its_while(make: Callable[..., Stage]) -> None:
    stage = make(renamed, capacity=8)
    stage.before.sender.set_waiting(True)
    stage.feed(*map(record, range(8)))

    stage.go()

    assert stage.before.bell.rung == 1
    assert stage.before.counters.in_flight() == 0


def test_a_writer_is_rung_in_the_middle_of_its_frame(make: Callable[..., Stage]) -> None:
    rung: list[int] = []

    def notes(item: dict[str, Any]) -> dict[str, Any]:
        rung.append(stage.before.bell.rung)
        return renamed(item)

    stage = make(notes, capacity=8)
    stage.before.sender.set_waiting(True)
    stage.feed(*map(record, range(8)))
    stage.go()

    assert rung == [0, 0, 0, 0, 1, 1, 1, 1]  # half of the edge is free then


def test_credit_comes_back_for_what_was_called_and_no_more(make: Callable[..., Stage]) -> None:
    taken: list[int] = []

    def notes(item: dict[str, Any]) -> dict[str, Any]:
        taken.append(stage.before.counters.over_readers(0, ReaderCell.TAKEN_CREDITS))
        return renamed(item)

    stage = make(notes, capacity=64)
    stage.feed(*map(record, range(50)))
    stage.feed(*map(record, range(50, 64)))
    stage.go()

    assert all(paid <= called for called, paid in enumerate(taken))
    assert stage.before.counters.over_readers(0, ReaderCell.TAKEN_CREDITS) == 64


def test_room_that_comes_while_it_looks_out_is_used(make: Callable[..., Stage]) -> None:
    stage = make(renamed, capacity=4, look_s=30.0)
    stage.feed(*map(record, range(4)))
    stage.feed(*map(record, range(4, 8)))
    others = threading.Thread(target=lambda: take_all(stage, 8))
    others.start()

    stage.end()
    others.join()

    assert [item["was"] for _, item in stage.got] == [*range(8)]
    assert not stage.waits or not stage.row[WAIT_OUT_NS]


def take_all(stage: Stage, count: int) -> None:
    """Be the reader until so many have come."""
    while len(stage.got) < count:
        stage.take()


def test_a_frame_that_comes_while_it_looks_out_is_met_without_a_wait(
    make_hopping: Callable[..., Stage],
) -> None:
    stage = make_hopping(renamed, look_s=30.0)
    stage.feed(record(0))

    def feed_and_end() -> None:
        while not stage.row[TURNS]:
            pass  # it has not begun to look
        stage.feed(record(1))
        while stage.behind.counters.frames_in_flight() < 2:
            pass  # its reader is busy with the first; the second is sent before it looks again
        stage.before.sender.end()

    def begin_other(item: dict[str, Any]) -> dict[str, Any]:
        if item["n"] == 0:
            others.start()
        return renamed(item)

    stage.loop.work.call = begin_other
    others = threading.Thread(target=feed_and_end)
    waits = [*stage.steps]
    others.join()
    stage.outbox.end()
    stage.take()

    assert True not in waits[1:]  # the first is of before anything had come
    assert len(stage.got) == 2
    assert stage.row[WAIT_IN_NS] > 0


@pytest.mark.parametrize("hops", [False, True])
def test_what_waits_is_told_of_with_the_units_of_others_in_between(hops: bool) -> None:
    stage = Stage(Work(call=str), hops=hops, keeps=True)

    stage.feed(0)
    stage.go()
    stage.feed(1, 2, apart=2)
    stage.go()  # its reader has not taken the first, so these leave before the wait
    stage.end()
    stage.take()
    stage.close()

    assert stage.units == {0: [(BEFORE, 0)], 1: [(BEFORE, 1)], 2: [], 3: [(BEFORE, 2)], 4: []}


def test_who_waits_for_units_is_told_that_they_are_over_before_it_looks_out() -> None:
    stage = Stage(Work(call=renamed), hops=True, keeps=True, look_s=30.0)
    stage.pass_over(3)

    def feed_once_told() -> None:
        while len(stage.units) < 3:
            stage.take()
        stage.feed(record(0))
        stage.before.sender.end()

    others = threading.Thread(target=feed_once_told)
    others.start()
    waits = [*stage.steps]
    others.join()
    stage.outbox.end()
    stage.take()
    stage.close()

    assert True not in waits
    assert stage.units == {0: [], 1: [], 2: [], 3: [(BEFORE, 0)]}


# -- what is more than plain


def test_large_items_go_through(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: {"text": item["text"] * 1000})

    stage.feed(*[{"text": str(n % 10) * 10} for n in range(200)])
    stage.end()
    stage.take()

    assert [value["text"][0] for _, value in stage.got] == [str(n % 10) for n in range(200)]
    assert {len(value["text"]) for _, value in stage.got} == {10_000}


def test_a_frame_that_the_kernel_takes_in_parts_arrives_whole(make: Callable[..., Stage]) -> None:
    stage = make(lambda item: {"text": item["text"] * 20_000})
    fcntl.fcntl(stage.behind.ends.write, fcntl.F_SETPIPE_SZ, 4096)  # less than the first takes

    stage.feed(*[{"text": str(n)} for n in range(5)])
    stage.go()
    stage.take()

    assert [value["text"] for _, value in stage.got] == [str(n) * 20_000 for n in range(5)]


def test_who_has_no_reader_any_more_leaves(make: Callable[..., Stage]) -> None:
    stage = make(renamed)
    stage.feed(record(0))
    stage.go()
    stage.behind.receiver.close()

    stage.feed(*map(record, range(1, 50)))
    stage.go()

    assert stage.row[LEFT] == 1
    assert stage.row[PROCESSED] == stage.row[RECEIVED]


def test_a_frame_of_another_run_is_an_error(make: Callable[..., Stage]) -> None:
    stage = make(renamed)
    stage.feed(record(0))
    stage.go()
    stage.before.counters.add_writer(0, WriterCell.FRAMES, 1)  # one was counted that does not come
    stage.feed(record(1))

    with pytest.raises(ProtocolError, match="lost"):
        stage.go()


def test_a_writer_that_is_gone_without_an_end_is_told_of(make: Callable[..., Stage]) -> None:
    stage = make(renamed)
    stage.feed(*map(record, range(3)))
    stage.go()
    stage.before.sender.close()

    with pytest.raises(PeerLost):
        deque(stage.steps, maxlen=0)
    stage.take()

    assert len(stage.got) == 3


def test_what_another_thread_sends_in_between_is_not_sent_twice(make: Callable[..., Stage]) -> None:
    def flushes(item: dict[str, Any]) -> dict[str, Any]:
        if item["n"] % 7 == 0:
            stage.outbox.flush_old()  # as the second thread does
        return renamed(item)

    stage = make(flushes)
    stage.feed(*map(record, range(100)))
    stage.feed(*map(record, range(100, 200)))
    stage.end()
    stage.take()

    assert [item["was"] for _, item in stage.got] == [*range(200)]
    assert [item for item, _ in stage.got] == [(BEFORE, n) for n in range(200)]


def test_a_second_thread_that_sends_all_the_time_loses_and_repeats_nothing(
    make_hopping: Callable[..., Stage],
) -> None:
    stage = make_hopping(renamed, capacity=100_000)
    over = threading.Event()

    def flush_all_the_time() -> None:
        while not over.is_set():
            stage.outbox.flush_old()

    others = threading.Thread(target=flush_all_the_time)
    others.start()
    for start in range(0, 50_000, 250):
        stage.feed(*map(record, range(start, start + 250)))
        stage.go()
    over.set()
    others.join()
    stage.end()
    stage.take()

    assert [item["was"] for _, item in stage.got] == [*range(50_000)]


# -- any of it, in any order

KINDS = ("new", "same", "text", "none", "fails", "kept", "keeps", "many", "nested", "pair")


def does(item: dict[str, Any], kept: list[int], held: list[dict[str, Any]]) -> Any:
    for earlier in held:
        earlier["n"] = -1  # whoever reads it gets it as it was
    held.clear()
    match item["do"]:
        case "new":
            return {"n": item["n"]}
        case "same":
            return item
        case "text":
            return str(item["n"])
        case "none":
            return None
        case "fails":
            raise ValueError(item["n"])
        case "kept":
            kept.append(item["n"])
            return kept
        case "keeps":
            held.append(item)
            return item
        case "many":
            return iter([item["n"], item["n"] + 1])
        case "nested":
            return {"item": item, "again": [item["n"]]}
        case _:
            return (item["n"], item["do"])


FRAMES = st.lists(
    st.one_of(
        st.lists(st.sampled_from(KINDS), min_size=1, max_size=6),
        st.sampled_from(("new", "same", "text", "none")).map(lambda kind: [kind] * 40),
        st.sampled_from(("go", "take", "gap", "skip", "apart")),
    ),
    max_size=25,
)


def run_all(frames: list[list[str] | str], *, hops: bool, **settings: Any) -> object:
    """Let a stage do all of this; what can be told of it afterwards."""
    kept: list[int] = []
    held: list[dict[str, Any]] = []
    stage = Stage(Work(call=lambda item: does(item, kept, held)), hops=hops, **settings)
    number = gap = skip = 0
    apart = 1
    try:
        for frame in frames:
            if frame == "go":
                stage.go()
            elif frame == "take":
                stage.take()
            elif frame == "gap":
                gap += 3
            elif frame == "skip":
                skip += 2
            elif frame == "apart":
                apart = 3 - apart
            else:
                items = [{"do": do, "n": number + at} for at, do in enumerate(frame)]
                stage.feed(*items, gap=gap, skip=skip, apart=apart)
                number, gap, skip = number + len(frame), 0, 0
        stage.end()
        stage.take()
        cells = (RECEIVED, PROCESSED, EMPTY, SKIPPED, IN_ROW)
        return (
            stage.got,
            stage.units,
            [stage.row[cell] for cell in cells],
            [(edge[DELIVERED], edge[SENT]) for edge in stage.edges],
            stage.cells[0],
            [(line.counters.in_flight(), line.counters.lost(0)) for line in lines(stage)],
            [str(report) for report in stage.reports],
        )
    finally:
        stage.close()


def lines(stage: Stage) -> tuple[Any, Any]:
    return stage.before, stage.behind


@given(
    frames=FRAMES,
    capacity=st.sampled_from((1, 2, 5, 64, 1000)),
    read=st.booleans(),
    keeps=st.booleans(),
)
def test_both_ways_do_the_same(
    frames: list[list[str] | str], capacity: int, read: bool, keeps: bool
) -> None:
    settings: dict[str, Any] = {"capacity": capacity, "read": read, "keeps": keeps}

    python = run_all(frames, hops=False, **settings)

    assert run_all(frames, hops=True, **settings) == python


# -- sources


def source_of(*items: Any, fails: bool = False) -> Work:
    def give() -> Iterator[Any]:
        yield from items
        if fails:
            raise ValueError("no more")

    return Work(source=give)


def test_what_a_source_gives_leaves_in_order(make: Callable[..., Stage]) -> None:
    stage = make(source_of(*map(record, range(700))), capacity=50)

    stage.end()
    stage.take()

    assert [value["n"] for _, value in stage.got] == [*range(700)]
    assert [item for item, _ in stage.got] == [(OURS, n) for n in range(700)]
    assert (stage.cells[0], stage.edges[1][SENT]) == (700, 700)


def test_a_source_gives_what_is_more_than_plain_too(make: Callable[..., Stage]) -> None:
    kept: list[int] = []

    def give() -> Iterator[Any]:
        for n in range(200):
            if n % 5 == 0:
                kept.append(n)
                yield kept
            yield None
            yield {"n": n}

    stage = make(Work(source=give))
    stage.end()
    stage.take()

    assert [value["n"] for _, value in stage.got if isinstance(value, dict)] == [*range(200)]
    assert [len(value) for _, value in stage.got if isinstance(value, list)] == [*range(1, 41)]
    assert [item for item, _ in stage.got] == [(OURS, n) for n in range(240)]


def test_a_source_that_is_drained_gives_no_more(make: Callable[..., Stage]) -> None:
    stopping = bytearray(1)

    def give() -> Iterator[int]:
        for n in range(1000):
            stopping[0] = n >= 30
            yield n

    stage = make(Work(source=give), stopping=stopping)
    stage.end()
    stage.take()

    assert [value for _, value in stage.got] == [*range(31)]


def test_what_a_source_gave_before_it_failed_has_left(make: Callable[..., Stage]) -> None:
    stage = make(source_of(*range(10), fails=True), then=OnError.STOP)

    with pytest.raises(Exception, match="no more"):
        stage.end()
    stage.outbox.flush()
    stage.take()

    assert [value for _, value in stage.got] == [*range(10)]


def test_a_source_is_not_asked_again_once_it_is_drained(make: Callable[..., Stage]) -> None:
    stopping = bytearray(1)
    given: list[int] = []

    def give() -> Iterator[int]:
        for n in range(1000):
            if n == 30:
                stage.outbox.flush_old()  # so the second thread has to be told of this one
                stopping[0] = 1
            given.append(n)
            yield n

    stage = make(Work(source=give), stopping=stopping)
    stage.end()

    assert given == [*range(31)]


def test_a_source_that_is_drained_while_it_sends_is_not_asked_again(
    make: Callable[..., Stage],
) -> None:
    stopping = bytearray(1)
    given: list[int] = []
    given_then: list[int] = []

    def give() -> Iterator[str]:
        for n in range(1000):
            given.append(n)
            yield "text" * 1000

    def drain(_fd: int) -> None:
        stopping[0] = 1
        given_then.append(len(given))
        stage.take()

    stage = make(Work(source=give), stopping=stopping)
    fcntl.fcntl(stage.behind.ends.write, fcntl.F_SETPIPE_SZ, 4096)
    stage.behind.sender.await_kernel = drain
    stage.end()

    assert len(given) == given_then[0]

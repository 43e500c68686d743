from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pipeflow.errors import ItemNotSerializable
from pipeflow.planner.plan import Join, Numbering
from pipeflow.runtime.flow.joins import Call, Calls, Lone, Origin, UnitEnd, Unjoinable
from pipeflow.runtime.flow.refused import ReadersGone, ResultNotSerializable
from pipeflow.runtime.loops.batches import BatchLoop
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.runtime.messages import Barrier
from pipeflow.spec.policies import Batching, Budget, ErrorPolicy, OnError
from pipeflow.stages.work import Routed, Work
from tests.runtime.loop_fakes import Run, call

SKIP, DEAD_LETTER = OnError.SKIP, OnError.DEAD_LETTER


def row(*payloads: Any) -> Calls:
    return Calls((0,), range(len(payloads)), list(payloads), 0, 0, Origin(0, 0, None))


def batched(function: Callable[..., Any], messages: list[Any], size: int = 3, **more: Any) -> Run:
    batch = Batching(size=size, stack=more.pop("stack", False), wait_s=more.pop("wait_s", None))
    return Run(Work(call=function), messages, batch=batch, **more)


class Seen:
    """A function for batches that notes what it gets."""

    def __init__(self, answer: Callable[[Any], Any] = lambda item: item) -> None:
        self.batches: list[Any] = []
        self._answer = answer

    def __call__(self, items: list[Any]) -> list[Any]:
        self.batches.append(items)
        return [self._answer(item) for item in items]


def test_a_function_gets_lists_and_its_results_bear_the_ids_of_their_items() -> None:
    seen = Seen(lambda item: item * 10)

    run = batched(seen, [row(1, 2, 3, 4, 5, 6, 7)]).go()

    assert seen.batches == [[1, 2, 3], [4, 5, 6], [7]]
    assert run.outbox.sent == [10, 20, 30, 40, 50, 60, 70]
    assert run.outbox.ids == [(0, n) for n in range(7)]
    assert run.inbox.delivered_ids == run.outbox.ids
    assert run.counts() == (7, 7, 0, 0, 0, 0, 0)


def test_a_batch_goes_on_over_rows_and_single_calls() -> None:
    seen = Seen()

    batched(seen, [row(0, 1), call(2, 2), None, row(3, 4)]).go()

    assert seen.batches == [[0, 1, 2], [3, 4]]


def test_none_in_the_list_is_nothing_for_that_item() -> None:
    run = batched(lambda items: [None if item == 2 else item for item in items], [row(1, 2)]).go()

    assert run.outbox.ids == [(0, 0)]
    assert run.counts() == (2, 2, 1, 0, 0, 0, 0)


def test_none_for_a_whole_batch_is_nothing_for_all_of_it() -> None:
    run = batched(lambda _: None, [row(1, 2, 3, 4)]).go()

    assert run.counts() == (4, 4, 4, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "given",
    [tuple, iter, lambda items: (item for item in items), np.asarray],
    ids=["tuple", "iterator", "generator", "array"],
)
def test_a_result_for_each_item_may_come_in_any_kind_of_list(
    given: Callable[[list[int]], Any],
) -> None:
    assert batched(given, [row(1, 2, 3, 4)]).go().outbox.sent == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (lambda items: items[:-1], "ValueError", "got 3 items and returned 2 results"),
        (lambda items: [*items, 0], "ValueError", "got 3 items and returned 4 results"),
        (lambda items: items[0], "TypeError", "for each item, and returned int"),
        (lambda _: "abc", "TypeError", "for each item, and returned str"),
        (lambda items: dict.fromkeys(items), "TypeError", "for each item, and returned dict"),
    ],
)
def test_another_length_or_no_list_is_an_error(given: Any, kind: str, message: str) -> None:
    run = batched(given, [row(1, 2, 3)])

    with pytest.raises(StageStopped) as stopped:
        run.go()

    failure = stopped.value.failure
    assert (failure.kind, failure.item) == (kind, "find:0")
    assert message in failure.message
    assert run.outbox.sent == []
    assert run.counts() == (3, 0, 0, 0, 0, 3, 0)


def test_with_stop_the_failure_of_a_batch_says_which_items_it_had() -> None:
    def refuse(items: list[int]) -> None:
        raise RuntimeError("no")

    run = batched(refuse, [row(1, 2, 3)])

    with pytest.raises(StageStopped) as stopped:
        run.go()

    assert "in a batch of 3 items, find:0 to find:2" in stopped.value.failure.traceback


def refuse_7(items: list[Any]) -> list[Any]:
    if 7 in items:
        raise ValueError("no 7")
    return items


def test_a_batch_that_fails_is_tried_again_item_by_item() -> None:
    seen = Seen()

    def work(items: list[Any]) -> list[Any]:
        return refuse_7(seen(items))

    run = batched(work, [row(1, 7, 3, 4)], on_error=DEAD_LETTER).go()

    assert seen.batches == [[1, 7, 3], [1], [7], [3], [4]]
    assert [port for port, _ in run.outbox.log[:4]] == ["out", "errors", "out", "out"]
    letter = run.outbox.sent[1]
    assert (letter["item"], letter["id"], letter["attempt"]) == (7, "find:1", 1)
    assert run.counts() == (4, 3, 0, 0, 1, 0, 0)


def test_a_batch_of_one_that_fails_is_not_called_twice() -> None:
    seen = Seen()

    run = batched(lambda items: refuse_7(seen(items)), [row(7)], on_error=SKIP).go()

    assert seen.batches == [[7]]
    assert run.counts() == (1, 0, 0, 1, 0, 0, 0)


def test_items_are_tried_again_as_they_came() -> None:
    seen: list[Any] = []

    def spoil(items: list[dict[str, int]]) -> list[Any]:
        for item in items:
            seen.append(dict(item))
            item["n"] += 1
            if item["n"] == 3:
                raise ValueError("3")
        return [item["n"] for item in items]

    run = batched(spoil, [row({"n": 1}, {"n": 2})], on_error=DEAD_LETTER).go()

    assert seen == [{"n": 1}, {"n": 2}, {"n": 1}, {"n": 2}]
    assert run.outbox.sent[0] == 2
    assert run.outbox.sent[1]["item"] == {"n": 2}


def test_with_stop_retries_are_of_the_whole_batch() -> None:
    tries: list[int] = []

    def flaky(items: list[int]) -> list[int]:
        tries.append(len(items))
        if len(tries) < 3:
            raise ConnectionError
        return items

    run = batched(flaky, [row(1, 2, 3)], on_error=ErrorPolicy(retries=2, backoff_s=0.5)).go()

    assert tries == [3, 3, 3]
    assert run.outbox.log[:4] == ["flush", ("back off", 0.5), "flush", ("back off", 1.0)]
    assert run.counts() == (3, 3, 0, 0, 0, 0, 6)


def test_retries_apply_to_each_item_of_a_batch_that_failed() -> None:
    seen = Seen()
    policy = ErrorPolicy(then=SKIP, retries=1, backoff_s=0)

    run = batched(lambda items: refuse_7(seen(items)), [row(1, 7, 3)], on_error=policy).go()

    assert seen.batches == [[1, 7, 3], [1], [7], [7], [3]]
    assert run.outbox.sent == [1, 3]
    assert run.counts() == (3, 2, 0, 1, 0, 0, 1)


class Lock:
    """Cannot be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("no")


@pytest.mark.parametrize("retries", [0, 1])
def test_one_result_that_cannot_be_pickled_costs_the_others_nothing(retries: int) -> None:
    policy = ErrorPolicy(then=SKIP, retries=retries, backoff_s=0)
    run = batched(
        lambda items: [Lock() if item == 2 else item for item in items],
        [row(1, 2, 3)],
        on_error=policy,
    )
    emit = run.outbox.emit

    def pickles(port: str, payload: Any, *place: Any) -> None:
        if isinstance(payload, Lock):
            raise ResultNotSerializable(place[0], ItemNotSerializable(0, "item", "a lock"))
        emit(port, payload, *place)

    run.outbox.emit = pickles  # type: ignore[method-assign,assignment]  # as the real one does
    run.go()

    assert run.outbox.sent == [1, 3]
    assert run.counts() == (3, 2, 0, 1, 0, 0, retries)


def test_a_budget_that_is_spent_in_the_middle_of_a_batch_leaves_nothing_unaccounted() -> None:
    policy = ErrorPolicy(then=SKIP, budget=Budget(0))
    run = batched(refuse_7, [row(1, 7, 3, 7)], size=4, on_error=policy)

    with pytest.raises(StageStopped) as stopped:
        run.go()

    assert stopped.value.failure.kind == "BudgetSpent"
    received, processed, _, skipped, _, failed, _ = run.counts()
    assert (received, processed, skipped, failed) == (4, 1, 1, 2)


def test_results_go_to_other_ports_too() -> None:
    run = batched(
        lambda items: [Routed("odd", item) if item % 2 else item for item in items],
        [row(1, 2, 3)],
        ports=("out", "odd"),
    ).go()

    assert run.outbox.log[:3] == [("odd", 1), ("out", 2), ("odd", 3)]


def test_stacked_items_come_as_one_array_and_leave_one_by_one() -> None:
    shapes: list[tuple[int, ...]] = []

    def double(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        shapes.append(array.shape)
        return array * 2

    items = [np.full(4, number) for number in range(5)]
    run = batched(double, [row(*items)], stack=True).go()

    assert shapes == [(3, 4), (2, 4)]
    assert [each.tolist() for each in run.outbox.sent] == [[2 * n] * 4 for n in range(5)]


def test_arrays_of_other_shapes_are_stacked_one_by_one() -> None:
    items = [np.zeros(2), np.zeros(3)]

    run = batched(lambda array: [array.shape], [row(*items)], stack=True, on_error=SKIP).go()

    assert run.outbox.sent == [(1, 2), (1, 3)]


def test_of_a_join_the_function_gets_a_list_for_each_input() -> None:
    def pair(left: int, right: str, n: int) -> Call:
        return Call((left, right), (0, n), 0, n, (Origin(0, 0, None), Origin(1, 0, None)))

    seen: list[Any] = []

    def both(left: list[int], right: list[str]) -> list[str]:
        seen.append((left, right))
        return [f"{a}{b}" for a, b in zip(left, right, strict=True)]

    messages = [pair(1, "a", 0), Lone("x", (0, 9), 0, 9, Origin(0, 0, None)), pair(2, "b", 1)]
    run = batched(both, messages, size=2, join=Join.ZIP_BY_ID).go()

    assert seen == [([1, 2], ["a", "b"])]
    assert run.outbox.log[:3] == [("out", "1a"), ("unmatched", "x"), ("out", "2b")]
    assert run.counts()[:2] == (4, 4)


def test_ends_of_units_keep_their_places_among_the_items() -> None:
    messages = [
        UnitEnd(0, 0, 1, True),
        call("a", 1),
        UnitEnd(0, 1, 1, False),
        UnitEnd(0, 2, 3, True),
        UnitEnd(0, 5, 1, True),
        call("b", 6),
        UnitEnd(0, 6, 1, False),
    ]

    run = batched(lambda items: items, messages, numbering=Numbering.KEEP).go()

    assert run.outbox.log == [
        UnitEnd(0, 0, 1, True),
        ("out", "a"),
        UnitEnd(0, 1, 1, False),
        UnitEnd(0, 2, 4, True),
        ("out", "b"),
        UnitEnd(0, 6, 1, False),
    ]


def test_a_barrier_comes_behind_all_that_was_gathered_before_it() -> None:
    run = batched(lambda items: items, [call(1, 0), Barrier(4), call(2, 1)]).go()

    assert run.outbox.log == [("out", 1), Barrier(4), ("out", 2)]


def test_what_is_gathered_goes_when_its_first_item_has_waited_long_enough() -> None:
    seen = Seen()
    run = batched(seen, [call(1, 0), None, call(2, 1), None, call(3, 2), None], 9, wait_s=5.0)
    times = iter([100.0, 101.0, 101.0, 104.0, 104.0, 106.0, 107.0])
    loop = run.loop
    assert isinstance(loop, BatchLoop)
    now = [100.0]
    loop.clock = lambda: now[0]
    alarms: list[float | None] = []

    for step in loop.steps():
        if step:
            alarms.append(loop.alarm)
            now[0] += 3.0
    loop.wind_up()

    assert seen.batches == [[1, 2], [3]]
    assert alarms[:2] == [105.0, 105.0]
    del times


def test_a_batch_without_wait_has_no_alarm() -> None:
    run = batched(Seen(), [call(1, 0), None])

    assert [run.loop.alarm for step in run.loop.steps() if step] == [None]


def test_what_waits_for_others_tells_the_inbox_how_many_are_to_come() -> None:
    run = batched(Seen(), [call(1, 0), None, call(2, 1)]).go()

    assert run.inbox.held == [((0, 0), 3)]


def test_a_batch_that_others_wait_for_goes_as_it_is() -> None:
    seen = Seen()
    run = batched(seen, [call(1, 0), None, None, None, call(2, 1)])
    loop = run.loop
    assert isinstance(loop, BatchLoop)
    now = [0.0]
    loop.clock = lambda: now[0]
    loop.starved = lambda: now[0] > 1.0

    for step in loop.steps():
        now[0] += 0.6 if step else 0.0
    loop.wind_up()

    assert seen.batches == [[1], [2]]


def test_readers_that_leave_end_the_stage_and_its_batch_is_done_with() -> None:
    run = batched(lambda items: items, [row(1, 2, 3, 4, 5)], readers_leave_after=1).go()

    assert run.inbox.closed
    assert run.counts() == (3, 3, 0, 0, 0, 0, 0)


def test_readers_that_leave_while_it_gathers_leave_its_items_unread() -> None:
    run = batched(Seen(), [call(1, 0), None])
    steps = run.loop.steps()
    next(steps)

    run.loop.unneeded = True
    steps.close()

    assert run.counts() == (0, 0, 0, 0, 0, 0, 0)
    assert run.inbox.delivered_ids == []


def test_readers_that_leave_during_a_back_off_are_no_failure() -> None:
    def refuse(items: list[int]) -> None:
        raise ConnectionError

    run = batched(refuse, [row(1, 2, 3)], on_error=ErrorPolicy(retries=1))

    def leave(seconds: float) -> None:
        raise ReadersGone

    run.back_off = leave  # type: ignore[method-assign]  # this is what happens
    run.go()

    assert run.counts() == (3, 3, 0, 0, 0, 0, 0)


def test_finish_comes_behind_the_last_batch() -> None:
    def last() -> Iterator[str]:
        yield "end"

    work = Work(call=lambda items: items, finish=last)
    run = Run(work, [row(1, 2)], batch=Batching(size=8)).go()

    assert run.outbox.sent == [1, 2, "end"]


def cannot_join(ordinal: int) -> Unjoinable:
    return Unjoinable(call({"name": "nobody"}, ordinal), KeyError("id"))


def test_what_cannot_be_joined_fails_in_its_place_and_the_lists_are_whole_all_the_same() -> None:
    seen = Seen()
    messages = [cannot_join(0), call(1, 1), cannot_join(2), call(3, 3), call(4, 4), cannot_join(5)]

    run = batched(seen, messages, size=2, on_error=DEAD_LETTER).go()

    assert seen.batches == [[1, 3], [4]]
    assert run.outbox.ids == run.inbox.delivered_ids == [(0, n) for n in range(6)]
    ports = [entry[0] for entry in run.outbox.log if isinstance(entry, tuple)]
    assert [port for port in ports if port in {"out", "errors"}] == [
        *("errors", "out", "errors", "out", "out", "errors")
    ]
    letter = run.outbox.sent[2]
    assert (letter["item"], letter["id"]) == ({"name": "nobody"}, "find:2")
    assert letter["error"]["type"] == "KeyError"
    assert run.counts() == (6, 3, 0, 0, 3, 0, 0)


def test_what_cannot_be_joined_ends_a_run_that_stops() -> None:
    run = batched(Seen(), [call(1, 1), cannot_join(2), call(3, 3)], size=2)

    with pytest.raises(StageStopped) as stopped:
        run.go()

    assert (stopped.value.failure.kind, stopped.value.failure.item) == ("KeyError", "find:2")
    # What has not left by then has failed with it.
    assert run.counts() == (3, 1, 0, 0, 0, 2, 0)

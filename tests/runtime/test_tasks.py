from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pipeflow.planner.plan import Join, Numbering
from pipeflow.runtime.board import hand
from pipeflow.runtime.flow.joins import Call, Calls, Origin, UnitEnd
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.runtime.messages import Barrier
from pipeflow.spec.policies import Batching, ErrorPolicy, OnError
from pipeflow.stages.work import Work
from tests.runtime.loop_fakes import Run, call

SKIP, DEAD_LETTER = OnError.SKIP, OnError.DEAD_LETTER


def row(*payloads: Any) -> Calls:
    return Calls((0,), range(len(payloads)), list(payloads), 0, 0, Origin(0, 0, None))


def awaited(function: Callable[..., Any], messages: list[Any], **more: Any) -> Run:
    return Run(Work(call=function, awaits=True), messages, **more)


class Gates:
    """Awaited items end in the order that a test wants, others never; without one all at once."""

    def __init__(self, order: list[Any]) -> None:
        self._order = order
        self._gates = {item: asyncio.Event() for item in order}
        self._open_first()
        self.begun: list[Any] = []
        self.cancelled: list[Any] = []

    def _open_first(self) -> None:
        if self._order:
            self._gates[self._order[0]].set()

    async def __call__(self, item: Any) -> Any:
        self.begun.append(item)
        if not self._gates:
            return item
        try:
            await self._gates.setdefault(item, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        self._order.remove(item)
        self._open_first()
        return item


def test_many_items_wait_at_once_and_their_results_leave_in_order() -> None:
    gates = Gates(["c", "b", "a"])

    run = awaited(gates, [row("a", "b", "c")]).go()

    assert gates.begun == ["a", "b", "c"]
    assert run.outbox.sent == ["a", "b", "c"]
    assert run.outbox.ids == [(0, 0), (0, 1), (0, 2)]
    assert run.counts() == (3, 3, 0, 0, 0, 0, 0)


def test_unless_order_is_given_up() -> None:
    run = awaited(Gates(["c", "b", "a"]), [row("a", "b", "c")], in_order=False).go()

    assert run.outbox.sent == ["c", "b", "a"]
    assert run.outbox.ids == [(0, 2), (0, 1), (0, 0)]


def test_never_more_are_in_flight_than_the_stage_says() -> None:
    most = now = 0

    async def work(item: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(item % 3 / 1000)
        now -= 1
        return item

    run = awaited(work, [row(*range(40))], concurrency=7).go()

    assert most == 7
    assert run.outbox.sent == list(range(40))


def test_an_item_that_takes_long_holds_up_no_more_than_as_many_as_may_be_in_flight() -> None:
    gates = Gates(["b", "c", "d", "a", "e", "f"])

    awaited(gates, [row(*"abcdef")], concurrency=2).go()

    assert gates.begun[:4] == ["a", "b", "c", "d"]


def test_none_is_nothing_and_an_async_generator_gives_many() -> None:
    async def letters(word: str) -> AsyncIterator[str | None]:
        for letter in word:
            await asyncio.sleep(0)
            yield None if letter == "-" else letter

    run = awaited(letters, [row("a-b", "", "c")]).go()

    assert run.outbox.sent == ["a", "b", "c"]
    assert run.outbox.ids == [(0, 0, 0), (0, 0, 1), (0, 2, 0)]
    assert run.counts() == (3, 3, 1, 0, 0, 0, 0)


def test_a_generator_whose_turn_has_not_come_waits_with_some_results() -> None:
    given: dict[str, int] = {"slow": 0, "fast": 0}
    at_end_of_slow: list[int] = []

    async def count(name: str) -> AsyncIterator[int]:
        for number in range(300):
            given[name] += 1
            yield number
        if name == "slow":
            for _ in range(50):
                await asyncio.sleep(0)
            at_end_of_slow.append(given["fast"])

    run = awaited(count, [row("slow", "fast")]).go()

    assert run.outbox.sent == [*range(300)] * 2
    assert at_end_of_slow[0] < 100


def test_a_plain_iterator_that_an_async_function_returns_gives_many() -> None:
    async def twice(item: int) -> Iterator[int]:
        return iter([item, item])

    assert awaited(twice, [row(1, 2)]).go().outbox.ids == [
        (0, 0, 0),
        (0, 0, 1),
        (0, 1, 0),
        (0, 1, 1),
    ]


def test_a_result_leaves_as_it_was_when_it_was_given() -> None:
    record = {"n": 0}

    async def same_record(item: int) -> dict[str, int]:
        record["n"] = item
        return record

    assert awaited(same_record, [row(1, 2, 3)]).go().outbox.sent == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_fresh_array_is_passed_on_and_one_that_is_kept_is_copied() -> None:
    made: list[int] = []
    kept = np.zeros(4)

    async def array(item: int) -> np.ndarray[Any, Any]:
        if item == 1:
            kept[:] = 7
            return kept
        if item == 2:
            return kept[1:]
        fresh = np.full(4, item)
        made.append(id(fresh))
        return fresh

    run = awaited(array, [row(0, 1, 2)]).go()
    kept[:] = 0

    assert [id(each) for each in run.outbox.sent[:1]] == made
    assert [each.tolist() for each in run.outbox.sent[1:]] == [[7] * 4, [7] * 3]


async def refuse_odd(item: int) -> int:
    await asyncio.sleep(0)
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item


def test_items_that_fail_go_by_the_policy_in_their_places() -> None:
    run = awaited(refuse_odd, [row(0, 1, 2, 3)], on_error=DEAD_LETTER).go()

    assert [port for port, _ in run.outbox.log[:4]] == ["out", "errors", "out", "errors"]
    letter = run.outbox.sent[1]
    assert (letter["item"], letter["id"], letter["error"]["message"]) == (1, "find:1", "1 is odd")
    assert run.counts() == (4, 2, 0, 0, 2, 0, 0)


def test_the_first_failure_stops_the_stage_though_others_before_it_are_still_awaited() -> None:
    cancelled: list[int] = []

    async def work(item: int) -> int:
        if item == 2:
            raise KeyError(item)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(item)
        return item

    run = awaited(work, [row(0, 1, 2, 3)])

    with pytest.raises(StageStopped) as stopped:
        run.go()

    failure = stopped.value.failure
    assert (failure.kind, failure.item) == ("KeyError", "find:2")
    assert "in work" in failure.traceback
    assert "loops/tasks.py" not in failure.traceback
    assert sorted(cancelled) == [0, 1, 3]
    assert run.counts() == (4, 0, 0, 0, 0, 4, 0)


def test_sys_exit_fails_the_item_and_not_the_process() -> None:
    async def leave(item: int) -> None:
        raise SystemExit(0)

    assert awaited(leave, [row(1)], on_error=SKIP).go().counts() == (1, 0, 0, 1, 0, 0, 0)


def test_a_cancellation_by_the_users_code_is_a_failure_of_the_item() -> None:
    async def give_up(item: int) -> None:
        raise asyncio.CancelledError

    assert awaited(give_up, [row(1, 2)], on_error=SKIP).go().counts() == (2, 0, 0, 2, 0, 0, 0)


def test_retries_are_awaited_while_others_go_on() -> None:
    tries: dict[int, int] = {}

    async def flaky(item: int) -> int:
        tries[item] = tries.get(item, 0) + 1
        if item == 1 and tries[item] < 3:
            raise ConnectionError
        return item

    policy = ErrorPolicy(then=SKIP, retries=2, backoff_s=0.001)
    run = awaited(flaky, [row(0, 1, 2)], on_error=policy).go()

    assert run.outbox.sent == [0, 1, 2]
    assert run.counts() == (3, 3, 0, 0, 0, 0, 2)
    assert not [each for each in run.outbox.log if type(each) is tuple and each[0] == "back off"]


def test_results_of_a_try_that_failed_were_never_there() -> None:
    tries: list[int] = []

    async def three(item: int) -> AsyncIterator[int]:
        tries.append(item)
        for number in range(3):
            if number == 2 and len(tries) == 1:
                raise ConnectionError
            yield number

    run = awaited(three, [row(5)], on_error=ErrorPolicy(retries=1, backoff_s=0)).go()

    assert run.outbox.sent == [0, 1, 2]


def test_results_that_left_before_a_failure_stay_and_are_counted() -> None:
    async def two_then_fail(item: int) -> AsyncIterator[int]:
        yield item
        yield item
        raise RuntimeError("third")

    run = awaited(two_then_fail, [row(1)], on_error=DEAD_LETTER).go()

    assert run.outbox.sent[:2] == [1, 1]
    assert run.outbox.sent[2]["emitted"] == 2


def test_a_drain_ends_the_waits_before_further_tries() -> None:
    tried: list[int] = []

    async def refuse(item: int) -> None:
        tried.append(item)
        raise ConnectionError

    policy = ErrorPolicy(then=SKIP, retries=1, backoff_s=3600)
    stopping = iter([False, *[True] * 100])
    run = awaited(refuse, [row(1)], on_error=policy, stopping=stopping).go()

    assert tried == [1, 1]
    assert run.counts() == (1, 0, 0, 1, 0, 0, 1)


def test_an_item_that_takes_too_long_is_cancelled_and_has_failed() -> None:
    ended: list[int] = []

    async def slow(item: int) -> int:
        try:
            await asyncio.sleep(3600 if item == 1 else 0)
        finally:
            ended.append(item)
        return item

    run = awaited(slow, [row(0, 1, 2)], on_error=DEAD_LETTER, timeout_s=0.05).go()

    error = run.outbox.sent[1]["error"]
    assert error["type"] == "TimeoutError"
    assert error["message"] == (
        "it took longer than its timeout of 0.05 s, so stage 'stage' ended it"
    )
    assert sorted(ended) == [0, 1, 2]
    assert run.counts() == (3, 2, 0, 0, 1, 0, 0)


def test_a_timeout_of_the_users_own_is_told_as_it_is() -> None:
    async def refuse(item: int) -> None:
        raise TimeoutError("the server")

    run = awaited(refuse, [row(0)], on_error=DEAD_LETTER, timeout_s=60).go()

    assert run.outbox.sent[0]["error"]["message"] == "the server"


def test_each_try_has_the_whole_timeout() -> None:
    tries: list[int] = []

    async def slow(item: int) -> int:
        tries.append(item)
        await asyncio.sleep(3600 if len(tries) == 1 else 0)
        return item

    policy = ErrorPolicy(retries=1, backoff_s=0)
    run = awaited(slow, [row(4)], on_error=policy, timeout_s=0.05).go()

    assert run.outbox.sent == [4]


def test_readers_that_leave_cancel_what_is_in_flight_and_nothing_has_failed() -> None:
    gates = Gates(["a", "never"])

    run = awaited(gates, [row("a", "b", "c")], readers_leave_after=0).go()

    assert sorted(gates.cancelled) == ["b", "c"]
    assert run.inbox.closed
    assert run.counts() == (3, 3, 0, 0, 0, 0, 0)


def test_readers_that_leave_while_tasks_are_awaited_end_them_too() -> None:
    gates = Gates(["never"])
    run = awaited(gates, [row("a", "b")])

    def leave() -> None:
        assert run.events is not None
        run.events.turn()
        raise ReadersGone

    run.for_tasks = leave  # type: ignore[method-assign]  # this is what happens
    run.go()

    assert sorted(gates.cancelled) == ["a", "b"]
    assert run.counts() == (2, 2, 0, 0, 0, 0, 0)


def test_lists_are_awaited_many_at_once_too() -> None:
    seen: list[list[int]] = []

    async def work(items: list[int]) -> list[int]:
        seen.append(items)
        await asyncio.sleep(0.001 * (3 - len(seen)))
        if 3 in items:
            raise ValueError("no 3")
        return [item * 10 for item in items]

    more: dict[str, Any] = {"batch": Batching(size=2), "concurrency": 3, "on_error": SKIP}
    run = awaited(work, [row(*range(6))], **more).go()

    assert seen == [[0, 1], [2, 3], [4, 5], [2], [3]]
    assert run.outbox.sent == [0, 10, 20, 40, 50]
    assert run.counts() == (6, 5, 0, 1, 0, 0, 0)


def test_a_list_that_an_async_generator_yields_is_counted_as_well() -> None:
    async def work(items: list[int]) -> AsyncIterator[int]:
        for item in items:
            yield item + 1

    assert awaited(work, [row(1, 2, 3)], batch=Batching(size=2)).go().outbox.sent == [2, 3, 4]


def test_joined_inputs_come_as_arguments() -> None:
    async def add(left: int, right: int) -> int:
        return left + right

    pair = Call((1, 2), (0, 5), 0, 5, (Origin(0, 0, None), Origin(1, 0, None)))
    run = awaited(add, [pair], join=Join.ZIP_BY_ID).go()

    assert run.outbox.sent == [3]
    assert run.counts()[:2] == (2, 2)


def units(*names: str) -> list[Any]:
    return [
        message
        for number, name in enumerate(names)
        for message in (call(name, number), UnitEnd(0, number, 1, False))
    ]


def test_units_end_behind_their_items_in_order() -> None:
    run = awaited(Gates(["b", "a"]), units("a", "b"), numbering=Numbering.KEEP).go()

    ends = [UnitEnd(0, 0, 1, False), UnitEnd(0, 1, 1, False)]
    assert run.outbox.log == [("out", "a"), ends[0], ("out", "b"), ends[1]]


def test_units_end_behind_their_items_as_they_come() -> None:
    messages = [*units("a", "b"), UnitEnd(0, 2, 5, True)]
    settings: dict[str, Any] = {"numbering": Numbering.KEEP, "in_order": False}

    run = awaited(Gates(["b", "a"]), messages, **settings).go()

    first, second = UnitEnd(0, 0, 1, False), UnitEnd(0, 1, 1, False)
    assert run.outbox.log == [UnitEnd(0, 2, 5, True), ("out", "b"), second, ("out", "a"), first]


def test_a_unit_of_several_items_ends_with_the_last_of_them() -> None:
    messages = [call("a", 0, unit=7), call("b", 1, unit=7), UnitEnd(0, 7, 1, False)]
    settings: dict[str, Any] = {"numbering": Numbering.KEEP, "in_order": False}

    run = awaited(Gates(["b", "a"]), messages, **settings).go()

    assert run.outbox.log == [("out", "b"), ("out", "a"), UnitEnd(0, 7, 1, False)]


def test_a_barrier_waits_for_all_that_came_before_it() -> None:
    run = awaited(Gates(["a", "b"]), [call("a", 0), Barrier(1), call("b", 1)]).go()

    assert run.outbox.log == [("out", "a"), Barrier(1), ("out", "b")]


def test_the_board_names_the_oldest_item_in_flight() -> None:
    seen: list[tuple[int, ...]] = []
    run: Run

    async def work(item: int) -> int:
        for _ in range(3 - item):
            await asyncio.sleep(0)
        seen.append(hand(run.row))
        return item

    run = awaited(work, [row(0, 1, 2)])
    run.go()

    assert set(seen) == {(0, 0)}
    assert hand(run.row) == ()


def test_close_and_finish_may_be_async() -> None:
    log: list[str] = []

    async def finish() -> list[str]:
        await asyncio.sleep(0)
        return ["last"]

    async def close() -> None:
        await asyncio.sleep(0)
        log.append("closed")

    async def same(item: str) -> str:
        return item

    run = Run(Work(call=same, finish=finish, close=close, awaits=True), [row("a")])
    run.go()

    assert run.outbox.sent == ["a", "last"]
    assert log == ["closed"]


def test_a_close_that_is_async_and_fails_ends_the_run() -> None:
    async def close() -> None:
        raise OSError("no")

    def same(item: str) -> str:
        return item

    with pytest.raises(StageStopped) as stopped:
        Run(Work(call=same, close=close), [row("a")]).go()

    assert (stopped.value.failure.phase, stopped.value.failure.message) == ("close", "no")


def test_what_the_users_code_left_running_is_cancelled_at_the_end() -> None:
    ended: list[str] = []
    kept: list[asyncio.Task[None]] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async def work(item: int) -> int:
        kept.append(asyncio.create_task(forever()))
        await asyncio.sleep(0)
        return item

    run = awaited(work, [row(1)]).go()

    assert ended == ["ended"]
    assert run.events is not None
    assert run.events.loop.is_closed()


def test_it_runs_below_a_loop_that_runs_already_as_in_a_notebook() -> None:
    async def cell() -> list[Any]:
        await asyncio.sleep(0)
        return awaited(Gates([]), [row("a", "b")]).go().outbox.sent

    assert asyncio.run(cell()) == ["a", "b"]


# ----------------------------------------------------------------------------- sources


async def feed() -> AsyncIterator[int]:
    for number in range(3):
        await asyncio.sleep(0)
        yield number


async def listed() -> list[int]:
    return [0, 1, 2]


@pytest.mark.parametrize("start", [feed, listed])
def test_an_async_source_gives_its_items(start: Callable[[], Any]) -> None:
    run = Run(Work(source=start)).go()

    assert run.outbox.sent == [0, 1, 2]
    assert run.outbox.ids == [(4, 0), (4, 1), (4, 2)]


def test_a_source_that_nobody_reads_any_more_is_closed_where_it_is() -> None:
    log: list[str] = []

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    run = Run(Work(source=endless), readers_leave_after=2).go()

    assert run.outbox.sent == [1, 1]
    assert log == ["closed"]


def test_a_source_that_fails_ends_the_run() -> None:
    async def fails() -> AsyncIterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(StageStopped) as stopped:
        Run(Work(source=fails)).go()

    assert (stopped.value.failure.item, stopped.value.failure.message) == ("stage:1", "gone")


def test_all_of_it_is_in_one_thread() -> None:
    threads: set[int] = set()

    async def work(item: int) -> int:
        threads.add(threading.get_ident())
        await asyncio.sleep(0)
        return item

    awaited(work, [row(1, 2, 3)]).go()

    assert threads == {threading.get_ident()}

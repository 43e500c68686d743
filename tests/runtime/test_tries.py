from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pipeflow.planner.plan import Join
from pipeflow.runtime.board import (
    DEAD_LETTERED,
    EMPTY,
    FAILED,
    PROCESSED,
    RECEIVED,
    RETRIED,
    SKIPPED,
)
from pipeflow.runtime.flow.joins import Call, Calls, Origin
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.spec.policies import Budget, ErrorPolicy, OnError
from pipeflow.stages.work import BadRecord, OutputClosed, Routed, Work
from tests.runtime.loop_fakes import Run, call

SKIP, DEAD_LETTER = OnError.SKIP, OnError.DEAD_LETTER


def policy(then: OnError = OnError.STOP, retries: int = 2, **more: Any) -> ErrorPolicy:
    return ErrorPolicy(then=then, retries=retries, backoff_s=0.5, **more)


def failing(times: int, answer: Callable[[Any], Any] = lambda item: item) -> Callable[[Any], Any]:
    """A function that fails so many times for each item before it answers."""
    tried: dict[Any, int] = {}

    def work(item: Any) -> Any:
        tried[item] = tried.get(item, 0) + 1
        if tried[item] <= times:
            raise ConnectionError(f"try {tried[item]} of {item}")
        return answer(item)

    return work


def test_an_item_that_fails_is_tried_again_after_a_wait_that_grows() -> None:
    run = Run(Work(call=failing(2)), [call(4, 0), call(5, 1)], on_error=policy()).go()

    waits = ["flush", ("back off", 0.5), "flush", ("back off", 1.0)]
    assert run.outbox.log == [*waits, ("out", 4), *waits, ("out", 5)]
    assert run.outbox.ids == [(0, 0), (0, 1)]
    assert (run.row[RECEIVED], run.row[PROCESSED], run.row[RETRIED]) == (2, 2, 4)
    assert run.inbox.delivered_ids == [(0, 0), (0, 1)]


def test_it_owes_its_writers_nothing_while_it_waits() -> None:
    run = Run(Work(call=failing(2)), [call(4, 0)], on_error=policy()).go()

    assert run.inbox.settled == 2


def test_without_a_backoff_the_next_try_follows_at_once() -> None:
    run = Run(Work(call=failing(1)), [call(4, 0)], on_error=ErrorPolicy(retries=1, backoff_s=0))

    assert run.go().outbox.log == ["flush", ("out", 4)]


def test_after_the_last_try_the_policy_holds() -> None:
    run = Run(Work(call=failing(3)), [call(4, 0), call(5, 1)], on_error=policy(SKIP)).go()

    assert run.outbox.sent == []
    assert (run.row[RECEIVED], run.row[SKIPPED], run.row[RETRIED]) == (2, 2, 4)


def test_a_dead_letter_bears_the_number_of_the_last_try() -> None:
    run = Run(Work(call=failing(3)), [call(4, 0)], on_error=policy(DEAD_LETTER)).go()

    (letter,) = run.outbox.sent
    assert (letter["attempt"], letter["emitted"], letter["item"]) == (3, 0, 4)
    assert letter["error"]["message"] == "try 3 of 4"
    assert run.row[DEAD_LETTERED] == 1


def test_the_run_that_ends_says_which_try_it_was() -> None:
    run = Run(Work(call=failing(3)), [call(4, 0)], on_error=policy())

    with pytest.raises(StageStopped) as stopped:
        run.go()

    failure = stopped.value.failure
    assert (failure.item, failure.attempt, failure.message) == ("find:0", 3, "try 3 of 4")
    assert (run.row[FAILED], run.row[RETRIED]) == (1, 2)


def test_many_results_leave_together_or_not_at_all() -> None:
    tries: list[int] = []

    def letters(word: str) -> Iterator[Any]:
        tries.append(1)
        yield word[0]
        yield None
        yield Routed("masks", word[1])
        if len(tries) == 1:
            raise ConnectionError("in the middle")
        yield word[2]

    run = Run(Work(call=letters), [call("abc", 7)], on_error=policy(), ports=("out", "masks")).go()

    assert run.outbox.log[2:] == [("out", "a"), ("masks", "b"), ("out", "c")]
    assert run.outbox.ids == [(0, 7, 0), (0, 7, 1), (0, 7, 2)]
    assert (run.row[PROCESSED], run.row[EMPTY], run.row[RETRIED]) == (1, 0, 1)


def test_a_generator_that_fails_is_closed_before_the_next_try() -> None:
    log: list[str] = []

    class Results:
        def __iter__(self) -> Results:
            return self

        def __next__(self) -> int:
            log.append("next")
            raise ConnectionError

        def close(self) -> None:
            log.append("close")

    Run(Work(call=lambda _: Results()), [call(1, 0)], on_error=policy(SKIP, 1)).go()

    assert log == ["next", "close"] * 2


def test_what_a_generator_uses_again_is_held_as_it_was() -> None:
    def counts(item: int) -> Iterator[Any]:
        record, buffer = {"n": 0}, np.zeros(3)
        for number in range(item):
            record["n"] = number
            buffer[:] = number
            yield record
            yield buffer

    run = Run(Work(call=counts), [call(2, 0)], on_error=policy()).go()

    assert [each for each in run.outbox.sent if type(each) is dict] == [{"n": 0}, {"n": 1}]
    assert [float(each.sum()) for each in run.outbox.sent[1::2]] == [0.0, 3.0]


def test_each_try_gets_the_item_as_it_came() -> None:
    seen: list[Any] = []

    def spoil(item: dict[str, Any]) -> None:
        seen.append((dict(item), float(item["a"][0]), item["a"].flags.writeable))
        item["mark"] = True
        item["a"][0] = 5
        raise ConnectionError

    item = {"n": 1, "a": np.zeros(2)}
    run = Run(Work(call=spoil), [call(item, 0)], on_error=policy(SKIP)).go()

    assert [(sorted(each), first, writable) for each, first, writable in seen] == [
        (["a", "n"], 0.0, True)
    ] * 3
    assert run.row[SKIPPED] == 1


def test_a_dead_letter_holds_the_item_as_it_came() -> None:
    def spoil(item: dict[str, int]) -> None:
        item.clear()
        raise ConnectionError

    run = Run(Work(call=spoil), [call({"n": 1}, 0)], on_error=policy(DEAD_LETTER)).go()

    assert run.outbox.sent[0]["item"] == {"n": 1}


class Odd:
    """Can be pickled but never loaded, or not even pickled."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __reduce__(self) -> Any:
        if self.how == "pickled":
            raise TypeError("no")
        return (int, ("no number",))


@pytest.mark.parametrize("how", ["pickled", "loaded"])
def test_tries_share_an_item_that_cannot_be_copied(how: str) -> None:
    odd = Odd(how)
    seen: list[Any] = []

    def look(item: Any) -> None:
        seen.append(item)
        raise ConnectionError

    run = Run(Work(call=look), [call(odd, 0)], on_error=policy(SKIP)).go()

    assert seen == [odd] * 3
    assert run.row[SKIPPED] == 1


def test_one_of_many_results_that_cannot_be_loaded_is_its_readers_failure() -> None:
    odd = Odd("loaded")

    run = Run(Work(call=lambda _: iter([odd])), [call(1, 0)], on_error=policy(SKIP)).go()

    assert run.outbox.sent == [odd]


def test_an_array_that_nobody_can_write_is_not_copied_for_the_next_try() -> None:
    array = np.arange(4)
    array.flags.writeable = False
    seen: list[Any] = []

    def look(item: np.ndarray[Any, Any]) -> None:
        seen.append((item.ctypes.data, item.flags.writeable))
        raise ConnectionError

    Run(Work(call=look), [call(array, 0)], on_error=policy(SKIP)).go()

    assert seen == [(array.ctypes.data, False)] * 3


def test_one_of_many_results_that_cannot_be_pickled_fails_the_try() -> None:
    def locks(item: int) -> Iterator[Any]:
        yield item
        yield {"lock": threading.Lock()}

    run = Run(Work(call=locks), [call(1, 3)], on_error=policy())

    with pytest.raises(StageStopped) as stopped:
        run.go()

    failure = stopped.value.failure
    assert (failure.phase, failure.item, run.outbox.sent) == ("pickling", "find:3.1", [])
    assert "item['lock']" in failure.message
    assert run.row[RETRIED] == 2


def test_a_port_that_is_not_there_lets_nothing_leave() -> None:
    def routed(item: int) -> Iterator[Any]:
        yield item
        yield Routed("mask", item)

    run = Run(Work(call=routed), [call(1, 0)], on_error=policy(SKIP), ports=("out", "masks")).go()

    assert run.outbox.sent == []
    assert run.row[SKIPPED] == 1


def test_what_has_left_is_not_tried_again() -> None:
    run = Run(
        Work(call=lambda item: iter([item, item])), [call(1, 0)], on_error=policy(DEAD_LETTER)
    )
    emit = run.outbox.emit

    def fail_second(port: str, payload: Any, *place: Any) -> None:
        if port == "out" and run.outbox.sent:
            raise KeyError("the partition key of a reader")
        emit(port, payload, *place)

    run.outbox.emit = fail_second  # type: ignore[method-assign,assignment]  # this fails
    run.go()

    assert run.outbox.sent[0] == 1
    assert (run.outbox.sent[1]["attempt"], run.outbox.sent[1]["emitted"]) == (1, 1)
    assert run.row[RETRIED] == 0


def test_an_early_end_is_no_failure_and_not_tried_again() -> None:
    def show(item: int) -> None:
        raise OutputClosed

    run = Run(Work(call=show), [call(1, 0), call(2, 1)], on_error=policy()).go()

    assert (run.row[RECEIVED], run.row[PROCESSED], run.row[RETRIED]) == (1, 1, 0)


def test_readers_that_leave_during_a_wait_end_the_stage_without_a_failure() -> None:
    run = Run(Work(call=failing(9)), [call(1, 0), call(2, 1)], on_error=policy())

    def leave(seconds: float) -> None:
        raise ReadersGone

    run.back_off = leave  # type: ignore[method-assign]  # this is what happens
    run.go()

    assert (run.row[RECEIVED], run.row[PROCESSED], run.row[RETRIED]) == (1, 1, 0)
    assert run.inbox.closed


def test_a_row_of_calls_goes_item_by_item() -> None:
    calls = Calls((0,), range(3), ["a", "b", "c"], 0, 0, Origin(0, 0, None))

    run = Run(Work(call=failing(1)), [calls], on_error=policy()).go()

    assert run.outbox.sent == ["a", "b", "c"]
    assert run.outbox.ids == [(0, 0), (0, 1), (0, 2)]
    assert run.row[RETRIED] == 3


def test_joined_inputs_are_tried_again_together() -> None:
    pair = Call((1, 2), (0, 5), 0, 5, (Origin(0, 0, None), Origin(1, 0, None)))
    tries: list[tuple[int, int]] = []

    def add(a: int, b: int) -> int:
        tries.append((a, b))
        if len(tries) == 1:
            raise ConnectionError
        return a + b

    run = Run(Work(call=add), [pair], join=Join.ZIP_BY_ID, on_error=policy()).go()

    assert (run.outbox.sent, tries) == ([3], [(1, 2), (1, 2)])
    assert (run.row[RECEIVED], run.row[PROCESSED], run.row[RETRIED]) == (2, 2, 2)


def test_none_after_a_retry_is_processed_and_empty() -> None:
    run = Run(Work(call=failing(1, lambda _: None)), [call(1, 0)], on_error=policy()).go()

    assert (run.row[PROCESSED], run.row[EMPTY], run.outbox.sent) == (1, 1, [])


# ------------------------------------------------------------------------------ budget


def odd_fails(item: int) -> int:
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item


def budget_error(run: Run) -> Any:
    with pytest.raises(StageStopped) as stopped:
        run.go()
    return stopped.value.failure


def test_one_item_more_than_the_budget_ends_the_run_and_is_itself_accounted_for() -> None:
    items = [call(number, number) for number in range(10)]
    run = Run(Work(call=odd_fails), items, on_error=policy(SKIP, 0, budget=Budget(2)))

    failure = budget_error(run)

    assert (failure.phase, failure.kind, failure.item) == ("budget", "BudgetSpent", "find:5")
    assert failure.message == "stage 'stage' gave up 3 of 6 items, its budget is 2"
    assert "5 is odd" in failure.traceback
    assert (run.row[RECEIVED], run.row[PROCESSED], run.row[SKIPPED], run.row[FAILED]) == (
        6,
        3,
        3,
        0,
    )


def test_a_budget_counts_items_and_not_tries() -> None:
    items = [call(number, number) for number in range(5)]
    run = Run(Work(call=odd_fails), items, on_error=policy(SKIP, 3, budget=Budget(2))).go()

    assert (run.row[SKIPPED], run.row[RETRIED]) == (2, 6)


def test_a_percentage_of_few_items_is_judged_before_anything_is_finished() -> None:
    finished: list[str] = []
    run = Run(
        Work(call=odd_fails, finish=lambda: finished.append("finished")),
        [call(number, number) for number in range(4)],
        on_error=policy(SKIP, 0, budget=Budget(49.5, percent=True)),
    )

    failure = budget_error(run)

    assert failure.message == "stage 'stage' gave up 2 of 4 items, its budget is 49.5%"
    assert finished == []


def test_a_percentage_is_judged_at_the_hundredth_item_though_that_one_is_well() -> None:
    items = [call(number if number < 4 else 0, number) for number in range(300)]
    run = Run(Work(call=odd_fails), items, on_error=policy(SKIP, 0, budget=Budget(1, percent=True)))

    failure = budget_error(run)

    assert failure.message == "stage 'stage' gave up 2 of 100 items, its budget is 1%"
    assert run.row[RECEIVED] == 100


@pytest.mark.parametrize("retries", [0, 1])
def test_in_a_row_of_calls_a_percentage_is_judged_at_the_hundredth_item_too(retries: int) -> None:
    payloads = [number if number < 4 else 0 for number in range(300)]
    calls = Calls((0,), range(300), payloads, 0, 0, Origin(0, 0, None))
    budget = Budget(1, percent=True)
    run = Run(Work(call=odd_fails), [calls], on_error=policy(SKIP, retries, budget=budget))

    failure = budget_error(run)

    assert failure.message == "stage 'stage' gave up 2 of 100 items, its budget is 1%"
    assert run.row[RECEIVED] == 100


def test_a_percentage_is_not_judged_where_a_drain_has_cut_the_input_short() -> None:
    run = Run(
        Work(call=odd_fails),
        [call(1, 0)],
        on_error=policy(SKIP, 0, budget=Budget(1, percent=True)),
        stopping=iter([True]),
    ).go()

    assert run.row[SKIPPED] == 1


def test_bad_records_of_a_source_are_a_part_of_all_its_records() -> None:
    records = [BadRecord("{", ValueError("no JSON")) if n in {5, 9} else n for n in range(200)]
    budget = Budget(1, percent=True)

    run = Run(Work(source=lambda: records), on_error=policy(SKIP, 0, budget=budget))
    failure = budget_error(run)

    assert failure.message == "stage 'stage' gave up 2 of 100 items, its budget is 1%"


def test_a_source_may_give_up_what_its_budget_allows() -> None:
    records = [BadRecord("{", ValueError("no JSON")) if n == 150 else n for n in range(200)]
    budget = Budget(1, percent=True)

    run = Run(Work(source=lambda: records), on_error=policy(SKIP, 0, budget=budget)).go()

    assert (len(run.outbox.sent), run.row[SKIPPED]) == (199, 1)


def test_a_source_that_gives_up_too_many_records_ends_the_run() -> None:
    records = [BadRecord("{", ValueError("no JSON"))] * 3

    failure = budget_error(
        Run(Work(source=lambda: records), on_error=policy(SKIP, 0, budget=Budget(2)))
    )

    assert failure.message == "stage 'stage' gave up 3 of 3 items, its budget is 2"

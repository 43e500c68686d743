from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeflow.errors import ItemNotSerializable
from pipeflow.planner.plan import Join, Numbering
from pipeflow.runtime.board import DEAD_LETTERED, EMPTY, FAILED, PROCESSED, RECEIVED, SKIPPED, hand
from pipeflow.runtime.flow.joins import Call, Origin, UnitEnd
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.runtime.messages import Barrier, EndOfInput, ItemGivenUp, ItemId
from pipeflow.spec.policies import OnError
from pipeflow.stages.work import BadRecord, DrainInterrupt, OutputClosed, Routed, Work
from pipeflow.telemetry.masking import masker
from tests.runtime.loop_fakes import Run, call


def halve(number: int) -> int:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number // 2


def test_each_item_gives_one_result_with_its_id() -> None:
    run = Run(Work(call=halve), [call(4, 0), call(6, 1)]).go()

    assert run.outbox.sent == [2, 3]
    assert run.outbox.ids == [(0, 0), (0, 1)]
    assert (run.row[RECEIVED], run.row[PROCESSED], run.row[EMPTY]) == (2, 2, 0)


def test_none_is_processed_and_counted_as_empty() -> None:
    run = Run(Work(call=lambda item: item if item > 1 else None), [call(1, 0), call(2, 1)]).go()

    assert run.outbox.sent == [2]
    assert (run.row[PROCESSED], run.row[EMPTY]) == (2, 1)


def test_one_to_many_appends_to_the_id() -> None:
    def letters(word: str) -> Iterator[str | None]:
        yield from (letter if letter != "-" else None for letter in word)

    run = Run(Work(call=letters), [call("a-b", 7)]).go()

    assert run.outbox.ids == [(0, 7, 0), (0, 7, 1)]
    assert run.row[PROCESSED] == 1


def test_a_failing_item_stops_the_stage_and_is_named() -> None:
    run = Run(Work(call=halve), [call(4, 0), call(7, 17)])

    with pytest.raises(StageStopped) as stopped:
        run.go()

    failure = stopped.value.failure
    assert (failure.kind, failure.message, failure.item, failure.view) == (
        "ValueError",
        "7 is odd",
        "find:17",
        "7",
    )
    assert "in halve" in failure.traceback
    assert "calls.py" not in failure.traceback
    assert (run.row[PROCESSED], run.row[FAILED]) == (1, 1)
    assert hand(run.row) == (0, 17)


def test_a_failing_item_is_skipped_and_the_rest_goes_on() -> None:
    run = Run(
        Work(call=halve), [call(4, 0), call(7, 1), Barrier(1), call(6, 2)], on_error=OnError.SKIP
    ).go()

    assert run.outbox.log[:3] == [("out", 2), Barrier(1), ("out", 3)]
    assert (run.row[PROCESSED], run.row[SKIPPED], run.row[RECEIVED]) == (2, 1, 3)
    assert [type(report) for report in run.reports] == [ItemGivenUp]


def test_a_dead_letter_says_what_and_why() -> None:
    run = Run(Work(call=halve), [call(7, 1)], on_error=OnError.DEAD_LETTER).go()

    (port, letter), *_ = run.outbox.log
    assert port == "errors"
    assert letter["item"] == 7
    assert (letter["id"], letter["stage"], letter["time"]) == ("find:1", "stage", 1000.0)
    assert letter["error"]["type"] == "ValueError"
    assert run.row[DEAD_LETTERED] == 1


def test_results_that_left_before_a_failure_stay_and_are_counted_in_its_letter() -> None:
    def two_then_fail(item: int) -> Iterator[int]:
        yield item
        yield item
        raise RuntimeError("third")

    run = Run(Work(call=two_then_fail), [call(1, 0)], on_error=OnError.DEAD_LETTER).go()

    assert run.outbox.sent[:2] == [1, 1]
    assert run.outbox.sent[2]["emitted"] == 2


def test_sys_exit_in_the_function_fails_the_item_and_not_the_process() -> None:
    def leave(item: int) -> None:
        raise SystemExit(0)

    with pytest.raises(StageStopped) as stopped:
        Run(Work(call=leave), [call(1, 0)]).go()

    assert stopped.value.failure.kind == "SystemExit"


def test_a_result_that_cannot_be_pickled_falls_under_the_policy() -> None:
    run = Run(Work(call=lambda item: item), [call(1, 0), call(2, 1)], on_error=OnError.SKIP)
    emit = run.outbox.emit

    def refuse_first(port: str, payload: Any, item: ItemId, lane: int, unit: int) -> None:
        if payload == 1:
            raise ResultNotSerializable((0, 0), ItemNotSerializable(0, "item", "a lock"))
        emit(port, payload, item, lane, unit)

    run.outbox.emit = refuse_first  # type: ignore[method-assign]  # this is what fails
    run.go()

    assert run.outbox.sent == [2]
    assert (run.row[PROCESSED], run.row[SKIPPED]) == (1, 1)


def test_another_port_is_named_by_the_result() -> None:
    run = Run(
        Work(call=lambda item: Routed("masks", item)), [call(1, 0)], ports=("out", "masks")
    ).go()

    assert run.outbox.log[0] == ("masks", 1)


def test_a_port_that_is_not_there_is_the_items_failure() -> None:
    with pytest.raises(StageStopped, match="no output port 'mask'"):
        Run(Work(call=lambda item: Routed("mask", item)), [call(1, 0)], ports=("out", "masks")).go()


def test_joined_inputs_are_arguments_of_one_call() -> None:
    pair = Call((1, 2), (0, 5), 0, 5, (Origin(0, 0, None), Origin(1, 0, None)))

    run = Run(Work(call=lambda a, b: a + b), [pair], join=Join.ZIP_BY_ID).go()

    assert run.outbox.sent == [3]
    assert (run.row[RECEIVED], run.row[PROCESSED]) == (2, 2)


def test_it_flushes_before_every_wait() -> None:
    run = Run(Work(call=halve), [call(4, 0), None, call(6, 1)]).go()

    assert run.outbox.log == [("out", 2), "flush", ("out", 3)]


def test_finish_comes_after_all_items_and_counts_anew() -> None:
    run = Run(
        Work(call=lambda item: None, finish=lambda: ["a", None, "b"], keeps_state=True),
        [call(1, 9), UnitEnd(0, 9, 1, free=False), EndOfInput({0: 10})],
    ).go()

    assert run.outbox.sent == ["a", "b"]
    assert run.outbox.ids == [(4, 0), (4, 1)]
    assert run.outbox.log[-1] == UnitEnd(0, 10, 1, free=True)


def test_what_is_due_is_given_though_nothing_has_come() -> None:
    held: list[int] = []
    work = Work(
        call=held.append,
        due=lambda: 0.0 if held else None,
        tick=lambda: [held.pop()],
        finish=lambda: ["end"],
        keeps_state=True,
    )

    run = Run(work, [call(7, 0), None, call(8, 1)]).go()

    assert run.outbox.log[:2] == [("out", 7), "flush"]
    assert run.outbox.sent == [7, 8, "end"]
    assert run.outbox.ids == [(4, 0), (4, 1), (4, 2)]
    assert run.loop.alarm is None


def test_replicas_give_nothing_between_the_units_of_others() -> None:
    work = Work(call=lambda item: None, due=lambda: 0.0, tick=lambda: ["early"], keeps_state=True)

    run = Run(work, [call(7, 0), None], numbering=Numbering.KEEP).go()

    assert run.outbox.sent == []


def test_a_failing_finish_ends_the_run() -> None:
    def finish() -> Iterator[int]:
        yield 1
        raise OSError("disk full")

    with pytest.raises(StageStopped) as stopped:
        Run(Work(call=halve, finish=finish), [], on_error=OnError.SKIP).go()

    assert stopped.value.failure.phase == "finish"


def test_close_is_called_once_also_after_a_failure() -> None:
    closed: list[str] = []
    run = Run(Work(call=halve, close=lambda: closed.append("closed")), [call(7, 0)])

    with pytest.raises(StageStopped):
        run.go()
    run.loop.abandon()
    run.loop.abandon()

    assert closed == ["closed"]


def test_a_stage_whose_readers_left_ends_without_finish() -> None:
    run = Run(
        Work(call=halve, finish=lambda: [99]), [call(2, 0), call(4, 1)], readers_leave_after=1
    ).go()

    assert run.outbox.sent == [1]
    assert run.inbox.closed
    assert run.row[PROCESSED] == 2


def test_a_sink_whose_output_was_closed_ends_early() -> None:
    def show(item: int) -> None:
        raise OutputClosed

    run = Run(Work(call=show), [call(1, 0), call(2, 1)]).go()

    assert run.row[RECEIVED] == run.row[PROCESSED] == 1
    assert run.inbox.closed


def test_a_source_numbers_its_items_and_passes_none_over() -> None:
    run = Run(Work(source=lambda: [1, None, 2])).go()

    assert run.outbox.sent == [1, 2]
    assert run.outbox.ids == [(4, 0), (4, 1)]


def test_a_drained_source_stops_between_items_and_its_generator_is_closed() -> None:
    closed: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append("closed")

    run = Run(Work(source=endless), stopping=iter([False, False, True])).go()

    assert run.outbox.sent == [1, 1]
    assert closed == ["closed"]


def test_a_source_leaves_its_blocking_call_when_its_grace_is_over() -> None:
    def blocked() -> Iterator[int]:
        yield 1
        raise DrainInterrupt

    assert Run(Work(source=blocked)).go().outbox.sent == [1]


def test_a_bad_record_is_judged_by_the_policy() -> None:
    records = [1, BadRecord("{", ValueError("no JSON")), 2]

    run = Run(Work(source=lambda: records), on_error=OnError.SKIP).go()

    assert run.outbox.sent == [1, 2]
    assert run.row[SKIPPED] == run.row[RECEIVED] == 1


def test_a_stream_function_pulls_and_keeps_what_it_likes() -> None:
    def sums(numbers: Iterator[int]) -> Iterator[int]:
        total = 0
        for number in numbers:
            total += number
            yield total
        yield -total

    run = Run(Work(stream=sums, keeps_state=True), [call(1, 0), None, call(2, 1)]).go()

    assert run.outbox.sent == [1, 3, -3]
    assert run.outbox.ids == [(4, 0), (4, 1), (4, 2)]
    assert (run.row[RECEIVED], run.row[PROCESSED]) == (2, 2)


def test_a_stream_function_that_returns_ends_its_inputs_early() -> None:
    def first(numbers: Iterator[int]) -> Iterator[int]:
        yield next(numbers)

    run = Run(Work(stream=first, keeps_state=True), [call(1, 0), call(2, 1)]).go()

    assert run.outbox.sent == [1]
    assert run.inbox.closed
    assert run.row[RECEIVED] == run.row[PROCESSED] == 1


def test_a_failing_stream_function_names_the_item_it_had_pulled() -> None:
    def fails(numbers: Iterator[int]) -> Iterator[int]:
        for number in numbers:
            yield 1 // number

    with pytest.raises(StageStopped) as stopped:
        Run(Work(stream=fails, keeps_state=True), [call(1, 0), call(0, 1)]).go()

    assert (stopped.value.failure.kind, stopped.value.failure.item) == (
        "ZeroDivisionError",
        "find:1",
    )


def test_a_dead_letter_shows_no_secret() -> None:
    def refuse(item: int) -> None:
        raise ValueError("token hunter2 was refused")

    run = Run(Work(call=refuse), [call(7, 1)], on_error=OnError.DEAD_LETTER)
    run.loop.mask = masker(["hunter2"])
    run.go()

    (_, letter), *_ = run.outbox.log
    assert letter["error"]["message"] == "token *** was refused"
    assert "hunter2" not in letter["error"]["traceback"]


def test_a_port_that_is_not_declared_says_where_to_declare_it() -> None:
    with pytest.raises(StageStopped) as stopped:
        Run(Work(call=lambda item: Routed("masks", item)), [call(7, 1)]).go()

    assert stopped.value.failure.message == (
        "stage 'stage' has no output port 'masks'; it has: out."
        " A port of your own is listed: `outputs: [masks]`"
    )

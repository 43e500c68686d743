"""The quick loop of a runner: first tries are told quickly, all others go the way of tries."""

from __future__ import annotations

import dataclasses
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pipeflow.runtime.board import DEAD_LETTERED, EMPTY, PROCESSED, RECEIVED, RETRIED, SKIPPED
from pipeflow.runtime.flow.joins import Calls, Origin
from pipeflow.runtime.isolation.link import Cell
from pipeflow.runtime.isolation.row_loop import RowLoop, RowTryLoop
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.spec.policies import ErrorPolicy, OnError
from pipeflow.stages.work import Work
from tests.runtime.loop_fakes import Run

SKIP, DEAD_LETTER = OnError.SKIP, OnError.DEAD_LETTER


class Rows(Run):
    """One row of items, by a runner's loop over fakes; what is told quickly is in the log."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        items: list[Any],
        then: OnError = SKIP,
        retries: int = 2,
    ) -> None:
        calls = Calls((0,), range(len(items)), items, 0, 0, Origin(0, 0, None))
        policy = ErrorPolicy(then=then, retries=retries, backoff_s=0.5)
        super().__init__(Work(call=function), [calls], on_error=policy)
        slow = self.loop
        same = {
            each.name: getattr(slow, each.name)
            for each in dataclasses.fields(slow)
            if each.init and not each.name.startswith("_")
        }
        self.begun = 0
        self.loop = (RowTryLoop if retries else RowLoop)(
            **same,
            link=SimpleNamespace(begin=self._begin, cells={Cell.LEAVE: 0}),  # type: ignore[arg-type]  # only what it uses
            put_quick=self._put_quick,
            put_nothing=lambda: self.outbox.log.append("nothing"),
        )

    def _begin(self) -> None:
        self.begun += 1

    def _put_quick(self, result: Any) -> bool:
        try:
            told = pickle.loads(pickle.dumps(result))
        except Exception:  # as an outbox does
            return False
        self.outbox.log.append(("quick", told))
        return True

    def go(self) -> Rows:
        super().go()
        return self

    def told(self) -> list[Any]:
        """The log, without waits."""
        return [each for each in self.outbox.log if type(each) is tuple and each[0] != "back off"]


def failing_once(item: Any, seen: set[Any]) -> Any:
    if item not in seen:
        seen.add(item)
        raise ConnectionError(f"{item} for the first time")
    return item


def test_what_does_not_fail_is_told_quickly_and_the_rest_is_tried_again_in_its_place() -> None:
    seen: set[Any] = {0, 1, 3}
    run = Rows(lambda item: failing_once(item, seen), [0, 1, 2, 3]).go()

    assert run.told() == [("quick", 0), ("quick", 1), ("out", 2), ("quick", 3)]
    assert ("back off", 0.5) in run.outbox.log
    assert run.counts() == (4, 4, 0, 0, 0, 0, 1)
    assert run.begun == 4


def test_calls_that_give_nothing_are_but_counted() -> None:
    run = Rows(lambda item: None if item % 2 else item, [0, 1, 2, 3]).go()

    assert [each for each in run.outbox.log if each == "nothing"] == ["nothing"] * 2
    assert (run.row[RECEIVED], run.row[PROCESSED], run.row[EMPTY]) == (4, 4, 2)


def test_each_try_and_the_letter_get_the_item_as_it_came() -> None:
    seen: list[dict[str, int]] = []

    def spoil(item: dict[str, int]) -> None:
        seen.append(dict(item))
        item.clear()
        raise ConnectionError

    run = Rows(spoil, [{"n": 1}], DEAD_LETTER).go()

    assert seen == [{"n": 1}] * 3
    (letter,) = run.outbox.sent
    assert (letter["item"], letter["attempt"]) == ({"n": 1}, 3)


def test_an_item_that_cannot_change_is_not_taken_for_the_one_before_it() -> None:
    seen: list[Any] = []

    def look(item: Any) -> None:
        seen.append(item)
        if item == 7:
            raise ConnectionError

    Rows(look, [{"n": 1}, 7, {"n": 2}]).go()

    assert seen == [{"n": 1}, 7, 7, 7, {"n": 2}]


def test_each_item_has_all_tries_to_itself() -> None:
    def fail(item: int) -> None:
        raise ConnectionError

    run = Rows(fail, [1, 2], DEAD_LETTER).go()

    assert [letter["attempt"] for letter in run.outbox.sent] == [3, 3]
    assert (run.row[DEAD_LETTERED], run.row[RETRIED]) == (2, 4)


def test_many_results_are_held_until_the_item_is_done() -> None:
    seen: set[int] = set()

    def several(item: int) -> Iterator[int]:
        yield item
        failing_once(item, seen)
        yield item + 1

    run = Rows(several, [5]).go()

    assert run.told() == [("out", 5), ("out", 6)]
    assert run.outbox.ids == [(0, 0, 0), (0, 0, 1)]
    assert (run.row[PROCESSED], run.row[RETRIED]) == (1, 1)


def test_a_result_that_cannot_be_told_quickly_goes_the_longer_way_and_is_not_made_again() -> None:
    calls: list[int] = []

    def lock(item: int) -> Any:
        calls.append(item)
        return threading.Lock()

    run = Rows(lock, [1]).go()

    assert calls == [1]
    assert [port for port, _ in run.told()] == ["out"]


def test_what_a_failed_try_held_is_let_go_of_before_the_wait() -> None:
    class Model:
        """Something large."""

    held: list[weakref.ref[Model]] = []

    def load(item: int) -> None:
        model = Model()
        held.append(weakref.ref(model))
        raise ConnectionError

    run = Rows(load, [1])
    alive: list[int] = []

    def look(seconds: float) -> None:
        alive.append(sum(ref() is not None for ref in held))

    run.back_off = look  # type: ignore[method-assign]  # this is when
    run.go()

    assert alive == [0, 0]


@pytest.mark.parametrize("retries", [0, 2])
def test_an_item_of_which_something_was_told_has_not_failed(retries: int) -> None:
    """What goes wrong once its result is written is not its own, and it is not made twice."""
    run = Rows(lambda item: item, [1, 2], retries=retries)

    def written_and_interrupted(result: Any) -> bool:
        run.outbox.log.append(("quick", result))
        raise InterruptedError

    run.loop.put_quick = written_and_interrupted  # type: ignore[attr-defined]

    with pytest.raises(InterruptedError):
        run.go()

    assert run.told() == [("quick", 1)]
    assert run.row[SKIPPED] == 0


def test_the_failure_after_the_last_try_ends_the_run() -> None:
    def fail(item: int) -> None:
        raise ConnectionError(f"no {item}")

    run = Rows(fail, [4, 5], OnError.STOP)

    with pytest.raises(StageStopped) as stopped:
        run.go()

    assert (stopped.value.failure.item, stopped.value.failure.attempt) == ("find:0", 3)

"""Lists and tasks whose items come in rows, and whose results leave by the express way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeflow.planner.plan import Numbering
from pipeflow.runtime.board import EMPTY, PROCESSED, RECEIVED
from pipeflow.runtime.flow.joins import Calls, Origin, UnitEnd
from pipeflow.runtime.loops import rows
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.runtime.messages import ItemId
from pipeflow.spec.policies import Batching, OnError
from pipeflow.stages.work import Routed, Work
from tests.runtime import stretches
from tests.runtime.loop_fakes import Inbox, Outbox, Run, call
from tests.runtime.test_rows import Reader, Way


@pytest.fixture(autouse=True, params=stretches.ALL)
def _loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All holds of the compiled loops and of those in Python."""
    monkeypatch.setattr(rows, "stretch", stretches.load(request.param))


def row(*payloads: Any, first: int = 0) -> Calls:
    ordinals = range(first, first + len(payloads))
    return Calls((0,), ordinals, list(payloads), 0, first, Origin(0, 0, None))


class RowInbox(Inbox):
    """Knows of rows what an inbox must."""

    def __init__(self, messages: list[Any]) -> None:
        super().__init__(messages)
        self.told: list[tuple[str, int]] = []
        self.arrivals = SimpleNamespace(is_sent_more=lambda: bool(self.messages))

    def delivered_in(self, calls: Calls, count: int) -> None:
        self.told.append(("delivered", count))

    def pay(self, calls: Calls, count: int) -> None:
        self.told.append(("paid", count))

    def hold_row(self, calls: Calls, size: int) -> Calls:
        self.told.append(("held", size))
        return calls


class WayOut(Outbox):
    """Has an express way, or none at all."""

    def __init__(self, way: Way | None) -> None:
        super().__init__()
        self._way = way
        self.unread = 0

    def express(self, _port: str) -> Any:
        return None if self._way is None else self._way.express

    def is_read(self, _port: str) -> bool:
        return self._way is not None

    def count_unread(self, _port: str, count: int) -> None:
        self.unread += count


class Stage:
    """A stage between rows and an express way, which gets lists unless it awaits its items."""

    def __init__(
        self,
        function: Callable[..., Any],
        messages: list[Any],
        *,
        size: int = 3,
        reader: Reader | None = None,
        read: bool = True,
        awaits: bool = False,
        **more: Any,
    ) -> None:
        batch = Batching(size=size, stack=more.pop("stack", False))
        self.reader = reader or Reader(1000)
        self.way = Way(self.reader, now=lambda: 0.0)
        self.inbox = RowInbox(messages)
        self.outbox = WayOut(self.way if read else None)
        self.run = Run(
            Work(call=function, awaits=awaits),
            batch=None if awaits else batch,
            inbox=self.inbox,
            outbox=self.outbox,
            **more,
        )

    def go(self) -> Stage:
        self.run.go()
        self.way.express.flush()
        return self

    def items(self) -> list[tuple[ItemId, Any]]:
        return self.reader.items()

    def counts(self) -> tuple[int, int, int]:
        return self.run.row[RECEIVED], self.run.row[PROCESSED], self.run.row[EMPTY]


def tens(items: list[int]) -> list[dict[str, int]]:
    return [{"x": 10 * item} for item in items]


def test_lists_are_cut_from_rows_and_their_results_leave_as_runs() -> None:
    stage = Stage(tens, [row(1, 2, 3, 4), row(5, 6, 7, first=4)]).go()

    assert stage.items() == [((0, n), {"x": 10 * (n + 1)}) for n in range(7)]
    assert len(stage.reader.frames) == 1
    assert stage.counts() == (7, 7, 0)


def test_credit_is_given_back_when_the_function_is_called() -> None:
    told: list[list[tuple[str, int]]] = []

    def work(items: list[int]) -> list[int]:
        told.append([*stage.inbox.told])
        return items

    stage = Stage(work, [row(1, 2), None, row(3, 4, first=2)])
    stage.go()

    first = [("held", 3), ("delivered", 2), ("paid", 2), ("delivered", 1), ("paid", 1)]
    assert told == [first, [*first, ("delivered", 1), ("paid", 1)]]


def test_none_in_the_list_leaves_a_gap_in_the_ids() -> None:
    stage = Stage(lambda items: [None if x == 2 else x for x in items], [row(1, 2, 3)]).go()

    assert stage.items() == [((0, 0), 1), ((0, 2), 3)]
    assert stage.counts() == (3, 3, 1)


def test_results_of_a_list_that_the_function_keeps_travel_as_they_were() -> None:
    kept: list[Any] = []

    def work(items: list[int]) -> list[Any]:
        for each in kept:
            each["x"] = "changed"
        kept[:] = [{"x": item} for item in items]
        return kept

    stage = Stage(work, [row(*range(6))]).go()

    assert [item for _, item in stage.items()] == [{"x": n} for n in range(6)]


def test_items_that_come_back_and_are_kept_by_the_function_travel_as_they_were() -> None:
    kept: list[Any] = []

    def work(items: list[Any]) -> list[Any]:
        for each in kept:
            each["x"] = "changed"
        kept[:] = items
        return items

    stage = Stage(work, [row(*[{"x": n} for n in range(6)])]).go()

    assert [item for _, item in stage.items()] == [{"x": n} for n in range(6)]


def test_one_result_given_twice_comes_as_two() -> None:
    def work(items: list[int]) -> list[Any]:
        both = {"x": 1}
        return [both, both]

    first, second = (item for _, item in Stage(work, [row(1, 2)], size=2).go().items())

    assert first == second == {"x": 1}
    assert first is not second


def test_a_full_edge_is_waited_for_in_the_middle_of_a_list() -> None:
    stage = Stage(tens, [row(1, 2, 3)], reader=Reader(room=1)).go()

    assert [item["x"] for _, item in stage.items()] == [10, 20, 30]
    assert stage.way.waits == 2


def test_what_names_a_port_goes_there_and_the_others_on_their_way() -> None:
    stage = Stage(
        lambda items: [Routed("odd", x) if x % 2 else x for x in items],
        [row(1, 2, 3, 4)],
        ports=("out", "errors", "odd"),
    ).go()

    assert stage.items() == [((0, 1), 2), ((0, 3), 4)]
    assert stage.outbox.log == [("odd", 1), ("odd", 3)]
    assert stage.counts() == (4, 4, 0)


def test_what_nobody_reads_is_counted() -> None:
    stage = Stage(
        lambda items: [None if x == 2 else np.zeros(2) for x in items], [row(1, 2, 3)], read=False
    ).go()

    assert stage.outbox.unread == 2
    assert stage.counts() == (3, 3, 1)


def test_a_list_of_one_array_leaves_in_parts() -> None:
    items = [np.full(2, n) for n in range(3)]

    stage = Stage(lambda stacked: stacked * 2, [row(*items)], stack=True).go()

    assert [item.tolist() for _, item in stage.items()] == [[0, 0], [2, 2], [4, 4]]


def test_what_is_no_row_joins_the_list_in_its_place() -> None:
    seen: list[list[int]] = []

    def work(items: list[int]) -> list[int]:
        seen.append([*items])
        return items

    stage = Stage(work, [row(1, 2), call(3, 2), row(4, first=3)]).go()

    assert seen == [[1, 2, 3], [4]]
    assert stage.outbox.ids == [(0, 0), (0, 1), (0, 2)]  # these went one by one
    assert stage.items() == [((0, 3), 4)]
    assert stage.counts() == (4, 4, 0)


def test_a_row_that_ends_its_units_and_goes_one_by_one_ends_them() -> None:
    ends = row(1, 2)._replace(end_units=True)

    stage = Stage(
        lambda items: items,
        [ends],
        size=2,
        on_error=OnError.SKIP,
        numbering=Numbering.KEEP,
    ).go()

    assert stage.outbox.log == [
        ("out", 1),
        UnitEnd(0, 0, 1, free=False),
        ("out", 2),
        UnitEnd(0, 1, 1, free=False),
    ]


def test_the_failure_of_a_list_names_its_items() -> None:
    def refuse(items: list[int]) -> None:
        raise RuntimeError("no")

    stage = Stage(refuse, [row(1, 2, 3)])

    with pytest.raises(StageStopped) as stopped:
        stage.go()

    failure = stopped.value.failure
    assert (failure.kind, failure.item, failure.view) == ("RuntimeError", "find:0", "1")
    assert "in a batch of 3 items, find:0 to find:2" in failure.traceback
    assert stage.run.counts() == (3, 0, 0, 0, 0, 3, 0)


def test_a_result_that_cannot_be_pickled_is_the_failure_of_its_item() -> None:
    stage = Stage(lambda items: [x if x != 2 else print_it for x in items], [row(1, 2, 3)])

    def print_it() -> None:
        raise AssertionError

    with pytest.raises(StageStopped) as stopped:
        stage.go()

    failure = stopped.value.failure
    assert (failure.phase, failure.item, failure.view) == ("pickling", "find:1", "2")
    assert stage.run.counts() == (3, 1, 0, 0, 0, 2, 0)


def awaiting(function: Callable[..., Any], messages: list[Any], **more: Any) -> Stage:
    return Stage(function, messages, awaits=True, **more)


async def ten_times(item: int) -> dict[str, int] | None:
    return None if item == 3 else {"x": 10 * item}


def test_what_is_awaited_in_one_turn_leaves_in_one_frame() -> None:
    stage = awaiting(ten_times, [row(1, 2, 3, 4), row(5, first=4)], concurrency=2).go()

    assert stage.items() == [((0, n), {"x": 10 * (n + 1)}) for n in (0, 1, 3, 4)]
    assert len(stage.reader.frames) == 1
    assert stage.counts() == (5, 5, 1)
    assert stage.run.most <= 2


@pytest.mark.parametrize("in_order", [True, False])
def test_what_takes_longer_than_one_turn_leaves_by_the_same_way(in_order: bool) -> None:
    async def slowly(item: int) -> dict[str, int] | None:
        if item == 1:
            for _ in range(5):
                await asyncio.sleep(0)
        return await ten_times(item)

    stage = awaiting(slowly, [row(1, 2, 3, 4)], in_order=in_order, concurrency=4).go()

    first = [0, 1, 3] if in_order else [1, 3, 0]
    assert stage.items() == [((0, n), {"x": 10 * (n + 1)}) for n in first]
    assert stage.counts() == (4, 4, 1)


def test_results_that_tasks_keep_travel_as_they_were() -> None:
    kept: list[Any] = []

    async def work(item: int) -> dict[str, Any]:
        for each in kept:
            each["x"] = "changed"
        result = {"x": item}
        kept.append(result)
        return result

    stage = awaiting(work, [row(*range(6))], concurrency=3).go()

    assert [item for _, item in stage.items()] == [{"x": n} for n in range(6)]


def test_one_task_that_gives_many_results_stands_between_others_that_give_one() -> None:
    async def work(item: int) -> Any:
        return iter([item, item]) if item == 2 else item

    stage = awaiting(work, [row(1, 2, 3)]).go()

    assert stage.outbox.ids == [(0, 1, 0), (0, 1, 1)]
    assert stage.items() == [((0, 0), 1), ((0, 2), 3)]
    assert stage.counts() == (3, 3, 0)


def test_what_tasks_give_and_nobody_reads_is_counted() -> None:
    stage = awaiting(ten_times, [row(1, 2, 3)], read=False).go()

    assert stage.outbox.unread == 2
    assert stage.counts() == (3, 3, 1)

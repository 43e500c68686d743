"""The docket: which call is in hand, and what another runner would have to be given."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.flow.joins import Call, Calls, Lone, Origin, UnitEnd
from pipeflow.runtime.isolation.docket import Docket
from pipeflow.runtime.isolation.entries import Entry, Task
from pipeflow.runtime.isolation.messages import (
    CallOrder,
    FailedOrder,
    LoneOrder,
    Order,
    Place,
    RowOrder,
    UnitOrder,
)
from pipeflow.runtime.isolation.sealed import Needs, Sealed, SealedFrame
from pipeflow.runtime.messages import Failure
from pipeflow.transports.base import Packet

HERE = Origin(0, 0, None)


def call(number: int, items: int = 1) -> Call:
    return Call(f"item {number}", (0, number), 0, number, (HERE,) * items)


def row(first: int, count: int, *, end_units: bool = False) -> Calls:
    payloads: list[Any] = [f"item {first + each}" for each in range(count)]
    return Calls((0,), range(first, first + count), payloads, 0, first, HERE, end_units=end_units)


def sealed(first: int, count: int) -> Calls:
    """A row that ends its units, of items in a frame that was not opened."""
    frame = SealedFrame(first, Packet(b"", (), count), ())
    payloads: list[Any] = [Sealed(frame, at) for at in range(count)]
    return row(first, count, end_units=True)._replace(payloads=payloads)


def units_of(ends: list[UnitEnd]) -> list[int]:
    """Numbers of the units that have ended."""
    return [unit for end in ends for unit in range(end.unit, end.unit + end.span)]


def unit(number: int) -> UnitEnd:
    return UnitEnd(0, number, 1, free=False)


def lone(number: int) -> Lone:
    return Lone(f"item {number}", (0, number), 0, number, HERE)


def hand(docket: Docket) -> int | None:
    """Number of the item in hand."""
    held = docket.in_hand()
    return None if held is None else held.id[-1]


def needs() -> Needs:
    return Needs(1, again=True, anew=True)


def orders_of(entries: list[Entry]) -> list[Order]:
    return [entry.order(needs()) for entry in entries]


def numbers(docket: Docket) -> list[int]:
    """Numbers of all items that another runner would be given."""
    found: list[int] = []
    if docket.in_hand() is not None:
        docket.settle(1)
    for entry in docket.restart(tried=None):
        match entry.order(needs()):
            case CallOrder(item) | LoneOrder(item):
                found.append(item[-1])
            case RowOrder(_, ordinals):
                found += ordinals
            case _:
                pass
    return found


def test_a_call_is_in_hand_from_when_it_was_begun_until_it_is_done() -> None:
    docket = Docket()
    docket.add([call(0), call(1)])

    assert hand(docket) is None
    assert list(docket.begin(1)) == [(call(0), 1)]
    assert hand(docket) == 0
    docket.settle(1)
    assert hand(docket) is None
    assert list(docket.begin(2)) == [(call(1), 1)]
    assert hand(docket) == 1


def test_a_row_is_begun_call_by_call() -> None:
    docket = Docket()
    docket.add([row(0, 4), call(4)])

    assert [count for _, count in docket.begin(2)] == [2]
    docket.settle(1)
    assert hand(docket) == 1
    docket.settle_row(1)
    assert hand(docket) is None
    assert [count for _, count in docket.begin(5)] == [2, 1]
    _, *which = docket.settle_row(1)
    assert which == [2, 1, None]
    assert hand(docket) == 3
    assert len(docket) == 2


def test_quick_calls_are_done_row_by_row() -> None:
    docket = Docket()
    first = row(0, 4)
    docket.add([first, call(4), row(5, 2)])
    list(docket.begin(7))
    docket.settle(1)

    assert docket.settle_row(6) == (first, 1, 3, None)
    assert docket.settle_row(3)[1:] == (0, 1, None)
    assert docket.settle_row(1)[1:] == (0, 1, None)
    assert docket.settle_row(9)[1:] == (1, 1, None)
    assert not docket


def test_calls_of_several_items_are_done_when_all_of_these_are() -> None:
    docket = Docket()
    docket.add([call(0, items=2), call(1, items=2)])
    list(docket.begin(2))

    docket.settle(2)

    assert hand(docket) == 1


def test_units_and_lone_items_are_done_when_they_were_passed_on() -> None:
    docket = Docket()
    docket.add([call(0), unit(0), lone(1), unit(1), call(2)])

    assert [task for task, _ in docket.begin(1)] == [call(0)]
    docket.settle(1)
    assert docket.pass_by(UnitEnd) == unit(0)
    assert docket.pass_by(Lone) == lone(1)
    assert len(docket) == 2
    docket.pass_by(UnitEnd)
    assert len(docket) == 1


@pytest.mark.parametrize("tried", [None, 2])
def test_the_next_runner_gets_all_that_is_not_done_the_call_in_hand_by_itself(
    tried: int | None,
) -> None:
    docket = Docket()
    docket.add([row(0, 5), unit(4), call(5)])
    list(docket.begin(3))
    docket.settle(2 if tried else 3)
    docket.emitted = 7

    left = docket.restart(tried=tried)

    again = [] if tried is None else [CallOrder((0, 2), 0, 2, 1, 2, False)]
    rest = [RowOrder((0,), range(3, 5), 0, 3), UnitOrder(0, 4, 1, False)]
    last = CallOrder((0, 5), 0, 5, 1, 0, False)
    assert orders_of(left) == [*again, *rest, last]
    assert docket.emitted == 0
    # It is not in the hand of the next one yet, and was delivered once for all.
    assert hand(docket) is None
    begun = [task for task, _ in docket.begin(1)]
    assert (hand(docket), begun) == ((2, []) if tried else (3, [rest_of(left)]))
    assert docket.tried() == (tried or 0)


def test_where_several_were_in_hand_each_goes_by_itself() -> None:
    docket = Docket()
    docket.add([row(0, 4), unit(3), call(4), call(5)])
    list(docket.begin(5))
    docket.settle(2)

    assert docket.held() == 3
    left = docket.restart_alone()

    assert orders_of(left) == [
        CallOrder((0, 2), 0, 2, 1, 0, True),
        CallOrder((0, 3), 0, 3, 1, 0, True),
        UnitOrder(0, 3, 1, False),
        CallOrder((0, 4), 0, 4, 1, 0, True),
        CallOrder((0, 5), 0, 5, 1, 0, False),
    ]
    assert docket.held() == 0
    assert [task for task, _ in docket.begin(4)] == [call(5)]


def rest_of(left: list[Any]) -> Task:
    task: Task = left[0].task
    return task


@given(rows=st.lists(st.integers(1, 5), min_size=1, max_size=6), steps=st.lists(st.integers(0, 4)))
def test_whatever_was_done_the_rest_is_what_is_left(rows: list[int], steps: list[int]) -> None:
    docket, total = Docket(), 0
    for count in rows:
        docket.add([row(total, count) if count > 1 else call(total)])
        total += count
    begun = done = 0
    for step in steps:
        begun = min(total, max(begun, done + (step > 1)))
        delivered = sum(count for _, count in docket.begin(begun))
        assert delivered >= 0
        if step % 2 and done < begun:
            docket.settle(1)
            done += 1
        assert len(docket) == total - done
    held = hand(docket)

    assert held == (done if begun > done else None)
    assert numbers(docket) == [n for n in range(done, total) if n != held]


FAILED = Failure(phase="unpickling", kind="ValueError", message="it is torn")


def test_calls_of_a_row_that_end_their_units_say_so_when_they_are_done() -> None:
    docket = Docket()
    docket.add([row(3, 5, end_units=True), row(8, 2), call(10), unit(10)])
    list(docket.begin(8))

    assert docket.settle(2) == [UnitEnd(0, 3, 2, free=False)]
    _, *which = docket.settle_row(1)
    assert which == [2, 1, (5, 6)]
    # What comes after the row has ends of its own.
    assert docket.settle(5) == [UnitEnd(0, 6, 2, free=False)]
    assert len(docket) == 1


@pytest.mark.parametrize("tried", [None, 2])
def test_a_call_cut_out_of_such_a_row_ends_its_unit_by_itself(tried: int | None) -> None:
    docket = Docket()
    docket.add([row(0, 4, end_units=True)])
    list(docket.begin(2))
    assert units_of(docket.settle(1)) == [0]
    given_up = units_of(docket.settle(1)) if tried is None else []

    left = docket.restart(tried=tried)

    again = [] if tried is None else [CallOrder((0, 1), 0, 1, 1, 2, False)]
    # The runner hears of calls alone.
    assert orders_of(left) == [*again, RowOrder((0,), range(2, 4), 0, 2)]
    list(docket.begin(3))
    assert given_up + units_of(docket.settle(3)) == [1, 2, 3]


def test_an_item_of_such_a_row_that_cannot_be_loaded_ends_its_unit_in_its_place() -> None:
    docket = Docket()
    docket.add([sealed(4, 4)])
    item, torn, failed = docket.find(4, 2)

    docket.fail(item, FAILED)
    left = docket.restart(tried=None)

    assert torn is not None
    assert (torn.id, failed) == ((0, 6), False)
    assert orders_of(left) == [
        RowOrder((0,), range(4, 6), 0, 4, Place(4, 0)),
        FailedOrder((0, 6), 0, 6, FAILED, 1, Place(4, 2)),
        RowOrder((0,), range(7, 8), 0, 7, Place(4, 3)),
    ]
    list(docket.begin(4))
    assert units_of(docket.settle(4)) == [4, 5, 6, 7]


@given(
    rows=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    events=st.lists(
        st.tuples(
            st.sampled_from(["quick", "several", "death", "given up", "alone", "torn"]),
            st.integers(1, 4),
        ),
        max_size=20,
    ),
)
def test_however_rows_are_cut_each_unit_ends_once_and_in_order(
    rows: list[int], events: list[tuple[str, int]]
) -> None:
    docket, ended, total, begun = Docket(), list[int](), 0, 0
    for count in rows:
        docket.add([sealed(total, count)])
        total += count
    for event, most in [*events, ("several", total)]:
        count = min(most, len(docket))
        if not count:
            break
        match event:
            case "quick":
                begun += count
                list(docket.begin(begun))
                while count:
                    task, at, done, ends_units = docket.settle_row(count)
                    ended += range(task.unit + at, task.unit + at + done) if ends_units else []
                    count -= done
                continue
            case "several":
                begun += count
                list(docket.begin(begun))
                ended += units_of(docket.settle(count))
                continue
            case "death":
                list(docket.begin(begun + 1))
                docket.restart(tried=count)
            case "given up":
                list(docket.begin(begun + 1))
                ended += units_of(docket.settle(1))
                docket.restart(tried=None)
            case "alone":
                list(docket.begin(begun + count))
                docket.restart_alone()
            case "torn":
                docket.restart(tried=None)  # a runner loads a frame before it begins any of it
                at = total - 1 - len(docket) + count  # one of those that are left
                first = max(n for n in range(at + 1) if n in starts_of(rows))
                docket.fail(docket.find(first, at - first)[0], FAILED)
                docket.restart(tried=None)
            case _:
                raise AssertionError(event)
        begun = 0

    assert ended == [*range(total)]


def starts_of(rows: list[int]) -> list[int]:
    """Number of the first item of each row."""
    return [sum(rows[:place]) for place in range(len(rows))]

"""Of a packet with an item that cannot be loaded all others are loaded."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pipeflow.errors import ItemNotLoadable
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.unloadable import Unloadable


def fail() -> Any:
    raise ValueError("on purpose")


class Trap:
    """Pickles well, and cannot be loaded."""

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        return fail, ()


class Late:
    """Is made, and fails when its state is set."""

    def __init__(self, inner: object = None) -> None:
        self.inner = inner

    def __getstate__(self) -> object:
        return {"inner": self.inner}

    def __setstate__(self, state: object) -> None:
        raise KeyError("no such state")


class Picky(list[Any]):
    """A list that takes nothing when it is rebuilt."""

    def __reduce__(self) -> Any:
        return Picky, (), None, iter([1, 2, 3])

    def extend(self, _items: object) -> None:
        raise OSError("full")

    append = extend


@dataclass
class Point:
    x: int
    y: object


def as_list(payloads: list[Any]) -> Packet:
    return Encoder().encode(payloads)


def as_pile(payloads: list[Any]) -> Packet:
    pile = Encoder().pile()
    for each in payloads:
        pile.add(each)
    return pile.packet()


FORMS = pytest.mark.parametrize("form", [as_list, as_pile])


def told(payload: object) -> object:
    return payload.error.reason if isinstance(payload, Unloadable) else payload


@FORMS
@pytest.mark.parametrize("count", [1, 2, 5, 1000, 1001, 2003])
def test_what_can_be_loaded_is_as_if_nothing_had_happened(
    form: Callable[[list[Any]], Packet], count: int
) -> None:
    payloads = [
        [{"n": n, "p": Point(n, (n, "a" * n))}, n, {n}, frozenset({n}), "x" * 300][: n % 6]
        for n in range(count)
    ]

    assert Decoder().salvage(form(payloads)) == payloads


@FORMS
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Trap(), "ValueError: on purpose"),
        (Late(), "KeyError: 'no such state'"),
        (Picky(), "OSError: full"),
        ({"deep": [1, (Point(1, Trap()), 2)], "more": Point(2, 3)}, "ValueError: on purpose"),
        ([Late({"a": Point(1, 2)}), Trap()], "KeyError: 'no such state'"),
    ],
)
@pytest.mark.parametrize("at", [0, 3, 5])
def test_one_that_fails_is_told_in_its_place_and_costs_no_other(
    form: Callable[[list[Any]], Packet], bad: object, reason: str, at: int
) -> None:
    good: list[Any] = [Point(n, {"k": Point(n, [n])}) for n in range(5)]
    packet = form([*good[:at], bad, *good[at:]])

    found = Decoder().salvage(packet)

    assert [told(each) for each in found] == [*good[:at], reason, *good[at:]]
    assert isinstance(found[at], Unloadable)
    assert found[at].error.index == at
    assert found[at].error.__cause__ is not None
    told_of = "".join(traceback.format_exception(found[at].error.__cause__))
    assert "pickle.py" not in told_of
    assert __file__ in told_of


@FORMS
def test_several_may_fail(form: Callable[[list[Any]], Packet]) -> None:
    found = Decoder().salvage(form([1, Trap(), {"a": 2}, Late(), Trap(), "b"]))

    assert [isinstance(each, Unloadable) for each in found] == [0, 1, 0, 1, 1, 0]
    assert [found[0], found[2], found[5]] == [1, {"a": 2}, "b"]


def test_what_a_lost_item_shares_with_another_is_lost_to_it_too_unless_it_was_whole() -> None:
    shared, late = {"a": 1}, Late()
    first = [shared, late, "a text of both"]
    packet = as_list([first, {"same": late}, shared, "a text of both", Point(1, 2)])

    found = Decoder().salvage(packet)

    assert [isinstance(each, Unloadable) for each in found] == [1, 1, 1, 0, 0]
    assert "shares an object with item 0" in str(told(found[1]))
    assert found[3:] == ["a text of both", Point(1, 2)]


@FORMS
def test_what_must_not_be_tried_is_passed_by_and_each_other_is_announced(
    form: Callable[[list[Any]], Packet],
) -> None:
    begun: list[int] = []
    packet = form([Point(0, 1), Trap(), Point(2, 3)])

    found = Decoder().salvage(packet, begins=begun.append, lost={0})

    assert begun == [0, 1, 2]
    assert isinstance(found[0], Unloadable)
    assert told(found[1]) == "ValueError: on purpose"
    assert found[2] == Point(2, 3)


@FORMS
@pytest.mark.parametrize("lost", [set(), {0}])
def test_buffers_beside_the_pickle_stay_with_their_items(
    form: Callable[[list[Any]], Packet], lost: set[int]
) -> None:
    def with_buffer(text: bytes) -> object:
        return pickle.PickleBuffer(bytearray(text))

    payloads = [
        [np.arange(3), with_buffer(b"first"), Trap()],
        [np.arange(4.0), with_buffer(b"second"), np.arange(2)],
        with_buffer(b"third"),
    ]

    found = Decoder().salvage(form(payloads), lost=lost)

    assert isinstance(found[0], Unloadable)
    np.testing.assert_array_equal(found[1][0], np.arange(4.0))
    assert bytes(found[1][1]) == b"second"
    np.testing.assert_array_equal(found[1][2], np.arange(2))
    assert bytes(found[2]) == b"third"


@FORMS
def test_the_culprit_is_the_same_when_all_is_loaded_at_once(
    form: Callable[[list[Any]], Packet],
) -> None:
    packet = form([1, {"a": 2}, Trap(), 3])

    with pytest.raises(ItemNotLoadable) as caught:
        Decoder().decode(packet)

    assert caught.value.index == 2

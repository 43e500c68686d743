"""Which pickles may run code of the user's when they are loaded."""

from __future__ import annotations

import pickle
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.transports.codec import Pile, half_opened
from pipeflow.transports.unloadable import Unopened, may_run_code


class Thing:
    """Of a class of the user's."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing) and other.number == self.number

    def __hash__(self) -> int:
        return self.number


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()
)


@given(st.one_of(st.integers(), st.floats(), st.text()))
def test_a_number_or_a_text_runs_none_whatever_its_bytes(value: Any) -> None:
    assert not may_run_code(pickle.dumps(value, protocol=5))
    assert not may_run_code(b"q" + pickle.dumps(value, protocol=5), 1)


@pytest.mark.parametrize("value", [147, 0x9393, -0x6D, 0x93 << 80, "Г" * 9, "Г" * 999])
def test_not_even_if_it_has_the_byte_that_names_a_class(value: Any) -> None:
    data = pickle.dumps(value, protocol=5)

    assert pickle.STACK_GLOBAL in data
    assert not may_run_code(data)


@given(st.lists(PLAIN, max_size=3), st.integers())
def test_whatever_holds_something_of_a_class_may(beside: list[Any], number: int) -> None:
    assert may_run_code(pickle.dumps(Thing(number), protocol=5))
    assert may_run_code(pickle.dumps([*beside, Thing(number)], protocol=5))
    assert may_run_code(pickle.dumps({"Thing": Thing, "at": date(2026, 1, 1)}, protocol=5))


@given(st.lists(st.one_of(PLAIN, st.builds(Thing, st.integers())), min_size=1, max_size=6))
def test_a_pile_is_opened_as_far_as_that_runs_nothing(items: list[Any]) -> None:
    pile = Pile()
    for item in items:
        pile.add(item)

    found = half_opened(pile.packet())

    assert found is not None
    assert all(
        type(each) is Unopened
        for each, item in zip(found, items, strict=True)
        if type(item) is Thing
    )
    # Who gets it next has the item itself.
    assert pickle.loads(pickle.dumps(found)) == items

"""Plain items become bytes, and are the same again."""

from __future__ import annotations

import marshal
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.flow.runs import is_settled
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Decoder
from pipeflow.transports.plain import MARSHALLED, dump_plain, load_plain

ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters()),  # with halves of pairs too
    st.binary(),
)
PLAIN = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(ATOMS, inner, max_size=4),
    ),
    max_leaves=12,
)


def typed(value: Any) -> Any:
    """A value with the types of all that is in it: 1 is not True, nor 1.0."""
    if isinstance(value, dict):
        return dict, [(typed(key), typed(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [typed(each) for each in value]
    return type(value), repr(value)


@given(st.lists(PLAIN, max_size=8))
def test_items_are_the_same_again(items: list[Any]) -> None:
    assert typed(load_plain(dump_plain(items))) == typed(items)


@given(st.lists(PLAIN, min_size=1, max_size=4))
def test_what_is_settled_can_be_made_bytes(items: list[Any]) -> None:
    settled = [item for item in items if is_settled(item, alone=True)]

    assert not settled or marshal.dumps(settled)[0] in MARSHALLED


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.0, 2**10_000, "\ud800", b"\0", ()])
def test_odd_values_are_the_same_again(value: Any) -> None:
    assert typed(load_plain(dump_plain([value, value]))) == typed([value, value])


def test_a_view_of_bytes_does_as_well() -> None:
    assert load_plain(memoryview(dump_plain([1, "two"]))) == [1, "two"]


def test_what_is_too_long_for_one_form_travels_in_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuses(_items: object) -> bytes:
        raise ValueError("unmarshallable object")

    monkeypatch.setattr(marshal, "dumps", refuses)

    data = dump_plain([1, "two"])

    assert data == pickle.dumps([1, "two"], 5)
    assert load_plain(data) == [1, "two"]


def test_a_packet_of_plain_items_is_opened_by_what_it_begins_with() -> None:
    bare = Packet(marshal.dumps([{"id": 1}]), (), 1)  # as a process beside its reader's gets it

    assert Decoder().decode(bare) == [{"id": 1}]
    assert Decoder().salvage(bare, lost=(0,)) == [{"id": 1}]

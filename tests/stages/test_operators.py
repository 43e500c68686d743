"""The built-in operators, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from pipeflow.stages.context import StageContext, enter
from tests.stages.working import load, results


def test_map_gives_the_value_of_its_expression() -> None:
    assert results("map", [1, 2, 3], expr="item * item if item != 2 else None") == [1, 9]
    assert results("map", ["a"], expr=1) == [1]


def test_filter_keeps_the_items_for_which_its_expression_is_true() -> None:
    assert results("filter", [0, 1, "", "a"], where="item") == [1, "a"]


def test_expressions_see_the_pipelines_params() -> None:
    before = enter(StageContext(stage="s", replica=0, parameters={"least": 2}))

    kept = results("filter", [1, 2, 3], where="item >= params.least")
    enter(before)

    assert kept == [2, 3]


def test_take_ends_after_n_items_and_never_asks_for_one_more() -> None:
    asked: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            asked.append(len(asked))
            yield asked[-1]

    work = load("take", n=3)
    assert work.stream is not None

    assert list(work.stream(endless())) == [0, 1, 2]
    assert asked == [0, 1, 2]
    assert work.keeps_state


def test_take_of_nothing_asks_for_nothing() -> None:
    work = load("take", n=0)
    assert work.stream is not None

    assert list(work.stream(iter([1]))) == []


def test_take_gives_all_of_a_short_stream() -> None:
    work = load("take", n=3)
    assert work.stream is not None

    assert list(work.stream(iter("ab"))) == ["a", "b"]


def test_count_gives_one_number() -> None:
    assert results("count", ["a", "b", "a"]) == [3]
    assert results("count", []) == [0]


def test_count_by_gives_a_record_a_value_in_order_of_appearance() -> None:
    assert results("count", ["b", "a", "b"], by="item") == [
        {"value": "b", "count": 2},
        {"value": "a", "count": 1},
    ]


def test_top_gives_the_largest_counts_with_ties_by_text() -> None:
    assert results("top", list("cabbca"), n=2) == [
        {"rank": 1, "value": "a", "count": 2},
        {"rank": 2, "value": "b", "count": 2},
    ]


def test_top_is_the_same_whatever_the_order_of_the_items() -> None:
    items: list[Any] = ["1", 1, "b", "a", "a", None]

    assert results("top", items, n=9) == results("top", items[::-1], n=9)


def test_top_counts_by_a_key_and_adds_up_values() -> None:
    items = [{"user": "a", "bytes": 5}, {"user": "b", "bytes": 7}, {"user": "a", "bytes": 1}]

    by_key = results("top", items, n=1, by='item["user"]')
    by_sum = results("top", items, n=1, by='item["user"]', value='item["bytes"]')

    assert by_key == [{"rank": 1, "value": "a", "count": 2}]
    assert by_sum == [{"rank": 1, "value": "b", "count": 7}]


def test_top_adds_up_counts_that_come_as_items() -> None:
    items: list[Any] = [Counter("aab"), {"b": 4}, {}]

    assert results("top", items, n=2, counts=True) == [
        {"rank": 1, "value": "b", "count": 5},
        {"rank": 2, "value": "a", "count": 2},
    ]


def test_an_item_that_top_cannot_add_up_leaves_no_trace() -> None:
    work = load("top", n=5, counts=True)
    assert work.call is not None
    assert work.finish is not None

    with pytest.raises(TypeError, match="an item maps values to numbers, but this is a list"):
        work.call([1])
    with pytest.raises(TypeError):
        work.call({"a": 1, "b": "x"})

    assert list(work.finish() or ()) == []


def test_top_refuses_counts_beside_by() -> None:
    with pytest.raises(ValueError, match="'counts' goes with neither 'by' nor 'value'"):
        load("top", n=1, counts=True, by="item")

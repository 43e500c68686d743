"""What authors may use, inside a run and outside."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import pytest

from pipeflow.stages import author
from pipeflow.stages.context import StageContext, enter
from pipeflow.stages.work import Routed


@pytest.fixture
def context() -> Iterator[StageContext]:
    inside = StageContext(stage="shrink", replica=0, seed=7)
    before = enter(inside)
    yield inside
    enter(before)


def test_stream_marks_a_function_and_gives_it_back() -> None:
    def double(xs: Iterator[int]) -> Iterator[int]:
        return (2 * x for x in xs)

    marked = author.stream(double)

    assert marked is double
    assert getattr(marked, author.STREAM_MARK) is True
    assert list(marked(iter([1, 2]))) == [2, 4]


def test_to_names_the_port() -> None:
    assert author.to("masks", 3) == Routed("masks", 3)


def test_outside_a_run_everything_is_harmless(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pipeflow")
    seen = author.metric("seen")

    seen.add(2)
    seen.add()
    author.log.info("saw %d", 3)

    assert seen.value == 3
    assert author.empty((2, 3), "uint8").shape == (2, 3)
    assert 0 <= author.rng().random() < 1
    assert not author.stopping()
    assert caplog.messages == ["saw 3"]


def test_in_a_run_they_reach_the_worker(context: StageContext) -> None:
    told: list[tuple[str, str]] = []
    context.log = lambda level, text: told.append((level, text))
    context.stopping = lambda: True
    context.empty = lambda shape, dtype: np.full(shape, 5, dtype)

    author.log.warning("odd: %s", "x")
    author.log.error("100%")
    author.log.debug("two of %d", "three")
    author.metric("seen").add(2)
    author.metric("seen").add(0.5)

    assert told == [
        ("warning", "odd: x"),
        ("error", "100%"),
        ("debug", "two of %d ('three',)"),
    ]
    assert context.metrics == {"seen": 2.5}
    assert author.metric("seen").value == 2.5
    assert author.stopping()
    assert author.empty(2, "uint8").tolist() == [5, 5]


def draws(context: StageContext, *items: tuple[int, ...]) -> list[float]:
    numbers = []
    for item in items:
        context.item_id = lambda item=item: item  # type: ignore[misc]  # bound now, not when called
        numbers.append(author.rng().random())
    return numbers


def test_rng_gives_an_item_the_same_numbers_in_any_replica_and_order(context: StageContext) -> None:
    there = StageContext(stage="shrink", replica=3, replicas=4, seed=7)

    here = draws(context, (0, 1), (0, 2))
    enter(there)
    elsewhere = draws(there, (0, 2), (0, 1))

    assert here == elsewhere[::-1]


def test_rng_differs_by_item_seed_and_stage(context: StageContext) -> None:
    parent_and_child = draws(context, (0, 1), (0, 1, 0))

    other_seed = StageContext(stage="shrink", replica=0, seed=8)
    enter(other_seed)
    by_seed = draws(other_seed, (0, 1))
    other_stage = StageContext(stage="rotate", replica=0, seed=7)
    enter(other_stage)
    by_stage = draws(other_stage, (0, 1))

    assert len({*parent_and_child, *by_seed, *by_stage}) == 4


def test_rng_goes_on_within_one_item(context: StageContext) -> None:
    first, second = draws(context, (0, 1), (0, 1))
    context.drawn = None
    again = draws(context, (0, 1))

    assert first != second
    assert again == [first]

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.flow.units import Batch, Part, parts_of


def test_a_run_of_single_items_takes_few_bytes() -> None:
    batch = Batch()
    for ordinal in range(256):
        batch.add(0, ordinal, (3, ordinal), f"item {ordinal}")
        batch.close(0, ordinal)

    meta = batch.meta()

    assert len(meta) < 64
    (part,) = parts_of(meta, batch.payloads)
    single = [one.items for one in part.singly()]
    assert single == [[((3, n), f"item {n}")] for n in range(256)]


def test_an_empty_unit_costs_a_credit_and_a_skipped_one_does_not() -> None:
    batch = Batch()

    cost = batch.close(0, 7)
    batch.skip(0, 8)
    batch.skip(0, 9)

    assert cost == 1
    assert parts_of(batch.meta(), []) == [
        Part(0, 7, 1, [], closed=True, cost=1),
        Part(0, 8, 2, [], closed=True, cost=0),
    ]


def test_a_unit_may_go_on_in_the_next_batch() -> None:
    first, second = Batch(), Batch()
    first.add(0, 5, (1, 5, 0), "a")

    second.add(0, 5, (1, 5, 1), "b")
    cost = second.close(0, 5)

    assert cost == 0
    assert [part.closed for part in parts_of(first.meta(), ["a"])] == [False]
    assert [part.closed for part in parts_of(second.meta(), ["b"])] == [True]


def test_a_unit_may_go_on_behind_one_of_another_lane() -> None:
    batch = Batch()
    batch.add(0, 3, (1, 3, 0), "a")
    batch.add(1, 5, (2, 5), "b")
    batch.close(1, 5)

    cost = batch.close(0, 3)

    assert cost == 1
    told = [(part.lane, part.unit, part.closed) for part in parts_of(batch.meta(), ["a", "b"])]
    assert told == [(0, 3, False), (1, 5, True), (0, 3, True)]


UNITS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), min_size=1, max_size=30
)


@given(UNITS)
def test_what_goes_in_comes_out(units: list[tuple[int, int, bool]]) -> None:
    batch = Batch()
    expected: list[tuple[int, int, list[str]]] = []
    for number, (lane, count, skipped) in enumerate(units):
        items = [f"{number}.{index}" for index in range(count)]
        for index, item in enumerate(items):
            batch.add(lane, number, (0, number, index), item)
        if skipped and not items:
            batch.skip(lane, number)
        else:
            batch.close(lane, number)
        expected.append((lane, number, items))

    parts = parts_of(batch.meta(), batch.payloads)

    seen = [
        (part.lane, part.unit + offset, [payload for _, payload in part.items])
        for run in parts
        for part in run.singly()
        for offset in range(part.span)
    ]
    assert seen == expected

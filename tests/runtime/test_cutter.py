"""Rows that are taken by parts, or call by call."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.flow.joins import Call, Calls, Origin, UnitEnd
from pipeflow.runtime.loops.cutter import Cutter, is_simple


def row_of(units: Sequence[int], first: int, end: int, *, end_units: bool) -> Calls:
    payloads = [f"item of {unit}" for unit in units]
    row = Calls((0,), [*units], payloads, 0, first, Origin(0, 0, None), end_units=end_units)
    if units and [*units] != [*range(first, end)]:
        row = row._replace(units=units, end=end)
    return row


def all_of(cutter: Cutter, most: Sequence[int]) -> list[Call | UnitEnd]:
    """What comes out of it, where parts are asked for as far as they are simple."""
    found: list[Call | UnitEnd] = []
    sizes = iter(most)
    while cutter:
        left = cutter.left()
        size = next(sizes, 0) if left is not None and is_simple(left) else 0
        taken = cutter.take(size)
        if isinstance(taken, Calls):
            assert len(taken.payloads) <= size
            for at in range(len(taken.payloads)):
                call = taken.single(at)
                found.append(call)
                if taken.end_units:
                    found.append(UnitEnd(0, call.unit, 1, free=False))
        else:
            found.append(taken)
    return found


@given(
    st.sets(st.integers(0, 20), min_size=1),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
    st.lists(st.integers(0, 4)),
)
def test_each_call_comes_once_and_each_unit_ends_once_in_order(
    chosen: set[int], before: int, behind: int, end_units: bool, most: list[int]
) -> None:
    units = sorted(each + before for each in chosen)
    first, end = units[0] - before, units[-1] + 1 + behind
    cutter = Cutter()
    cutter.put(row_of(units, first, end, end_units=end_units))

    found = all_of(cutter, most)

    calls = [each for each in found if isinstance(each, Call)]
    assert [(call.unit, call.id, call.payload) for call in calls] == [
        (unit, (0, unit), f"item of {unit}") for unit in units
    ]
    ended = [
        unit
        for each in found
        if isinstance(each, UnitEnd)
        for unit in range(each.unit, each.unit + each.span)
    ]
    assert ended == ([*range(first, end)] if end_units else [])
    for at, each in enumerate(found):  # a unit ends behind its call, and before the next one
        if isinstance(each, Call) and end_units:
            assert found[at + 1] == UnitEnd(0, each.unit, 1, free=False)

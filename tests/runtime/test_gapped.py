"""Runs with gaps: what is written comes to the reader as it was, however it is cut."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.flow.gapped import GAPPED_FORM, GappedItems, GappedRun, gapped
from pipeflow.runtime.flow.runs import PLAIN_FORM
from pipeflow.runtime.flow.units import Part, cut_row, first_id, id_at, parts_of, row_of
from pipeflow.runtime.messages import ItemId

#: What units hold: an item, nothing at the cost of a credit, or they are another's.
KINDS = st.sampled_from(["item", "item", "empty", "other", "other"])

#: Of each unit what it held, and its credit; ``None``: it is another's.
Units = dict[int, tuple[list[tuple[ItemId, Any]], int] | None]


def units_of(parts: list[Part]) -> Units:
    """What they tell of each unit; they rise, and each is complete."""
    told: Units = {}
    for part in parts:
        assert part.closed
        for unit in range(part.unit, part.unit + part.span):
            assert unit not in told
            other = not part.items and not part.cost
            told[unit] = None if other else ([*part.items], part.cost)
    assert list(told) == sorted(told)
    return told


class Writer:
    """Writes units one after the other, and cuts a frame where it is told to."""

    def __init__(self) -> None:
        self.run, self.written = GappedRun(), Units()
        self.frames: list[tuple[bytes, list[Any]]] = []

    def write(self, kind: str, prefix: ItemId) -> None:
        unit = len(self.written)
        if kind == "other":
            self.run.end = unit + 1
            self.written[unit] = None
            return
        self.run.announce((unit,), unit + 1)
        if kind == "empty":
            self.run.leave_empty()
            self.written[unit] = ([], 1)
            return
        self.run.begin(prefix, 2 * unit)
        self.run.append(f"item {unit}", 2 * unit)
        self.written[unit] = ([((*prefix, 2 * unit), f"item {unit}")], 0)

    def cut(self) -> None:
        if self.run.has_news():
            cut = self.run.cut()
            self.frames.append((cut.meta, cut.payloads))


@given(
    units=st.lists(st.tuples(KINDS, st.sampled_from([(0,), (0, 7)]), st.booleans()), max_size=40)
)
def test_each_unit_comes_as_it_was_written_however_the_run_is_cut(
    units: list[tuple[str, ItemId, bool]],
) -> None:
    writer = Writer()
    for kind, prefix, cut in units:
        writer.write(kind, prefix)
        if cut:
            writer.cut()
    writer.cut()

    frames = [parts_of(meta, payloads) for meta, payloads in writer.frames]

    assert units_of([part for frame in frames for part in frame]) == writer.written
    for (meta, payloads), parts in zip(writer.frames, frames, strict=True):
        ids = [item for part in parts for item, _ in part.items]
        assert [id_at(meta, at) for at in range(len(payloads))] == ids
        assert not ids or first_id(meta) == ids[0]


@given(kinds=st.lists(KINDS, min_size=1, max_size=30), at=st.integers(0, 40))
def test_a_row_is_cut_at_a_unit_and_both_parts_tell_the_same(kinds: list[str], at: int) -> None:
    writer = Writer()
    for number, kind in enumerate(kinds):
        writer.write(kind, (0,) if number % 9 < 5 else (0, 7))
    writer.cut()
    row = row_of(*writer.frames[0])
    assert row is not None
    end = 1 + at % len(kinds)

    before, rest = cut_row(row, end)

    both = [before] if rest is None else [before, rest]
    assert [part.unit for part in both] == [0, end][: len(both)]
    again: list[Part] = []
    for part in both:
        assert isinstance(part.items, GappedItems)
        pairs = [*part.items]
        assert part.cost == len(part.items.told.empties)
        for unit, span, place in part.items.told.pieces():
            own = [pairs[place]] if place is not None and place >= 0 else []
            again.append(Part(0, unit, span, own, closed=True, cost=int(place == -1)))
    assert units_of(again) == writer.written


def test_what_was_announced_and_has_not_come_is_not_told() -> None:
    run = GappedRun()
    run.go_on_at(5)
    run.announce((7, 9, 12), 15)
    run.begin((0,), 70)
    run.append("a", 70)
    run.leave_empty()

    cut = run.cut()

    told = gapped(cut.meta)
    assert (told.unit, told.end, [*told.units], [*told.empties]) == (5, 12, [7], [9])
    run.retract()
    assert not run.has_news()
    assert run.end == 12


def test_a_run_without_gaps_is_told_as_all_runs_are() -> None:
    run = GappedRun()
    run.go_on_at(5)
    run.announce((5, 6), 7)
    run.begin((0,), 70)
    run.append("a", 70)
    run.append("b", 71)

    plain = run.cut()
    run.announce((8,), 9)
    run.append("c", 72)

    assert plain.meta[0] == PLAIN_FORM
    assert run.cut().meta[0] == GAPPED_FORM

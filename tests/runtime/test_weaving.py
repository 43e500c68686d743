"""Parts of units from several writers: rows of them are woven into rows of calls."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.gapped import GappedRun
from pipeflow.runtime.flow.joins import Call, Calls, Output, Passed
from pipeflow.runtime.flow.merging import Merge
from pipeflow.runtime.flow.recounting import Recounter
from pipeflow.runtime.flow.units import Batch
from pipeflow.transports.codec import Decoder, Encoder

#: What a writer has of a unit: one result, several, none at the cost of a credit, or none.
GIVEN = st.sampled_from(["one", "one", "one", "other", "other", "empty", "two"])


class Writer:
    """One of the writers: rows as runs, what is more by a batch, as a stage that keeps units."""

    def __init__(self, number: int) -> None:
        self.number, self.run, self.batch = number, GappedRun(), Batch()
        self.frames: list[tuple[bytes, list[Any], int]] = []

    def give(self, unit: int, given: str) -> list[Any]:
        """The results of a unit here."""
        if given == "two":
            self.cut()
            for step in range(2):
                name = (self.number, unit, step)
                item = (0, unit, step)
                self.batch.add(0, unit, item, self.batch.settle(name, Encoder().pile))
            self.batch.close(0, unit)
            self._send_batch()
            self.run.go_on_at(unit + 1)
            return [(self.number, unit, step) for step in range(2)]
        if given == "other":
            self.run.end = unit + 1
            return []
        self.run.announce((unit,), unit + 1)
        if given == "empty":
            self.run.leave_empty()
            return []
        self.run.begin((0,) if unit % 11 else (0, 5), unit)
        self.run.append((self.number, unit), unit)
        return [(self.number, unit)]

    def cut(self) -> None:
        if self.run.has_news():
            owed = self.run.waiting
            cut = self.run.cut()
            self.frames.append((cut.meta, cut.payloads, owed))

    def _send_batch(self) -> None:
        assert self.batch.pile is not None
        payloads = Decoder().decode(self.batch.pile.packet())
        self.frames.append((self.batch.meta(), payloads, len(payloads)))
        self.batch = Batch()


def seen_in(outputs: list[Output], owed: dict[str, int]) -> list[tuple[Any, Any]]:
    """Ids and items in the order in which they come; their credit goes to their frames."""
    seen: list[tuple[Any, Any]] = []
    for output in outputs:
        match output:
            case Calls():
                for at in range(len(output.payloads)):
                    one = output.single(at)
                    seen.append((one.id, one.payload))
                    owed[one.origins[0].frame] -= 1
            case Call(payload, item, _, _, (origin,)):
                seen.append((item, payload))
                owed[origin.frame] -= 1
            case Passed(origin, cost):
                owed[origin.frame] -= cost
            case _:
                raise AssertionError(output)
    return seen


@given(
    units=st.lists(st.lists(GIVEN, min_size=3, max_size=3), max_size=40),
    cuts=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 39)), max_size=30),
    order=st.randoms(use_true_random=False),
    writers=st.integers(2, 3),
)
def test_items_come_by_their_units_and_writers_and_all_credit_goes_back(
    units: list[list[str]], cuts: list[tuple[int, int]], order: Any, writers: int
) -> None:
    ways = [Writer(number) for number in range(writers)]
    wanted: list[Any] = []
    for unit, each in enumerate(units):
        for way in ways:
            wanted += way.give(unit, each[way.number])
            if (way.number, unit) in cuts:
                way.cut()
    for way in ways:
        way.cut()
    collector = Collector(writers=writers, lanes=1, ordered=True, in_parts=True, first=0, step=1)
    merge = Merge([collector], [0], unit_ends=False)
    merge.give_rows(woven=True)
    owed: dict[str, int] = {}
    seen: list[tuple[Any, Any]] = []

    waiting = [way for way in ways if way.frames]
    while waiting:
        way = order.choice(waiting)
        meta, payloads, cost = way.frames.pop(0)
        name = f"{way.number}:{len(way.frames)}"
        owed[name] = cost
        collector.feed_frame(way.number, meta, payloads, name)
        waiting = [each for each in ways if each.frames]
        seen += seen_in([*iter(merge.take, None)], owed)
    for way in ways:
        collector.end(way.number)
    seen += seen_in([*iter(merge.take, None)], owed)

    assert [payload for _, payload in seen] == wanted
    assert [item[-1] if len(payload) == 2 else item[1] for item, payload in seen] == [
        payload[1] for payload in wanted
    ]
    assert not any(owed.values())
    assert merge.over()
    assert collector.frontier[0] <= len(units)


def test_a_row_of_several_frames_counts_on_if_its_items_do() -> None:
    ways = [Writer(0), Writer(1)]
    for unit in range(1, 9):
        for way in ways:
            way.give(unit, "one" if unit % 2 == way.number else "other")
    collector = Collector(writers=2, lanes=1, ordered=True, in_parts=True, first=0, step=1)
    merge = Merge([collector], [0], unit_ends=False)
    merge.give_rows(woven=True)
    for way in ways:
        way.cut()
        collector.feed_frame(way.number, *way.frames[0][:2], way.number)

    row = merge.take()

    assert isinstance(row, Calls)
    assert row.ordinals == range(1, 9)
    assert [*row.froms] == [1, 0] * 4
    assert [origin.frame for origin in row.origins] == [0, 1]


def test_the_first_writers_item_of_a_unit_is_first_if_several_have_one() -> None:
    ways = [Writer(0), Writer(1)]
    collector = Collector(writers=2, lanes=1, ordered=True, in_parts=True, first=0, step=1)
    merge = Merge([collector], [0], unit_ends=False)
    merge.give_rows(woven=True)
    for way in ways:
        for unit in range(1, 4):
            way.give(unit, "one")
        way.cut()
    for way in reversed(ways):
        collector.feed_frame(way.number, *way.frames[0][:2], None)

    row = merge.take()

    assert isinstance(row, Calls)
    assert row.payloads == [(number, unit) for unit in range(1, 4) for number in range(2)]


def test_what_one_writer_has_of_the_unit_that_is_due_does_not_wait_for_the_others() -> None:
    first = Writer(0)
    collector = Collector(writers=2, lanes=1, ordered=True, in_parts=True, first=0, step=1)
    merge = Merge([collector], [0], unit_ends=False)
    merge.give_rows(woven=True)
    first.give(0, "one")
    first.give(1, "one")
    first.cut()
    collector.feed_frame(0, *first.frames[0][:2], None)

    call = merge.take()

    assert isinstance(call, Call)
    assert call.payload == (0, 0)
    assert merge.take() is None
    assert collector.holds()


def test_who_counts_anew_gets_no_rows() -> None:
    recounter = Recounter(writers=2, lanes=1, ordered=True, in_parts=True, first=0, step=1)

    Merge([recounter], [0], unit_ends=False).give_rows(woven=True)

    assert not recounter.keeps_rows


def test_a_unit_that_gave_nothing_makes_no_row_of_calls() -> None:
    first = Writer(0)
    collector = Collector(writers=2, lanes=1, ordered=True, in_parts=False, first=0, step=1)
    merge = Merge([collector], [0], unit_ends=False)
    merge.give_rows(woven=True)
    first.give(0, "empty")
    first.cut()

    collector.feed_frame(0, *first.frames[0][:2], None)

    (output,) = iter(merge.take, None)
    assert isinstance(output, Passed)
    assert output.cost == 1

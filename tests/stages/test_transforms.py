"""Operators that reshape a stream, in memory and on a clock that the test moves."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeflow.stages.operators.batch import Batch
from pipeflow.stages.operators.delay import Delay
from pipeflow.stages.operators.throttle import Throttle
from pipeflow.stages.operators.window import TimeWindows
from pipeflow.stages.seconds import microseconds
from pipeflow.stages.spilling import MERGED, weight
from pipeflow.stages.work import Routed, Work
from tests.stages.working import load, results


class Clock:
    """Seconds that pass when the test, or a wait, says so."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def rest(self, seconds: float | None = None, fd: int = -1) -> bool:
        assert seconds is not None
        self.waits.append(seconds)
        self.time += seconds
        return True


def many(operator: str, items: list[Any], **parameters: object) -> list[Any]:
    """The same for stages that give any number of results an item."""
    work = load(operator, **parameters)
    assert work.call is not None
    sent: list[Any] = []
    for item in items:
        result = work.call(item)
        sent += list(result) if hasattr(result, "__next__") else [] if result is None else [result]
    return sent + list((work.finish and work.finish()) or ())


def call(work: Work, item: Any) -> Any:
    assert work.call is not None
    return work.call(item)


# ------------------------------------------------------------------ members


def test_flat_map_gives_the_members_of_what_its_expression_gives() -> None:
    assert many("flat_map", ["a b", "", "c"], expr="item.split()") == ["a", "b", "c"]
    assert many("flat_map", [3], expr="(n for n in range(item))") == [0, 1, 2]
    assert many("flat_map", [1], expr="None") == []


def test_unbatch_undoes_batch() -> None:
    batches = results("batch", [1, 2, 3, 4, 5], size=2)

    assert batches == [[1, 2], [3, 4], [5]]
    assert many("unbatch", batches) == [1, 2, 3, 4, 5]
    assert many("unbatch", [np.arange(3)]) == [0, 1, 2]


@pytest.mark.parametrize("item", ["text", b"bytes", {"a": 1}, 7])
def test_what_has_no_members_or_other_ones_than_meant_is_refused(item: Any) -> None:
    with pytest.raises(TypeError, match="this is"):
        many("unbatch", [item])


# ------------------------------------------------------------------ which items


def test_skip_leaves_out_the_first() -> None:
    assert results("skip", [1, 2, 3], n=2) == [3]
    assert results("skip", [1], n=2) == []


def test_route_takes_the_first_port_that_holds() -> None:
    work = load("route", to={"small": "item < 2", "even": "item % 2 == 0"})

    assert [call(work, n) for n in (0, 4, 5)] == [
        Routed("small", 0),
        Routed("even", 4),
        Routed("unmatched", 5),
    ]


def test_distinct_knows_records_by_what_is_in_them() -> None:
    rows: list[Any] = [{"a": 1, "b": [2]}, {"b": [2], "a": 1}, {"a": 1, "b": (2,)}, {"a": {3}}]

    assert results("distinct", rows) == [rows[0], rows[2], rows[3]]


def test_distinct_within_remembers_what_was_seen_last() -> None:
    assert results("distinct", list("abacb"), within=2) == ["a", "b", "c", "b"]
    assert results("distinct", list("abacb")) == ["a", "b", "c"]


def test_distinct_says_what_to_do_with_what_cannot_be_compared() -> None:
    with pytest.raises(TypeError, match=r"type ndarray cannot be compared.* give `by`"):
        results("distinct", [np.arange(3)])


def test_sample_takes_about_its_part_and_none_or_all_at_the_ends() -> None:
    items = list(range(10_000))

    assert 2800 < len(results("sample", items, rate=0.3)) < 3200
    assert results("sample", items, rate=0) == []
    assert results("sample", items, rate=1) == items


# ------------------------------------------------------------------ windows


def test_windows_overlap_and_nothing_is_lost_at_the_end() -> None:
    assert results("window", [1, 2, 3, 4, 5], size=3, slide=1) == [[1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert results("window", [1, 2, 3, 4], size=3, slide=2) == [[1, 2, 3], [3, 4]]
    assert results("window", [1, 2, 3, 4], size=3) == [[1, 2, 3], [4]]
    assert results("window", [1, 2, 3, 4], size=3, partial=False) == [[1, 2, 3]]
    assert results("window", list(range(7)), size=2, slide=3) == [[0, 1], [3, 4], [6]]


def test_windows_of_time_are_cut_at_whole_multiples_and_given_when_a_later_item_comes() -> None:
    work = load("window", every=10, time="item")

    assert call(work, 1003) is None
    assert call(work, 1009.5) is None
    assert list(call(work, 1010)) == [{"start": 1000, "end": 1010, "items": [1003, 1009.5]}]
    assert call(work, 1009) == Routed("late", 1009)
    assert list(call(work, 1035)) == [{"start": 1010, "end": 1020, "items": [1010]}]
    assert work.finish is not None
    assert list(work.finish() or ()) == [{"start": 1030, "end": 1040, "items": [1035]}]


def test_lateness_keeps_windows_open_for_items_that_come_late() -> None:
    work = load("window", every=10, time="item", lateness=5)

    assert [call(work, t) for t in (1003, 1012, 1009)] == [None, None, None]
    assert list(call(work, 1015)) == [{"start": 1000, "end": 1010, "items": [1003, 1009]}]


def test_windows_of_time_may_overlap() -> None:
    windows = many("window", [0, 4, 5, 9], every=5, span=10, time="item")

    assert [(one["start"], one["items"]) for one in windows] == [
        (-5, [0, 4]),
        (0, [0, 4, 5, 9]),
        (5, [5, 9]),
    ]


def test_a_tenth_of_a_second_is_not_blurred_by_floats() -> None:
    windows = many("window", [0.1, 0.2, 0.3, 0.7], every=0.1, time="item")

    assert [one["start"] for one in windows] == [0.1, 0.2, 0.3, 0.7]


def test_windows_of_datetimes_have_datetimes_of_the_same_zone() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    at = dt.datetime(2024, 5, 1, 12, 7, tzinfo=zone)

    (window,) = many("window", [at], every=600, time="item")

    assert window["start"] == dt.datetime(2024, 5, 1, 12, 0, tzinfo=zone)
    assert window["start"].tzinfo == zone
    assert microseconds(at.replace(tzinfo=None)) == microseconds(at.replace(tzinfo=dt.UTC))


@pytest.mark.parametrize("time", ["12:00", None, True, float("nan")])
def test_what_is_no_time_is_refused(time: Any) -> None:
    with pytest.raises(TypeError, match="a time is a number of seconds since 1970"):
        microseconds(time)


def test_windows_of_arrivals_are_given_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(TimeWindows, "now", staticmethod(clock.now))
    windows = TimeWindows(10.0, 10.0, None, 0.0)

    windows.add("a")
    clock.time = 1009.0
    windows.add("b")
    before = list(windows.over_by_now())
    clock.time = 1010.0
    after = list(windows.over_by_now())

    assert before == []
    assert after == [{"start": 1000, "end": 1010, "items": ["a", "b"]}]
    assert windows.due() is None


def test_a_clock_that_is_put_back_loses_no_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(TimeWindows, "now", staticmethod(clock.now))
    windows = TimeWindows(10.0, 10.0, None, 0.0)

    windows.add("a")
    clock.time = 1020.0
    given = list(windows.add("b"))
    clock.time = 900.0
    windows.add("c")

    assert [one["items"] for one in [*given, *windows.rest()]] == [["a"], ["b", "c"]]


def test_a_batch_is_due_when_its_first_item_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(Batch, "now", staticmethod(clock.now))
    batch = Batch(size=3, wait=0.5)

    nothing = batch.due()
    batch("a")
    clock.time += 0.4
    batch("b")
    due = batch.due()
    given = list(batch.tick())

    assert nothing is None
    assert due == 1000.5
    assert given == [["a", "b"]]
    assert batch.due() is None


def test_only_what_has_a_clock_asks_to_be_woken() -> None:
    assert load("batch", size=3, wait=1).due is not None
    assert load("batch", size=3).due is None
    assert load("window", every=1).due is not None
    assert load("window", every=1, time="item").due is None
    assert load("window", size=1).due is None


# ------------------------------------------------------------------ time


def test_throttle_lets_pass_so_many_a_second_after_a_burst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(Throttle, "now", staticmethod(clock.now))
    monkeypatch.setattr(Throttle, "rest", staticmethod(clock.rest))
    throttle = Throttle(rate=10.0, burst=3)

    passed = []
    for item in range(5):
        throttle(item)
        passed.append(clock.time - 1000)
    clock.time += 60
    for item in range(4):
        throttle(item)
        passed.append(clock.time - 1060)

    assert passed == pytest.approx([0, 0, 0, 0.1, 0.2, 0.2, 0.2, 0.2, 0.3], abs=1e-6)


def test_delay_waits_with_each_item_or_until_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(Delay, "now", staticmethod(clock.now))
    monkeypatch.setattr(Delay, "rest", staticmethod(clock.rest))

    for item in range(2):
        Delay(by=0.5, time=None)(item)
    by_time = Delay(by=2.0, time=lambda item: item)
    for item in (1000, 990, 1004):
        by_time(item)

    assert clock.waits == [0.5, 0.5, 1.0, 4.0]


# ------------------------------------------------------------------ figures


def test_reduce_folds_from_the_first_item_or_from_its_start() -> None:
    assert results("reduce", [3, 5, 4], expr="max(acc, item)") == [5]
    assert results("reduce", [3, 5], expr="acc + [item]", start=[]) == [[3, 5]]
    assert results("reduce", [], expr="acc + item") == []
    assert results("reduce", [], expr="acc + item", start=7) == [7]
    assert results("reduce", [1, 2, 3], expr="acc + item", running=True) == [1, 3, 6]


def test_reduce_by_key_begins_each_with_a_start_of_its_own() -> None:
    got = results("reduce", [1, 2, 3], expr="acc.append(item) or acc", start=[], by="item % 2")

    assert got == [{"key": 1, "value": [1, 3]}, {"key": 0, "value": [2]}]


ROWS: list[Any] = [
    {"user": "a", "day": 1, "bytes": 5},
    {"user": "b", "day": 1, "bytes": None},
    {"user": "a", "day": 2, "bytes": 1},
    {"user": "a", "day": 1, "bytes": 9},
]


def test_group_has_figures_of_every_kind() -> None:
    size = 'item["bytes"]'
    kinds = ("sum", "mean", "min", "max", "first", "last", "distinct", "list")

    got = results("group", ROWS, by='item["user"]', **dict.fromkeys(kinds, size))

    assert got == [
        {
            "key": "a", "count": 3, "sum": 15, "mean": 5.0, "min": 1, "max": 9, "first": 5,
            "last": 9, "distinct": 3, "list": [5, 1, 9],
        },
        {
            "key": "b", "count": 1, "sum": None, "mean": None, "min": None, "max": None,
            "first": None, "last": None, "distinct": 0, "list": [],
        },
    ]  # fmt: skip


def test_group_names_its_fields_as_it_is_told() -> None:
    got = results(
        "group",
        ROWS,
        by={"who": 'item["user"]', "day": 'item["day"]'},
        count="",
        sum={"total": 'item["bytes"]', "days": 'item["day"]'},
    )

    assert got == [
        {"who": "a", "day": 1, "total": 14, "days": 2},
        {"who": "b", "day": 1, "total": None, "days": 1},
        {"who": "a", "day": 2, "total": 1, "days": 2},
    ]
    assert results("group", ROWS, max='item["day"]') == [{"count": 4, "max": 2}]


def test_group_of_sorted_items_gives_each_record_when_the_key_changes() -> None:
    work = load("group", by="item", sorted=True)

    given = [call(work, item) for item in "aabb"]

    assert given == [None, None, {"key": "a", "count": 2}, None]
    assert work.finish is not None
    assert list(work.finish() or ()) == [{"key": "b", "count": 2}]


@pytest.mark.parametrize("item", [{"a": 1, "b": [1]}, {"a": "x", "b": 1}])
def test_an_item_that_group_cannot_add_leaves_no_trace(item: Any) -> None:
    work = load("group", sum='item["a"]', distinct='item["b"]', list='item["a"]')
    call(work, {"a": 1, "b": 1})

    with pytest.raises(TypeError):
        call(work, item)

    assert work.finish is not None
    records = list(work.finish() or [])
    assert records == [{"count": 1, "sum": 1, "distinct": 1, "list": [1]}]


# ------------------------------------------------------------------ sort


@pytest.mark.parametrize("memory", [2**26, 2000, 1])
@pytest.mark.parametrize("reverse", [False, True])
def test_sort_is_what_sorted_is_in_memory_and_on_disk(
    tmp_path: Path, memory: int, reverse: bool
) -> None:
    draw = random.Random(7)
    items = [{"key": draw.randrange(20), "n": n} for n in range(1500)]

    got = results(
        "sort", items, by='item["key"]', reverse=reverse, memory=memory, folder=str(tmp_path)
    )

    assert len(items) > MERGED**2
    assert got == sorted(items, key=lambda item: item["key"], reverse=reverse)
    assert list(tmp_path.iterdir()) == []


def test_sort_without_by_sorts_the_items_themselves() -> None:
    assert results("sort", [3, 1, 2]) == [1, 2, 3]
    assert results("sort", [3, 1, 2], memory=1) == [1, 2, 3]
    assert results("sort", []) == []


def test_an_item_that_cannot_be_compared_is_its_own_error_and_leaves_no_trace() -> None:
    work = load("sort", by="item")
    call(work, 2)

    with pytest.raises(TypeError, match="'<' not supported"):
        call(work, None)
    call(work, 1)

    assert work.finish is not None
    assert list(work.finish() or ()) == [1, 2]


def test_sort_keeps_to_its_memory() -> None:
    work = load("sort", memory=100_000)
    held = work.call.__self__._items  # type: ignore[union-attr]  # to look at what it holds

    most = 0
    for number in range(2000):
        call(work, f"{number:>500}")
        most = max(most, weight(held))
    assert work.close is not None
    work.close()

    assert most < 150_000


def test_the_weight_of_a_value_counts_what_is_in_it() -> None:
    assert weight({"a": "x" * 1000, "b": ["y" * 500]}) > 1500
    assert weight(np.zeros(1000)) > 8000
    assert weight((1, None)) < 200


# ------------------------------------------------------------------ join


TABLE = [{"id": 1, "name": "Ada", "born": 1815}, {"id": 2, "name": "Grace", "born": 1906}]


def test_join_adds_the_row_of_the_key_and_keeps_what_an_item_has() -> None:
    work = load("join", table=TABLE, by='item["user"]', key="id")

    assert call(work, {"user": 2, "born": "?"}) == {"user": 2, "born": "?", "name": "Grace"}
    assert call(work, {"user": 3}) == Routed("unmatched", {"user": 3})


def test_join_does_with_missing_keys_as_it_is_told() -> None:
    settings: dict[str, Any] = {"table": TABLE, "by": 'item["user"]', "key": "id"}

    kept = results("join", [{"user": 3}], missing="keep", columns=["name"], **settings)

    assert kept == [{"user": 3, "name": None}]
    with pytest.raises(LookupError, match="the table has no key 3"):
        results("join", [{"user": 3}], missing="fail", **settings)


def test_join_reads_its_table_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,name\n1,Ada\n")
    (tmp_path / "people.jsonl").write_text('{"id": 1, "name": "Ada"}\n')
    settings: dict[str, Any] = {"by": "item['user']", "key": "id", "missing": "fail"}

    typed = results(
        "join",
        [{"user": 1}],
        table=str(tmp_path / "people.csv"),
        types={"id": "integer"},
        **settings,
    )
    json = results("join", [{"user": 1}], table=str(tmp_path / "people.jsonl"), **settings)

    assert typed == json == [{"user": 1, "name": "Ada"}]
    with pytest.raises(LookupError, match="no key 1, but it has '1': give `types`"):
        results("join", [{"user": 1}], table=str(tmp_path / "people.csv"), **settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1}\n{"id": 1}\n', "the key 1 twice, again in row 2"),
        ('{"it": 1}\n', "row 1 of the table has no column 'id'; it has it"),
        ("[1]\n", "row 1 of the table is a list, no mapping"),
        ("{\n", "line 1"),
    ],
)
def test_a_table_that_is_wrong_is_told_when_the_stage_starts(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text(text)

    with pytest.raises(ValueError, match=message):
        load("join", table=str(path), by="item", key="id")


def test_parameters_that_do_not_go_together_are_refused_when_there_is_no_file_to_show() -> None:
    with pytest.raises(ValueError, match="'span' is for a window of so much time"):
        load("window", size=3, span=1)
    with pytest.raises(ValueError, match="two fields of the result are called 'key'"):
        load("group", by="item", sum={"key": "item"})

"""The operators give the same, ids included, on every executor; the ledger balances with each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.report import Status
from tests.executors.judging import succeeded
from tests.executors.running import EXECUTORS, run

pytestmark = pytest.mark.processes

#: Records ``{"n": n, "tags": [n % 3, str(n)]}`` with n from 0 to 29.
RECORDS = {"call": "shapes:records", "with": {"stop": 30}}
KEY = {"key": 'item["n"] % 4'}

#: What to run, and how many items come out by ``out`` and by another port.
CASES: dict[str, tuple[dict[str, Any], str, int, int]] = {
    "flat_map": ({"with": {"expr": 'item["tags"]'}}, "", 60, 0),
    "flat_map in replicas": ({"with": {"expr": 'item["tags"]'}, "replicas": 3}, "", 60, 0),
    "skip": ({"with": {"n": 7}}, "", 23, 0),
    "sample": ({"with": {"rate": 0.5}}, "", 13, 0),
    "sample in replicas": ({"with": {"rate": 0.5}, "replicas": 3}, "", 13, 0),
    "sample by key": ({"with": {"rate": 0.5, "by": 'item["n"] // 5'}}, "", 20, 0),
    "distinct": ({"with": {"by": 'item["tags"][0]'}}, "", 3, 0),
    "distinct by key": (
        {"with": {"by": 'item["n"] % 8'}, "replicas": 2, "partition": KEY}, "", 8, 0,
    ),
    "batch": ({"with": {"size": 4}}, "", 8, 0),
    "batch by key that may wait": (
        {"with": {"size": 4, "wait": "1h"}, "replicas": 2, "partition": KEY}, "", 8, 0,
    ),
    "batch by key": ({"with": {"size": 4}, "replicas": 2, "partition": KEY}, "", 8, 0),
    "window": ({"with": {"size": 8, "slide": 5}}, "", 6, 0),
    "window by time": (
        {"with": {"every": "4s", "time": 'item["n"] - 9 * (item["n"] % 10 == 9)'}},
        "late", 8, 3,
    ),
    "reduce": ({"with": {"expr": 'acc + item["n"]', "start": 0}}, "", 1, 0),
    "reduce by key": (
        {
            "with": {"expr": 'acc + item["n"]', "start": 0, "by": 'item["n"] % 4'},
            "replicas": 3,
            "partition": KEY,
        }, "", 4, 0,
    ),
    "group": (
        {"with": {"by": 'item["tags"][0]', "sum": 'item["n"]', "list": 'item["n"]'}}, "", 3, 0,
    ),
    "group by key": (
        {"with": {"by": 'item["n"] % 4', "mean": 'item["n"]'}, "replicas": 3, "partition": KEY},
        "", 4, 0,
    ),
    "group sorted": ({"with": {"by": 'item["n"] // 7', "sorted": True}}, "", 5, 0),
    "sort": ({"with": {"by": 'item["tags"][1]'}}, "", 30, 0),
    "sort on disk": ({"with": {"by": 'item["tags"][0]', "memory": "1KiB"}}, "", 30, 0),
    "join": (
        {
            "with": {
                "table": [{"id": 0, "name": "zero"}, {"id": 2, "name": "two"}],
                "by": 'item["tags"][0]',
                "key": "id",
            },
            "replicas": 2,
        }, "unmatched", 20, 10,
    ),
    "throttle": ({"with": {"rate": 3000}, "replicas": 2}, "", 30, 0),
    "delay": ({"with": {"by": "1ms"}}, "", 30, 0),
    "log": ({"with": {"every": 10}}, "", 30, 0),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_operator_gives_the_same_everywhere(case: str, tmp_path: Path) -> None:
    settings, other, count, others = CASES[case]
    stages: dict[str, Any] = {
        "source": RECORDS,
        "it": {"use": case.split(maxsplit=1)[0], "inputs": "source", **settings},
        "sink": {"keep": "it"},
    }
    if other:
        stages["rest"] = {"keep": f"it.{other}"}

    inline, local = (run(tmp_path / each, stages, each) for each in EXECUTORS)

    succeeded(inline)
    succeeded(local)
    assert local.kept == inline.kept
    assert len(inline.kept["sink"]) == count
    assert len(inline.kept.get("rest", [])) == others
    assert local.stage("it").received == 30
    assert local.stage("it").emitted == inline.stage("it").emitted


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_route_sends_each_item_to_the_first_port_that_takes_it(
    tmp_path: Path, executor: str, replicas: int
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 40}},
        "kinds": {
            "use": "route",
            "inputs": "source",
            "with": {"to": {"three": "item % 3 == 0", "even": "item % 2 == 0", "none": "item < 0"}},
            "replicas": replicas,
        },
        "threes": {"keep": "kinds.three"},
        "evens": {"keep": "kinds.even"},
        "rest": {"keep": "kinds.unmatched"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    numbers = range(40)
    assert outcome.kept["threes"] == [((0, n), n) for n in numbers if n % 3 == 0]
    assert outcome.kept["evens"] == [((0, n), n) for n in numbers if n % 3 and n % 2 == 0]
    assert outcome.kept["rest"] == [((0, n), n) for n in numbers if n % 3 and n % 2]
    emitted = outcome.stage("kinds").emitted
    assert emitted == {"three": 14, "even": 13, "none": 0, "unmatched": 13}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_leaves_by_a_port_that_nobody_reads_is_told(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 5}},
        "kinds": {"use": "route", "inputs": "source", "with": {"to": {"even": "item % 2 == 0"}}},
        "sink": {"keep": "kinds.even"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [0, 2, 4]
    assert outcome.lines() == ["2 items left by 'kinds.unmatched', which nobody reads"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_zip_looks_through_a_route_and_a_distinct(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 40}},
        "kinds": {"use": "route", "inputs": "source", "with": {"to": {"even": "item % 2 == 0"}}},
        "first": {"use": "distinct", "inputs": "source", "with": {"by": "item // 4"}},
        "pair": {"call": "shapes:pair", "inputs": {"left": "kinds.even", "right": "first"}},
        "sink": {"keep": "pair"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.kept["sink"] == [((0, n), [n, n]) for n in range(0, 40, 4)]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_batch_that_has_waited_leaves_though_nothing_comes(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 3}},
        "ticks": {"use": "timer", "with": {"every": "100ms", "count": 3}},
        "few": {
            "use": "batch",
            "inputs": ["source", "ticks"],
            "with": {"size": 100, "wait": "1ms"},
        },
        "sink": {"keep": "few"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    lists = outcome.items("sink")
    assert sorted(item for one in lists for item in one) == [0, 0, 1, 1, 2, 2]
    assert len(lists) > 1  # a list is full at 100


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_window_of_arrivals_is_given_when_it_is_over(tmp_path: Path, executor: str) -> None:
    stages = {
        "ticks": {"use": "timer", "with": {"every": "400ms", "count": 3}},
        "windows": {"use": "window", "inputs": "ticks", "with": {"every": "50ms"}},
        "sink": {"keep": "windows"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    windows = outcome.items("sink")
    assert [window["items"] for window in windows] == [[0], [1], [2]]
    assert all(0.04 < window["end"] - window["start"] < 0.06 for window in windows)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_operators_expression_fails_by_item_and_leaves_no_trace(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 40}},
        "sums": {
            "use": "group",
            "inputs": "source",
            "with": {"by": "item % 2", "sum": "item", "mean": "1 / (item % 5)"},
            "on_error": "dead_letter",
        },
        "sink": {"keep": "sums"},
        "letters": {"keep": "sums.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert [letter["item"] for letter in outcome.items("letters")] == list(range(0, 40, 5))
    good = [n for n in range(40) if n % 5]
    assert [(row["count"], row["sum"]) for row in outcome.items("sink")] == [
        (16, sum(n for n in good if n % 2 == 1))
        if key
        else (16, sum(n for n in good if n % 2 == 0))
        for key in (1, 0)
    ]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_reader_that_has_enough_ends_a_throttle_at_its_wait(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 1000}},
        "slowly": {"use": "throttle", "inputs": "source", "with": {"rate": 0.01, "burst": 2}},
        "two": {"use": "take", "inputs": "slowly", "with": {"n": 2}},
        "sink": {"keep": "two"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.report.ledger.balanced
    assert outcome.report.run.status is Status.SUCCEEDED
    assert outcome.items("sink") == [0, 1]
    assert outcome.worked_s < 5

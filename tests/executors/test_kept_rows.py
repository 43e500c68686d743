"""Stages that keep units get rows and give rows, whatever comes in between: as ``inline`` has it.

Graphs drawn at random have few items, which seldom come in rows; here many do, and it is counted
that rows were broken up in each way that there is.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.executors.judging import succeeded
from tests.executors.running import Outcome, run
from tests.executors.test_random_graphs import counts, drawn

pytestmark = pytest.mark.processes

#: Of what ``mixed.like`` gives, whatever it is.
KEY = 'item["n"] % 7 if isinstance(item, dict) else type(item).__name__'
CAPACITIES = st.sampled_from([1, 2, 3, 16, 256])


def edge(port: str, capacity: int) -> dict[str, Any]:
    return {"from": port, "capacity": capacity}


def mixed(port: str, capacity: int, **settings: Any) -> dict[str, Any]:
    return {"call": "mixed:Mixed", "inputs": edge(port, capacity), **settings}


def chain(capacities: tuple[int, int], replicas: tuple[int, int]) -> dict[str, Any]:
    """Replicas with order, one behind the other."""
    return {
        "last": mixed("source", capacities[0], replicas=replicas[0]),
        "numbers": {
            "call": "mixed:number",
            "inputs": edge("last", capacities[1]),
            "replicas": replicas[1],
        },
        "sink": {"keep": edge("numbers", capacities[1])},
    }


def diamond(capacities: tuple[int, int], replicas: tuple[int, int]) -> dict[str, Any]:
    """Stages between a fork and its zip."""
    left, right = capacities
    return {
        "left": mixed("source", left, replicas=replicas[0]),
        "right": {"call": "mixed:number", "inputs": edge("source", right), "replicas": replicas[1]},
        "pair": {"call": "mixed:pair", "inputs": {"left": "left", "right": edge("right", right)}},
        "sink": {"keep": "pair"},
    }


def by_key(capacities: tuple[int, int], replicas: tuple[int, int]) -> dict[str, Any]:
    """Replicas of which each gets some keys, and then others that get what these give."""
    return {
        "last": mixed("source", capacities[0], replicas=1 + replicas[0], partition={"key": KEY}),
        "numbers": {
            "call": "mixed:number",
            "inputs": edge("last", capacities[1]),
            "replicas": replicas[1] * (1 + replicas[0]),
        },
        "sink": {"keep": edge("numbers", capacities[1])},
    }


def gathered(capacities: tuple[int, int], replicas: tuple[int, int]) -> dict[str, Any]:
    """The same replicas, whose results one reader puts in order."""
    return {
        "last": mixed("source", capacities[0], replicas=1 + replicas[0], partition={"key": KEY}),
        "numbers": {"call": "mixed:number", "inputs": edge("last", capacities[1])},
        "sink": {"keep": "numbers"},
    }


def spread(capacities: tuple[int, int], replicas: tuple[int, int]) -> dict[str, Any]:
    """One worker, whose results go to replicas by keys, once more by others, and to a sink."""
    keyed = {"call": "mixed:same", "partition": {"key": KEY}, "replicas": 1 + replicas[0]}
    return {
        "last": mixed("source", capacities[0]),
        "first": {**keyed, "inputs": edge("last", capacities[1])},
        "second": {**keyed, "inputs": edge("first", capacities[1]), "replicas": 1 + replicas[1]},
        "numbers": {"call": "mixed:number", "inputs": edge("second", capacities[0])},
        "sink": {"keep": edge("numbers", capacities[1])},
    }


def letters(outcome: Outcome) -> list[tuple[Any, Any]]:
    """Names of the letters and their items; when each was written differs."""
    return [(name, letter["item"]) for name, letter in outcome.kept.get("bad", [])]


@pytest.mark.timeout(600)
def test_what_breaks_a_row_up_changes_nothing_of_what_comes(tmp_path: Path) -> None:
    rows: Counter[str] = Counter()

    @drawn(8)
    @given(
        shape=st.sampled_from([chain, diamond, by_key, gathered, spread]),
        capacities=st.tuples(CAPACITIES, CAPACITIES),
        replicas=st.tuples(st.integers(1, 3), st.integers(1, 2)),
        rare=st.sampled_from([2, 5, 40]),
        fails=st.sampled_from(["", "", "skip", "dead_letter"]),
    )
    @example(shape=chain, capacities=(256, 256), replicas=(2, 1), rare=5, fails="")
    @example(shape=by_key, capacities=(256, 256), replicas=(1, 1), rare=40, fails="")
    @example(shape=by_key, capacities=(16, 3), replicas=(2, 2), rare=5, fails="skip")
    @example(shape=gathered, capacities=(16, 256), replicas=(1, 1), rare=5, fails="skip")
    @example(shape=gathered, capacities=(256, 16), replicas=(1, 1), rare=5, fails="dead_letter")
    @example(shape=spread, capacities=(256, 256), replicas=(1, 2), rare=5, fails="")
    @example(shape=diamond, capacities=(16, 16), replicas=(1, 1), rare=5, fails="")
    def each(shape: Any, capacities: Any, replicas: Any, rare: int, fails: str) -> None:
        stages = {
            "source": {"call": "mixed:numbers", "with": {"stop": 2000}},
            **shape(capacities, replicas),
        }
        broken = next(one for one in stages.values() if one.get("call") == "mixed:Mixed")
        if fails:
            broken["on_error"] = fails  # it gets a process beside its own, and other rows
        if fails == "dead_letter":
            stages["bad"] = {"keep": "last.errors" if "last" in stages else "left.errors"}
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            broken["with"] = {"rare": rare, "fails": bool(fails), "many": shape is not diamond}
            expected = run(Path(folder), stages, "inline")
            broken["with"]["folder"] = folder
            got = run(Path(folder), stages, "local")
            for noted in Path(folder).glob("*.rows.json"):
                rows.update(json.loads(noted.read_text()))
        succeeded(expected)
        succeeded(got)
        assert got.kept["sink"] == expected.kept["sink"]
        assert letters(got) == letters(expected)
        assert counts(got) == counts(expected)

    each()
    assert set(rows) == {"whole", "none", "more"}


@pytest.mark.parametrize("one_source", [True, False], ids=["by id", "by position"])
def test_of_a_worker_killed_in_a_row_of_pairs_each_edge_is_told_to_the_last_item(
    tmp_path: Path, *, one_source: bool
) -> None:
    numbers = {"call": "deadly:numbers", "with": {"stop": 2000}}
    right = {"call": "mixed:number", "inputs": "source"} if one_source else numbers
    stages = {
        "source": numbers,
        "right": right,
        "pair": {"call": "deadly:pair", "inputs": {"left": "source", "right": "right"}},
        "sink": {"keep": "pair"},
    }

    report = run(tmp_path, stages, "local").report

    assert report.ledger.balanced, report.ledger.findings
    (pair,) = (stage for stage in report.stages if stage.name == "pair")
    assert (pair.received, pair.processed, pair.failed) == (2036, 2034, 2)
    assert [edge.delivered for edge in report.edges if edge.target == "pair"] == [1018, 1018]
    assert [error.item for error in report.errors] == ["source:1017"]


def test_letters_of_replicas_by_key_whose_processes_die_come_in_order(tmp_path: Path) -> None:
    fatal = [3, 40, 41, 90]
    stages = {
        "source": {"call": "deadly:numbers", "with": {"stop": 120}},
        "work": {
            "call": "deadly:Deadly",
            "inputs": "source",
            "with": {"at": fatal, "how": "SIGKILL", "notes": str(tmp_path / "notes")},
            "replicas": 2,
            "partition": {"key": "item % 5"},
            "on_error": "dead_letter",
        },
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    succeeded(outcome)
    assert outcome.kept["sink"] == [((0, n), n) for n in range(120) if n not in fatal]
    assert letters(outcome) == [((0, n), n) for n in fatal]

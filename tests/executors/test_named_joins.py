"""Joins by key, by position and of the latest, on every executor."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.report import Status
from tests.executors.judging import succeeded
from tests.executors.running import EXECUTORS, run

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

each_executor = pytest.mark.parametrize("executor", EXECUTORS)

#: In the worker itself, and in a process beside it.
beside = pytest.mark.parametrize("more", [{}, {"timeout": "1m"}], ids=["worker", "isolated"])

KEYS = {"order": 'item["id"]', "payment": 'item["order"]'}


def shop(count: int, *, capacity: int = 256, **settle: Any) -> dict[str, Any]:
    def edge(source: str) -> dict[str, Any]:
        return {"from": source, "capacity": capacity}

    return {
        "orders": {"call": "joined:orders", "with": {"count": count}},
        "payments": {"call": "joined:payments", "with": {"count": count}},
        "settle": {
            "call": "joined:settle",
            "inputs": {"order": edge("orders"), "payment": edge("payments")},
            "join": {"key": KEYS},
            **settle,
        },
        "settled": {"keep": "settle"},
        "unpaid": {"keep": "settle.unmatched"},
    }


@each_executor
@pytest.mark.parametrize("capacity", [1, 256])
def test_orders_meet_their_payments(tmp_path: Path, executor: str, capacity: int) -> None:
    outcome = run(tmp_path, shop(500, capacity=capacity), executor)

    succeeded(outcome)
    paid = [number for number in range(500) if number % 5]
    settled = outcome.kept["settled"]
    assert [item for item, _ in settled] == [(2, number) for number in range(len(paid))]
    assert sorted(row for _, row in settled) == [[n, n, n * 7 % 100] for n in paid]
    unpaid = [(0, n) for n in range(0, 500, 5)]
    assert [item for item, _ in outcome.kept["unpaid"]] == unpaid
    edge = outcome.edge("orders.out", "settle")
    assert (edge.sent, edge.delivered, edge.unmatched) == (500, 400, 100)
    assert outcome.stage("settle").received == 800


@pytest.mark.parametrize("within", [3, 25, 1000])
def test_local_gives_the_pairs_that_inline_gives_in_the_same_order(
    tmp_path: Path, within: int
) -> None:
    stages = shop(3000, join={"key": KEYS, "within": within})

    expected, got = (run(tmp_path, stages, executor) for executor in EXECUTORS)

    succeeded(expected)
    succeeded(got)
    assert got.kept == expected.kept
    assert expected.kept["settled"]


@each_executor
def test_replicas_join_the_same_pairs(tmp_path: Path, executor: str) -> None:
    outcome = run(tmp_path, shop(500, replicas=3, capacity=4), executor)

    succeeded(outcome)
    settled = outcome.kept["settled"]
    assert sorted(row[0] for _, row in settled) == [n for n in range(500) if n % 5]
    assert len({item for item, _ in settled}) == 400
    # Each replica counts by itself: every third number is its own.
    for replica in range(3):
        numbers = [item[1] for item, _ in settled if item[1] % 3 == replica]
        assert numbers == list(range(replica, replica + 3 * len(numbers), 3))
    assert sorted(item for item, _ in outcome.kept["unpaid"]) == [(0, n) for n in range(0, 500, 5)]


@each_executor
def test_stages_behind_replicas_that_join_by_key_keep_their_promises(
    tmp_path: Path, executor: str
) -> None:
    """More replicas, a partition with state, and a zip of what the join gives."""
    stages = {
        **shop(400, replicas=3),
        "more": {"call": "joined:fixed", "inputs": "settle", "replicas": 2},
        "same": {"call": "joined:fixed", "inputs": "settle", "replicas": 3},
        "zipped": {"call": "shapes:pair", "inputs": {"left": "more", "right": "same"}},
        "both": {"keep": "zipped"},
        "tally": {
            "call": "shapes:Tally",
            "inputs": "more",
            "replicas": 2,
            "partition": {"key": "item[0]"},
        },
        "counts": {"keep": "tally"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert all(left == right for left, right in outcome.items("both"))
    assert len(outcome.items("both")) == 320
    assert sum(outcome.items("counts")) == 320


@each_executor
def test_ways_from_one_stage_join_by_key_whatever_lies_on_them(
    tmp_path: Path, executor: str
) -> None:
    """One side brings three for each, the other one in a hundred: neither may wait for ever."""

    def edge(source: str) -> dict[str, Any]:
        return {"from": source, "capacity": 2}

    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 4000}},
        "many": {"call": "joined:thrice", "inputs": edge("source")},
        "few": {"call": "joined:rarely", "inputs": edge("source"), "with": {"every": 100}},
        "pair": {
            "call": "shapes:pair",
            "inputs": {"left": edge("many"), "right": edge("few")},
            "join": {"key": "item", "within": 50},
        },
        "pairs": {"keep": edge("pair")},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("pairs") == [[n, n] for n in range(0, 4000, 100)]
    assert outcome.edge("many.out", "pair").unmatched == 12_000 - 40


@each_executor
@beside
def test_what_a_join_says_at_the_end_counts_on_from_its_pairs(
    tmp_path: Path, executor: str, more: dict[str, Any]
) -> None:
    stages = shop(10, **more)
    stages["settle"]["call"] = "joined:Till"

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert [item for item, _ in outcome.kept["settled"]] == [(2, n) for n in range(9)]
    assert outcome.items("settled")[-1] == 8


@each_executor
@pytest.mark.parametrize("replicas", [1, 2])
def test_an_item_without_its_key_fails_by_the_policy_of_the_join(
    tmp_path: Path, executor: str, replicas: int
) -> None:
    stages = shop(30, on_error="dead_letter", replicas=replicas)
    stages["orders"]["call"] = "joined:some_without_id"
    stages["letters"] = {"keep": "settle.errors"}
    stages["settle"]["call"] = "joined:refuse_odd"

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    letters = {letter["id"]: letter["error"]["type"] for letter in outcome.items("letters")}
    assert {item for item, kind in letters.items() if kind == "KeyError"} == {
        f"orders:{number}" for number in range(0, 30, 3)
    }
    failed = [n for n in range(30) if n % 3 and n % 5 and n % 2]
    facts = outcome.stage("settle")
    assert facts.dead_lettered == 10 + 2 * len(failed)
    assert facts.received == facts.processed + facts.dead_lettered


@each_executor
@pytest.mark.parametrize(
    "more",
    [
        {"call": "joined:settle_lists", "batch": 4},
        {"call": "joined:settle_lists", "batch": 4, "timeout": "1m"},
        {"call": "joined:settle_soon", "concurrency": 3},
    ],
    ids=["lists", "isolated lists", "tasks"],
)
def test_items_without_their_key_cost_lists_and_tasks_nothing(
    tmp_path: Path, executor: str, more: dict[str, Any]
) -> None:
    stages = shop(300, on_error="dead_letter", **more)
    stages["orders"]["call"] = "joined:some_without_id"
    stages["letters"] = {"keep": "settle.errors"}

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert [letter["id"] for letter in outcome.items("letters")] == [
        f"orders:{number}" for number in range(0, 300, 3)
    ]
    paid = [n for n in range(300) if n % 3 and n % 5]
    assert sorted(outcome.items("settled")) == [[n, n] for n in paid]
    facts = outcome.stage("settle")
    assert (facts.received, facts.dead_lettered) == (100 + 2 * len(paid), 100)


@each_executor
def test_an_item_without_its_key_ends_the_run_and_says_which_input(
    tmp_path: Path, executor: str
) -> None:
    stages = shop(30)
    stages["orders"]["call"] = "joined:some_without_id"

    report = run(tmp_path, stages, executor).report

    (error,) = report.errors
    assert (error.stage, error.item, error.type) == ("settle", "orders:0", "KeyError")
    assert "in the join key of input 'order'" in error.traceback
    assert report.ledger.findings == ()


@beside
def test_within_a_time_an_item_is_given_up_while_nothing_else_comes(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    """The right side begins only when the left item was found to have no partner."""
    flag = str(tmp_path / "flag")
    stages = {
        "left": {"call": "shapes:numbers", "with": {"stop": 1}},
        "right": {"call": "joined:after", "with": {"file": flag, "count": 2}},
        "pair": {
            "call": "shapes:pair",
            "inputs": {"left": "left", "right": "right"},
            "join": {"key": "item", "within": "50ms"},
            **more,
        },
        "alone": {"call": "joined:touch", "inputs": "pair.unmatched", "with": {"file": flag}},
        "alones": {"keep": "alone"},
        "pairs": {"keep": "pair"},
    }

    outcome = run(tmp_path, stages, "local")

    succeeded(outcome)
    assert outcome.items("pairs") == []
    assert sorted(outcome.items("alones")) == [0, 0, 1]


@each_executor
def test_within_a_time_partners_meet(tmp_path: Path, executor: str) -> None:
    outcome = run(tmp_path, shop(300, join={"key": KEYS, "within": "1m"}), executor)

    succeeded(outcome)
    assert sorted(row[0] for row in outcome.items("settled")) == [n for n in range(300) if n % 5]


def by_position(left: int, right: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "left": {"call": "shapes:numbers", "with": {"stop": left}},
        "right": right,
        "pair": {"call": "shapes:pair", "inputs": {"left": "left", "right": "right"}, **more},
        "pairs": {"keep": "pair"},
        "same": {"call": "shapes:as_it_is", "inputs": "pair.unmatched", "replicas": 3},
        "lone": {"keep": "same"},
    }


@each_executor
@pytest.mark.parametrize("count", [6, 400])
@pytest.mark.parametrize("replicas", [1, 2, 3])
@beside
def test_what_has_no_partner_by_position_comes_in_order_of_any_number_of_replicas(
    tmp_path: Path, executor: str, count: int, replicas: int, more: dict[str, Any]
) -> None:
    right = {"call": "shapes:numbers", "with": {"stop": count}}

    outcome = run(tmp_path, by_position(3, right, replicas=replicas, **more), executor)

    succeeded(outcome)
    assert outcome.items("pairs") == [[0, 0], [1, 1], [2, 2]]
    assert outcome.kept["lone"] == [((1, number), number) for number in range(3, count)]


@each_executor
@beside
def test_replicas_that_have_enough_of_an_input_without_partners_end_each_at_its_place(
    tmp_path: Path, executor: str, more: dict[str, Any]
) -> None:
    right = {"call": "shapes:without_end"}

    outcome = run(tmp_path, by_position(3, right, replicas=2, **more), executor)

    succeeded(outcome)
    assert outcome.items("pairs") == [[0, 0], [1, 1], [2, 2]]
    lone = outcome.items("lone")
    assert lone == sorted(lone)
    assert len(lone) == outcome.edge("right.out", "pair").unmatched


@each_executor
def test_each_item_of_the_first_input_meets_the_latest_of_the_other(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "readings": {"call": "shapes:numbers", "with": {"stop": 200}},
        "calibrations": {"call": "joined:for_ever"},
        "correct": {
            "call": "shapes:pair",
            "inputs": {"left": "readings", "right": "calibrations"},
            "join": "latest",
        },
        "corrected": {"keep": "correct"},
        "old": {"keep": "correct.unmatched"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    rows = outcome.kept["corrected"]
    assert [(item, row[0]) for item, row in rows] == [((0, n), n) for n in range(200)]
    used = [row[1] for _, row in rows]
    assert used == sorted(used)
    edge = outcome.edge("calibrations.out", "correct")
    assert edge.delivered == len(set(used))
    assert edge.unmatched == len(outcome.items("old"))
    assert set(used).isdisjoint(outcome.items("old"))


@beside
def test_the_latest_is_the_latest_at_the_moment_of_the_call(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    """The second value comes only after a call with the first; some later call must have it."""
    flag = str(tmp_path / "flag")
    stages = {
        "readings": {"call": "joined:slowly", "with": {"count": 100, "pause": 0.01}},
        "first": {"call": "shapes:numbers", "with": {"stop": 1}},
        "second": {"call": "joined:after", "with": {"file": flag, "count": 8}},
        "values": {"call": "joined:fixed", "inputs": ["first", "second"]},
        "correct": {
            "call": "joined:noting",
            "inputs": {"left": "readings", "right": "values"},
            "with": {"file": flag},
            "join": "latest",
            **more,
        },
        "corrected": {"keep": "correct"},
    }

    outcome = run(tmp_path, stages, "local")

    succeeded(outcome)
    used = [right for _, right in outcome.items("corrected")]
    assert (used[0], used[-1]) == (0, 7)


@each_executor
@pytest.mark.parametrize("upstream", [1, 2, 3])
def test_replicas_of_the_latest_keep_the_order_of_the_first_input(
    tmp_path: Path, executor: str, upstream: int
) -> None:
    stages = {
        "readings": {"call": "shapes:numbers", "with": {"stop": 300}},
        "more": {"call": "joined:thrice", "inputs": "readings", "replicas": upstream},
        "value": {"call": "shapes:numbers", "with": {"stop": 1}},
        "correct": {
            "call": "shapes:pair",
            "inputs": {"left": "more", "right": "value"},
            "join": "latest",
            "replicas": 2,
        },
        "corrected": {"keep": "correct"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.kept["corrected"] == [((0, n, k), [n, 0]) for n in range(300) for k in range(3)]
    assert outcome.edge("value.out", "correct").delivered == 2


@each_executor
def test_the_latest_of_a_way_that_brings_nothing_for_long_stops_nobody(
    tmp_path: Path, executor: str
) -> None:
    def edge(source: str) -> dict[str, Any]:
        return {"from": source, "capacity": 1}

    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 5000}},
        "late": {"call": "joined:not_before", "inputs": edge("source"), "with": {"first": 4000}},
        "correct": {
            "call": "shapes:pair",
            "inputs": {"left": edge("source"), "right": edge("late")},
            "join": "latest",
        },
        "corrected": {"keep": "correct"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    edge_in = outcome.edge("source.out", "correct")
    assert edge_in.delivered + edge_in.unmatched == 5000
    assert len(outcome.items("corrected")) == edge_in.delivered > 0
    assert edge_in.unmatched >= 2900


@each_executor
@pytest.mark.parametrize("join", ["zip", {"key": "item"}])
def test_who_reads_a_join_may_end_early(tmp_path: Path, executor: str, join: Any) -> None:
    stages = {
        "left": {"call": "joined:for_ever"},
        "right": {"call": "joined:for_ever"},
        "pair": {
            "call": "shapes:pair",
            "inputs": {"left": "left", "right": "right"},
            "join": join,
        },
        "few": {"use": "take", "inputs": "pair", "with": {"n": 50}},
        "pairs": {"keep": "few"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("pairs") == [[n, n] for n in range(50)]


@pytest.mark.parametrize("join", [{"key": "item"}, {"key": "item", "within": "1h"}, "latest"])
def test_a_drain_ends_a_join_with_all_that_came(tmp_path: Path, join: Any) -> None:
    stages = {
        "left": {"call": "joined:for_ever"},
        "right": {"call": "joined:for_ever"},
        "pair": {
            "call": "joined:signal_at",
            "inputs": {"left": "left", "right": "right"},
            "join": join,
            "with": {"pid": os.getpid(), "count": 200},
        },
        "pairs": {"keep": "pair"},
        "alone": {"keep": "pair.unmatched"},
    }

    def nothing(*_: Any) -> None:
        raise AssertionError("the run should have taken this signal")

    before = signal.signal(signal.SIGINT, nothing)
    try:
        outcome = run(tmp_path, stages, "local")
    finally:
        signal.signal(signal.SIGINT, before)

    report = outcome.report
    assert report.run.status is Status.INTERRUPTED
    assert report.ledger.findings == ()
    for source in ("left.out", "right.out"):
        edge = outcome.edge(source, "pair")
        assert edge.sent == edge.delivered + edge.unmatched + edge.unread
    assert len(outcome.items("pairs")) >= 200


@each_executor
@pytest.mark.parametrize("last", ["spread", "after"])
def test_results_of_one_item_that_a_key_spreads_meet_their_partners_by_id(
    tmp_path: Path, executor: str, last: str
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 60}},
        "split": {"call": "shapes:sometimes_many", "inputs": "source", "replicas": 2},
        "spread": {
            "call": "shapes:keep_even",
            "inputs": "split",
            "replicas": 3,
            "partition": {"key": "item * 7 % 11"},
        },
        "after": {"call": "shapes:plus_one", "inputs": "spread"},
        "beside": {"call": "shapes:square", "inputs": "split"},
        "pair": {"call": "shapes:pair", "inputs": {"left": last, "right": "beside"}, "replicas": 2},
        "paired": {"keep": "pair"},
        "alone": {"keep": "pair.unmatched"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    made = [
        each
        for number in range(60)
        for each in ([number] if number % 3 == 0 else range(number, number + 4000, 1000))
    ]
    more = 1 if last == "after" else 0
    assert outcome.items("paired") == [[n + more, n * n] for n in made if n % 2 == 0]
    assert outcome.items("alone") == [n * n for n in made if n % 2]


@each_executor
@pytest.mark.parametrize("more", [{}, {"on_error": "skip"}, {"replicas": 2}], ids=str)
def test_a_plain_function_that_turns_out_to_give_many_before_a_zip_by_id_ends_the_run(
    tmp_path: Path, executor: str, more: dict[str, Any]
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 60}},
        "many": {"call": "shapes:sometimes_many", "inputs": "source", **more},
        "beside": {"call": "shapes:square", "inputs": "source"},
        "pair": {"call": "shapes:pair", "inputs": {"left": "many", "right": "beside"}, **more},
        "paired": {"keep": "pair"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.report is not None
    assert outcome.report.run.status is Status.FAILED
    (error,) = outcome.report.errors
    assert (error.stage, error.phase, error.type) == ("pair", "join", "NotOneToOne")
    assert error.message == "a stage on the way to 'left' gives any number of results for an item"
    # Each replica of the zip finds its own first one, and whoever is first tells it.
    firsts = {"source:1", "source:2"} if "replicas" in more else {"source:1"}
    assert error.item in firsts

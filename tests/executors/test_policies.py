"""What follows when items fail, in every executor alike: tries, waits, budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.events import Event, ItemFailed, RunFailed
from pipeflow.telemetry.report import Status
from tests.executors.judging import balanced, succeeded
from tests.executors.running import EXECUTORS, run

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]

NUMBERS = {"call": "shapes:numbers", "with": {"stop": 40}}


def flaky(on_error: Any, times: int = 2, **more: Any) -> dict[str, Any]:
    settings = {key: more.pop(key) for key in ("every", "many") if key in more}
    return {
        "call": "shapes:Flaky",
        "inputs": "source",
        "with": {"times": times, **settings},
        "on_error": on_error,
        **more,
    }


@pytest.mark.parametrize("replicas", [1, 3])
def test_items_that_fail_for_a_while_all_arrive_in_order(
    tmp_path: Path, executor: str, replicas: int
) -> None:
    stages = {
        "source": NUMBERS,
        "work": flaky({"retries": 2, "backoff": "1ms"}, every=3, replicas=replicas),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors
    assert outcome.kept["sink"] == [((0, n), n) for n in range(40)]
    work = outcome.stage("work")
    assert (work.received, work.processed, work.retried) == (40, 40, 28)
    assert not [event for event in outcome.events if isinstance(event, ItemFailed)]


def test_what_fails_to_the_last_goes_to_its_port_with_the_number_of_the_try(
    tmp_path: Path, executor: str
) -> None:
    policy = {"then": "dead_letter", "retries": 2, "backoff": "0s"}
    stages = {
        "source": NUMBERS,
        "work": flaky(policy, times=9, every=10, replicas=2),
        "sink": {"keep": "work"},
        "broken": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    letters = [(e["id"], e["attempt"], e["emitted"], e["item"]) for e in outcome.items("broken")]
    assert letters == [(f"source:{n}", 3, 0, n) for n in (0, 10, 20, 30)]
    work = outcome.stage("work")
    assert (work.received, work.dead_lettered, work.retried) == (40, 4, 8)
    assert outcome.report.run.exit_code == 0


def test_of_many_results_none_leaves_before_the_item_is_done(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "work": flaky(
            {"then": "skip", "retries": 1, "backoff": "0s"},
            times=1,
            many=True,
            outputs=["second"],
        ),
        "firsts": {"keep": "work"},
        "seconds": {"keep": "work.second"},
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.kept["firsts"] == [((0, n, 0), n) for n in range(40)]
    assert outcome.kept["seconds"] == [((0, n, 1), n) for n in range(40)]
    assert outcome.stage("work").retried == 40


def test_the_failure_after_the_last_try_ends_the_run_and_is_told_once(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": NUMBERS,
        "work": flaky({"retries": 3, "backoff": "1ms"}, times=9, every=7),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.item, error.attempt, error.message) == ("source:0", 4, "try 4 of 0")
    (told,) = [event for event in outcome.events if isinstance(event, ItemFailed)]
    assert told.item == "source:0"
    work = outcome.stage("work")
    assert (work.failed, work.retried) == (1, 3)
    balanced(outcome)


def test_a_try_draws_the_same_random_numbers_as_the_one_before(
    tmp_path: Path, executor: str
) -> None:
    stages: dict[str, Any] = {
        "source": NUMBERS,
        "work": {"call": "shapes:DrawAtLast", "inputs": "source", "with": {"times": 0}},
        "sink": {"keep": "work"},
    }

    at_once = run(tmp_path, stages, executor)
    stages["work"] |= {"with": {"times": 2}, "on_error": {"retries": 2, "backoff": "0s"}}
    at_last = run(tmp_path, stages, executor)

    assert at_last.stage("work").retried == 80
    assert at_last.kept == at_once.kept


def test_a_zip_leaves_out_what_one_branch_gave_up(tmp_path: Path, executor: str) -> None:
    policy = {"then": "skip", "retries": 1, "backoff": "0s"}
    stages = {
        "source": NUMBERS,
        "work": flaky(policy, times=9, every=5, replicas=3),
        "square": {"call": "shapes:square", "inputs": "source", "replicas": 2},
        "pair": {"call": "shapes:pair", "inputs": {"left": "work", "right": "square"}},
        "sink": {"keep": "pair"},
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.items("sink") == [[n, n * n] for n in range(40) if n % 5]
    assert outcome.edge("square.out", "pair").unmatched == 8


def test_a_pair_is_tried_again_and_counts_as_its_items(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "work": {"call": "shapes:plus_one", "inputs": "source"},
        "pair": {
            "call": "shapes:refuse_pair",
            "inputs": {"left": "work", "right": "source"},
            "on_error": {"then": "skip", "retries": 1, "backoff": "0s"},
        },
        "sink": {"keep": "pair"},
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    pair = outcome.stage("pair")
    assert (pair.received, pair.skipped, pair.retried) == (80, 80, 80)


def test_each_try_gets_the_array_as_it_came_and_passes_it_on_by_reference(
    tmp_path: Path, executor: str
) -> None:
    policy = {"retries": 2, "backoff": "0s"}
    stages: dict[str, Any] = {
        "source": {"call": "shapes:arrays", "with": {"count": 30, "size": 20_000}},
        "same": {"call": "shapes:SameAtLast", "inputs": "source", "on_error": policy},
        "sums": {"call": "shapes:total_of", "inputs": "same"},
        "sink": {"keep": "sums"},
        "one": {
            "call": "shapes:AddOneAtLast",
            "inputs": {"from": "source", "arrays": "copy"},
            "on_error": policy,
        },
        "plus": {"call": "shapes:total_of", "inputs": "one"},
        "more": {"keep": "plus"},
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.items("sink") == [20_000.0 * n for n in range(30)]
    assert outcome.items("more") == [20_000.0 * (n + 1) for n in range(30)]
    if executor == "local":
        edge = outcome.edge("same.out", "sums")
        assert (edge.bytes_shared, edge.slots) == (30 * 160_000, 0)


def test_more_items_given_up_than_the_budget_fail_the_run(tmp_path: Path, executor: str) -> None:
    policy = {"then": "skip", "budget": 10}
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 100_000}},
        "work": flaky(policy, times=1, every=4),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.stage, error.phase, error.type) == ("work", "budget", "BudgetSpent")
    assert error.message == "stage 'work' gave up 11 of 41 items, its budget is 10"
    assert outcome.report.run.exit_code == 1
    assert (outcome.stage("work").skipped, outcome.stage("work").failed) == (11, 0)
    balanced(outcome)


def test_a_budget_is_for_all_replicas_together(tmp_path: Path, executor: str) -> None:
    policy = {"then": "skip", "budget": 15}
    stages: dict[str, Any] = {
        "source": NUMBERS,
        "work": flaky(policy, times=1, every=2, replicas=4),
        "sink": {"keep": "work"},
    }

    spent = run(tmp_path, stages, executor)
    stages["work"]["on_error"] = {"then": "skip", "budget": 20}
    kept = run(tmp_path, stages, executor)

    (error,) = spent.report.errors
    assert error.type == "BudgetSpent"
    assert kept.report.run.status is Status.SUCCEEDED, kept.report.errors
    assert kept.stage("work").skipped == 20


@pytest.mark.parametrize(("share", "exit_code"), [("9%", 1), ("10%", 0)])
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_share_of_few_items_is_judged_at_the_end(
    tmp_path: Path, executor: str, share: str, exit_code: int, replicas: int
) -> None:
    stages = {
        "source": NUMBERS,
        "work": flaky({"then": "skip", "budget": share}, times=1, every=10, replicas=replicas),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.report.run.exit_code == exit_code, outcome.report.errors
    messages = [error.message for error in outcome.report.errors]
    assert messages == ["stage 'work' gave up 4 of 40 items, its budget is 9%"] * exit_code


def test_a_share_is_judged_at_the_hundredth_item_and_not_at_the_end_alone(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 5000}},
        "work": {
            "use": "map",
            "inputs": "source",
            "with": {"expr": "1 / (item > 1)"},
            "on_error": {"then": "skip", "budget": "1%"},
        },
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert error.message == "stage 'work' gave up 2 of 100 items, its budget is 1%"


def test_bad_records_of_a_source_have_a_budget_too(tmp_path: Path, executor: str) -> None:
    (tmp_path / "in.jsonl").write_text("1\n{\n3\n[\n5\n")
    stages: dict[str, Any] = {
        "source": {
            "use": "jsonl.read",
            "with": {"path": str(tmp_path / "in.jsonl")},
            "on_error": {"then": "skip", "budget": 1},
        },
        "sink": {"keep": "source"},
    }

    spent = run(tmp_path, stages, executor)
    stages["source"]["on_error"] = {"then": "skip", "budget": "40%"}
    kept = run(tmp_path, stages, executor)

    (error,) = spent.report.errors
    assert error.message == "stage 'source' gave up 2 of 4 items, its budget is 1"
    assert kept.report.run.status is Status.SUCCEEDED, kept.report.errors
    assert kept.items("sink") == [1, 3, 5]


@pytest.mark.parametrize(
    ("failing", "readers"),
    [("source", ["source"]), ("work", ["work"]), ("source", ["source", "work"])],
)
@pytest.mark.parametrize("late", [False, True])
def test_what_has_spent_the_budget_comes_to_its_reader_all_the_same(
    tmp_path: Path, executor: str, failing: str, readers: list[str], late: bool
) -> None:
    failed, records = tmp_path / "failed", tmp_path / "in.jsonl"
    records.write_text("".join(f"{n}\n" if n % 5 else "{\n" for n in range(20)))
    if not late or executor == "inline":  # where nothing begins before all constructors are done
        failed.touch()
    policy = {"then": "dead_letter", "budget": 1}
    bad: dict[str, Any] = {"use": "jsonl.read", "with": {"path": str(records)}, "on_error": policy}
    stages = {
        "source": bad if failing == "source" else NUMBERS,
        "work": flaky(
            policy if failing == "work" else "dead_letter" if "work" in readers else "skip",
            times=9,
            every=5,
        ),
        "late": {
            "call": "fragile:Late",
            "inputs": [f"{name}.errors" for name in readers],
            "with": {"awaits": str(failed)},
        },
        "bad": {"keep": "late"},
    }

    def hear(event: Event) -> None:
        if isinstance(event, RunFailed):
            failed.touch()

    outcome = run(tmp_path, stages, executor, hear=hear)

    assert outcome.report.ledger.findings == ()
    assert [error.type for error in outcome.report.errors] == ["BudgetSpent"]
    assert outcome.items("bad") == ["source:0", "source:5"]


def test_a_stage_that_waits_ends_when_nobody_needs_it(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 10**9}},
        "shift": {"use": "map", "inputs": "source", "with": {"expr": "item + 1"}},
        "work": {
            **flaky({"retries": 1, "backoff": "1h"}, times=9, every=2),
            "inputs": {"from": "shift", "capacity": 1},
        },
        "first": {"use": "take", "inputs": "work", "with": {"n": 1}},
        "sink": {"keep": "first"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors
    assert outcome.items("sink") == [1]
    balanced(outcome)


def test_replicas_that_end_early_each_at_its_place_leave_their_letters_in_order(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 5000}},
        "work": {
            "call": "shapes:fail_on_odd",
            "inputs": "source",
            "replicas": 3,
            "on_error": "dead_letter",
        },
        "few": {"use": "take", "with": {"n": 16}, "inputs": "work"},
        "sink": {"keep": "few"},
        "named": {
            "use": "map",
            "with": {"expr": "item['item']"},
            "inputs": "work.errors",
            "replicas": 2,
        },
        "broken": {"keep": "named"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == list(range(0, 32, 2))
    broken = outcome.items("broken")
    assert broken == sorted(broken)
    assert broken[:14] == list(range(1, 29, 2))

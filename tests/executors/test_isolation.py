"""An item that kills its process, or takes too long, is an item that has failed: nothing more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.events import ItemFailed, WorkerDied, WorkerRestarted, WorkerStarted
from pipeflow.telemetry.report import Status
from tests.executors.judging import balanced
from tests.executors.running import EXECUTORS, run

pytestmark = pytest.mark.processes

WAYS = ("exit", "exit 5", "abort", "segfault", "SIGKILL", "SIGTERM")


def deadly(
    folder: Path, at: list[int], how: str, on_error: Any, *, kind: str = "Deadly", **more: Any
) -> dict[str, Any]:
    settings = {key: more.pop(key) for key in ("times", "many") if key in more}
    return {
        "call": f"deadly:{kind}",
        "inputs": "source",
        "with": {"at": at, "how": how, "notes": str(folder / "notes"), **settings},
        "on_error": on_error,
        **more,
    }


def numbers(stop: int) -> dict[str, Any]:
    return {"call": "deadly:numbers", "with": {"stop": stop}}


def tries(folder: Path, item: int) -> int:
    return len((folder / "notes" / str(item)).read_text().splitlines())


@pytest.mark.parametrize("how", WAYS)
def test_an_item_that_kills_its_process_is_a_dead_letter_and_the_others_come_out_in_order(
    tmp_path: Path, how: str
) -> None:
    stages = {
        "source": numbers(256),
        "work": deadly(tmp_path, [128], how, "dead_letter"),
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors
    assert outcome.kept["sink"] == [((0, n), n) for n in range(256) if n != 128]
    (((_, number), letter),) = outcome.kept["bad"]
    assert (number, letter["item"], letter["id"]) == (128, 128, "source:128")
    assert letter["error"]["type"] == "WorkerDied"
    assert (letter["attempt"], letter["emitted"]) == (1, 0)
    (died,) = [event for event in outcome.events if isinstance(event, WorkerDied)]
    assert died.item == "source:128"
    assert died.signal == {"abort": "SIGABRT", "segfault": "SIGSEGV"}.get(
        how, how if how.startswith("SIG") else None
    )
    # No item was tried twice: what was done before the death had been told.
    assert [tries(tmp_path, n) for n in range(256)] == [1] * 256


def test_the_process_that_runs_the_code_is_the_one_that_events_and_report_name(
    tmp_path: Path,
) -> None:
    stages = {"source": numbers(20), "work": deadly(tmp_path, [10], "SIGKILL", "skip")}

    outcome = run(tmp_path, stages, "local")

    (died,) = [event for event in outcome.events if isinstance(event, WorkerDied)]
    (restarted,) = [event for event in outcome.events if isinstance(event, WorkerRestarted)]
    started = [event.pid for event in outcome.events if isinstance(event, WorkerStarted)]
    assert died.pid in started
    assert restarted.pid in started
    (worker,) = outcome.stage("work").workers
    assert worker.pid == restarted.pid
    assert outcome.stage("work").skipped == 1


@pytest.mark.parametrize("replicas", [1, 3])
def test_an_item_that_kills_its_process_for_a_while_is_tried_again(
    tmp_path: Path, replicas: int
) -> None:
    policy = {"retries": 3, "backoff": "1ms"}
    stages = {
        "source": numbers(200),
        "work": deadly(tmp_path, [3, 60, 61, 150], "SIGKILL", policy, times=2, replicas=replicas),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors
    assert outcome.kept["sink"] == [((0, n), n) for n in range(200)]
    work = outcome.stage("work")
    assert (work.received, work.processed, work.retried) == (200, 200, 8)
    assert [tries(tmp_path, n) for n in range(200)] == [
        3 if n in {3, 60, 61, 150} else 1 for n in range(200)
    ]


def test_deaths_and_exceptions_count_as_tries_of_one_item(tmp_path: Path) -> None:
    policy = {"then": "dead_letter", "retries": 2, "backoff": "0s"}
    stages = {
        "source": numbers(12),
        "work": deadly(tmp_path, [5], "SIGKILL", policy),
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == [n for n in range(12) if n != 5]
    (letter,) = outcome.items("bad")
    assert letter["attempt"] == 3
    assert tries(tmp_path, 5) == 3


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("fails", [1, 2, 3])
def test_an_item_that_fails_and_then_kills_its_process_has_no_try_too_many(
    tmp_path: Path, fails: int, replicas: int
) -> None:
    (tmp_path / "notes").mkdir()
    given = {"at": [5], "notes": str(tmp_path / "notes"), "fails": fails}
    stages = {
        "source": numbers(12),
        "work": {
            "call": "deadly:failing_first",
            "inputs": "source",
            "with": given,
            "replicas": replicas,
            "on_error": {"then": "dead_letter", "retries": 3, "backoff": "1ms"},
        },
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == [n for n in range(12) if n != 5]
    assert [letter["attempt"] for letter in outcome.items("bad")] == [4]
    assert [tries(tmp_path, n) for n in range(12)] == [4 if n == 5 else 1 for n in range(12)]
    assert outcome.stage("work").retried == 3


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("is_read", [True, False])
def test_calls_that_give_nothing_are_told_in_their_order_too(
    tmp_path: Path, is_read: bool, replicas: int
) -> None:
    at = [0, 40, 42, 43, 44, 299]
    (tmp_path / "notes").mkdir()
    given = {"at": at, "notes": str(tmp_path / "notes")}
    stages: dict[str, Any] = {
        "source": numbers(300),
        "work": {"call": "deadly:thirds", "inputs": "source", "with": given, "on_error": "skip"},
    }
    stages["work"]["replicas"] = replicas
    if is_read:
        stages["sink"] = {"keep": "work"}

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    left = [n for n in range(0, 300, 3) if n not in at]
    if is_read:
        assert outcome.kept["sink"] == [((0, n), n) for n in left]
    work = outcome.stage("work")
    assert (work.received, work.processed, work.skipped) == (300, 294, 6)
    assert work.empty == 294 - len(left)
    assert [tries(tmp_path, n) for n in range(300)] == [1] * 300


def test_programs_that_a_dead_process_has_started_are_gone_with_it(tmp_path: Path) -> None:
    work = {"call": "deadly:with_program", "with": {"note": str(tmp_path / "note")}}
    stages = {
        "source": numbers(5),
        "work": {**work, "inputs": "source", "on_error": "skip"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == [False] * 4


def test_with_stop_the_run_ends_and_names_the_item(tmp_path: Path) -> None:
    policy = {"retries": 1, "backoff": "0s"}
    stages = {
        "source": numbers(12),
        "work": deadly(tmp_path, [5], "abort", policy),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.exit_code == 1
    (error,) = outcome.report.errors
    assert (error.stage, error.item, error.type) == ("work", "source:5", "WorkerDied")
    assert "SIGABRT" in error.message
    assert "deadly.py" in error.traceback
    work = outcome.stage("work")
    assert (work.received, work.processed, work.failed) == (6, 5, 1)


def test_results_that_left_before_the_death_stay_and_the_letter_says_how_many(
    tmp_path: Path,
) -> None:
    stages = {
        "source": numbers(6),
        "work": deadly(tmp_path, [2], "SIGKILL", "dead_letter", many=4),
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    expected = [[n, k] for n in range(6) for k in range(4) if (n, k) != (2, 3)]
    assert [list(item) for item in outcome.items("sink")] == expected
    (letter,) = outcome.items("bad")
    assert letter["emitted"] == 3


def test_with_retries_results_are_held_so_none_comes_twice(tmp_path: Path) -> None:
    stages = {
        "source": numbers(6),
        "work": deadly(tmp_path, [2], "SIGKILL", {"retries": 3, "backoff": "0s"}, many=4, times=2),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert [list(item) for item in outcome.items("sink")] == [
        [n, k] for n in range(6) for k in range(4)
    ]


def test_five_deaths_in_a_row_end_the_run(tmp_path: Path) -> None:
    stages = {
        "source": numbers(100),
        "work": deadly(tmp_path, list(range(40, 100)), "SIGKILL", "skip"),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.exit_code == 1
    assert outcome.stage("work").skipped == 4


@pytest.mark.parametrize("how", ["hang", "native hang", "SIGSTOP"])
def test_an_item_that_takes_too_long_has_failed_even_in_native_code(
    tmp_path: Path, how: str
) -> None:
    stages = {
        "source": numbers(40),
        "work": deadly(tmp_path, [20], how, "dead_letter", timeout="300ms"),
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors
    assert outcome.items("sink") == [n for n in range(40) if n != 20]
    (letter,) = outcome.items("bad")
    assert letter["error"]["type"] == "TimeoutError"
    assert "0.3 s" in letter["error"]["message"]
    if how == "hang":
        assert "deadly.py" in letter["error"]["traceback"]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("many", [0, 3])
def test_both_executors_give_up_what_takes_too_long(
    tmp_path: Path, executor: str, many: int
) -> None:
    stages = {
        "source": numbers(10),
        "work": deadly(
            tmp_path, [4], "hang", {"then": "skip", "retries": 1}, timeout="200ms", many=many
        ),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    work = outcome.stage("work")
    assert (work.received, work.processed, work.skipped, work.retried) == (10, 9, 1, 1)
    (failed,) = [event for event in outcome.events if isinstance(event, ItemFailed)]
    assert (failed.item, failed.type) == ("source:4", "TimeoutError")
    assert "timeout of 0.2 s" in failed.message


@pytest.mark.parametrize("ordered", [True, False])
def test_of_many_tasks_in_flight_only_those_that_kill_their_process_have_failed(
    tmp_path: Path, ordered: bool
) -> None:
    stages = {
        "source": numbers(40),
        "work": {
            "call": "deadly:deadly_task",
            "inputs": "source",
            "on_error": "dead_letter",
            "concurrency": 8,
            "ordered": ordered,
        },
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors
    assert outcome.items("sink") == [n for n in range(40) if n % 10 != 7]
    assert [letter["item"] for letter in outcome.items("bad")] == [7, 17, 27, 37]
    work = outcome.stage("work")
    assert (work.received, work.processed, work.dead_lettered) == (40, 36, 4)


def test_a_time_limit_counts_for_each_try_and_not_for_the_wait_for_room(tmp_path: Path) -> None:
    stages = {
        "source": numbers(30),
        "work": {"call": "deadly:numbers_of", "inputs": "source", "timeout": "500ms"},
        "sink": {"call": "deadly:slowly", "inputs": {"from": "work", "capacity": 1}},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors


def test_a_stage_that_keeps_state_cannot_go_on_so_its_time_limit_ends_the_run(
    tmp_path: Path,
) -> None:
    stages = {
        "source": numbers(10),
        "work": {
            "call": "deadly:Summing",
            "inputs": "source",
            "with": {"at": 4},
            "timeout": "200ms",
        },
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.exit_code == 1
    (error,) = outcome.report.errors
    assert (error.type, error.item) == ("TimeoutError", "source:4")


def test_metrics_and_close_outlive_a_death(tmp_path: Path) -> None:
    stages = {
        "source": numbers(30),
        "work": deadly(tmp_path, [10, 20], "SIGKILL", "skip", kind="Measured"),
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    # What the two that died have counted of their last item was never told.
    assert 28 <= outcome.stage("work").metrics["seen"] <= 30
    assert (tmp_path / "notes" / "closed").exists()


def test_arrays_are_shared_with_the_code_and_outlive_its_process(tmp_path: Path) -> None:
    stages = {
        "source": {"call": "deadly:arrays", "with": {"stop": 60, "size": 20_000}},
        "work": {"call": "deadly:half", "inputs": "source", "on_error": "skip"},
        "sink": {"call": "deadly:kept_whole", "inputs": "work"},
        "keep": {"keep": "sink"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors
    assert outcome.items("keep") == [n / 2 for n in range(60) if n % 7 != 3]
    assert outcome.edge("source.out", "work").bytes_copied < 10_000
    assert outcome.edge("work.out", "sink").bytes_copied < 10_000


def test_an_early_end_is_one_for_the_code_too(tmp_path: Path) -> None:
    stages = {
        "source": numbers(100_000),
        "work": deadly(tmp_path, [], "exit", "skip", kind="Measured"),
        "few": {"use": "take", "inputs": "work", "with": {"n": 5}},
        "sink": {"keep": "few"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors
    assert outcome.items("sink") == [0, 1, 2, 3, 4]
    assert (tmp_path / "notes" / "closed").exists()


def test_a_budget_counts_deaths_too(tmp_path: Path) -> None:
    stages = {
        "source": numbers(100),
        "work": deadly(tmp_path, [10, 20, 30, 40], "SIGKILL", {"then": "skip", "budget": 2}),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.report.run.exit_code == 1
    (error,) = outcome.report.errors
    assert error.type == "BudgetSpent"


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("batch", [None, 4])
def test_the_books_of_a_stage_that_nobody_reads_any_more_balance(
    tmp_path: Path, executor: str, batch: int | None
) -> None:
    """All has come to it by then, and its runner has told of much that nobody has heard yet."""
    call = "graphs:fail" if batch is None else "graphs:fail_many"
    work: dict[str, Any] = {
        "call": call,
        "inputs": {"from": "source", "capacity": 30},
        "replicas": 3,
        "with": {"by": 3},
        "on_error": {"then": "skip", "retries": 2, "backoff": "0s"},
    }
    stages = {
        "source": numbers(60),
        "work": work if batch is None else {**work, "batch": batch},
        "few": {"use": "take", "inputs": "work", "with": {"n": 3}},
        "sink": {"keep": "few"},
    }

    for number in range(4):  # when the reader leaves is a matter of luck
        folder = tmp_path / str(number)
        folder.mkdir()
        outcome = run(folder, stages, executor)

        balanced(outcome)
        assert outcome.items("sink") == [0, 1, 2]

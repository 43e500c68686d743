"""Results that cannot be sent, for how they are pickled or for their key, on every executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.executors.judging import succeeded
from tests.executors.running import EXECUTORS, run

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]

SOURCE = {"call": "shapes:numbers", "with": {"stop": 10}}
BY_TEXT = {"replicas": 2, "partition": {"key": "str(item)"}}
FEW_OR_MANY = pytest.mark.parametrize("replicas", [1, 2])


@FEW_OR_MANY
@pytest.mark.parametrize("spread", [{}, BY_TEXT], ids=["one-reader", "by-key"])
def test_a_result_that_cannot_be_pickled_is_a_dead_letter_and_was_never_sent(
    tmp_path: Path, executor: str, replicas: int, spread: dict[str, Any]
) -> None:
    stages = {
        "source": SOURCE,
        "work": {
            "call": "shapes:unlike_on_odd",
            "inputs": "source",
            "on_error": "dead_letter",
            "replicas": replicas,
        },
        "after": {"call": "shapes:as_it_is", "inputs": "work", **spread},
        "sink": {"keep": "after"},
        "letters": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [0, 2, 4, 6, 8]
    assert [letter["item"] for letter in outcome.items("letters")] == [1, 3, 5, 7, 9]
    assert outcome.edge("work.out", "after").sent == 5


@FEW_OR_MANY
def test_a_result_that_cannot_be_pickled_leaves_no_gap_before_readers_of_all_kinds(
    tmp_path: Path, executor: str, replicas: int
) -> None:
    stages = {
        "source": SOURCE,
        "work": {
            "call": "shapes:many_unlike_on_odd",
            "inputs": "source",
            "outputs": ["side"],
            "on_error": "skip",
            "replicas": replicas,
        },
        "by-key": {"call": "shapes:as_it_is", "inputs": "work", **BY_TEXT},
        "balanced": {"call": "shapes:as_it_is", "inputs": "work", "replicas": 2},
        "keyed": {"keep": "by-key"},
        "dealt": {"keep": "balanced"},
        "aside": {"keep": "work.side"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    left = [[n] for n in range(10) for _ in range(1 if n % 2 else 2)]
    assert outcome.items("keyed") == left
    assert outcome.items("dealt") == left
    assert outcome.items("aside") == list(range(10))


@FEW_OR_MANY
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "with-another-reader"])
def test_a_result_whose_partition_key_fails_is_the_failure_of_its_item(
    tmp_path: Path, executor: str, replicas: int, beside: bool
) -> None:
    stages: dict[str, Any] = {
        "source": SOURCE,
        "work": {
            "call": "shapes:as_it_is",
            "inputs": "source",
            "on_error": "dead_letter",
            "replicas": replicas,
        },
        "after": {
            "call": "shapes:as_it_is",
            "inputs": "work",
            "replicas": 2,
            "partition": {"key": "10 // (item - 5)"},
        },
        "sink": {"keep": "after"},
        "letters": {"keep": "work.errors"},
    }
    if beside:
        stages = {**stages, "other": {"keep": "work"}}

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    others = [n for n in range(10) if n != 5]
    assert outcome.items("sink") == others
    assert not beside or outcome.items("other") == others
    (letter,) = outcome.items("letters")
    assert (letter["item"], letter["error"]["type"]) == (5, "ZeroDivisionError")
    assert "in the partition key of stage 'after'" in letter["error"]["traceback"]


def test_finish_that_gives_what_cannot_be_pickled_is_told_as_any_stage_that_does(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": SOURCE,
        "work": {"call": "shapes:UnlikeAtLast", "inputs": "source"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.stage, error.item) == ("work", "work:1")
    assert "cannot be pickled" in error.message
    assert outcome.report.ledger.balanced


def test_a_partition_key_that_fails_for_a_letter_ends_the_run_and_is_shown(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": SOURCE,
        "work": {"call": "shapes:fail_on_odd", "inputs": "source", "on_error": "dead_letter"},
        "sink": {"keep": "work"},
        "letters": {
            "call": "shapes:as_it_is",
            "inputs": "work.errors",
            "replicas": 2,
            "partition": {"key": "item['nope']"},
        },
        "kept": {"keep": "letters"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.report.run.exit_code == 1
    error = outcome.report.errors[0]
    assert (error.stage, error.type) == ("work", "KeyError")
    assert "in the partition key of stage 'letters': item['nope']" in error.traceback
    assert outcome.report.ledger.balanced

"""State that stages share, in every executor alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.report import Status
from tests.executors.judging import balanced
from tests.executors.running import EXECUTORS, run

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]

NUMBERS = {"call": "shapes:numbers", "with": {"stop": 60}}
SHARED: dict[str, Any] = {
    "seen": {"type": "dict"},
    "letters": {"type": "list"},
    "total": {"type": "value", "dtype": "int64", "value": 5},
    "heights": {"type": "array", "dtype": "float32", "shape": [4], "value": 1.5},
}
ALL = {name: f"${{shared.{name}}}" for name in SHARED}


@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("replicas", [1, 3])
def test_nothing_is_lost_of_what_several_stages_write(
    tmp_path: Path, executor: str, replicas: int, fuse: bool
) -> None:
    stages = {
        "source": NUMBERS,
        "work": {"call": "states:count", "inputs": "source", "replicas": replicas, "with": ALL},
        "again": {"call": "states:count", "inputs": "work", "replicas": replicas, "with": ALL},
        "tell": {"call": "states:Tell", "inputs": "again", "with": ALL},
        "sink": {"keep": "tell"},
    }

    outcome = run(tmp_path, stages, executor, fuse=fuse, shared=SHARED)

    balanced(outcome)
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors
    assert outcome.items("sink") == [
        125,
        [16.5, 16.5, 16.5, 16.5],
        [[0, 40], [1, 40], [2, 40]],
        sorted([*range(60), *range(60)]),
    ]
    assert [len(stage.workers) for stage in outcome.report.stages][:2] == [1, replicas]


def test_an_error_inside_the_block_lets_go_of_the_lock(tmp_path: Path, executor: str) -> None:
    given = {"total": "${shared.total}"}
    work = {"call": "states:raise_inside", "inputs": "source", "with": given, "replicas": 2}
    stages = {
        "source": NUMBERS,
        "work": {**work, "on_error": "skip"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor, shared={"total": SHARED["total"]})

    balanced(outcome)
    assert outcome.report.run.exit_code == 0, outcome.report.errors
    assert outcome.items("sink") == [n for n in range(60) if n != 3]


def test_what_is_read_of_a_dict_is_a_copy(tmp_path: Path, executor: str) -> None:
    given = {"seen": "${shared.seen}"}
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 1}},
        "work": {"call": "states:read_only_copy", "inputs": "source", "with": given},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor, shared={"seen": SHARED["seen"]})

    assert outcome.items("sink") == [[1]]


def test_a_dict_or_list_travels_as_what_it_holds(tmp_path: Path, executor: str) -> None:
    given = {"seen": "${shared.seen}", "letters": "${shared.letters}"}
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 2}},
        "work": {"call": "states:whole", "inputs": "source", "with": given},
        "sink": {"keep": "work"},
    }

    outcome = run(
        tmp_path, stages, executor, shared={name: SHARED[name] for name in ("seen", "letters")}
    )

    assert outcome.items("sink") == [[{"0": 0}, [0]], [{"0": 0, "1": 1}, [0, 1]]]


def test_a_value_is_no_item_and_the_error_says_what_is(tmp_path: Path, executor: str) -> None:
    given = {"total": "${shared.total}"}
    stages = {
        "source": NUMBERS,
        "work": {"call": "states:value_itself", "inputs": "source", "with": given},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor, shared={"total": SHARED["total"]})

    assert outcome.report.run.status is Status.FAILED
    assert "pass its .value on" in outcome.report.errors[0].message


def test_who_yields_with_a_lock_in_hand_never_hangs_the_run(tmp_path: Path, executor: str) -> None:
    given = {"total": "${shared.total}"}
    stages = {
        "source": {"call": "states:held", "with": {**given, "stop": 3000}},
        "work": {"call": "states:wants", "inputs": "source", "with": given},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor, shared={"total": SHARED["total"]})

    balanced(outcome)
    assert outcome.report.run.status is Status.FAILED
    message = outcome.report.errors[0].message
    if executor == "inline":
        assert "stage 'source' holds the lock of shared 'total'" in message
    else:
        assert "work waits for the lock of shared 'total', which source holds" in message

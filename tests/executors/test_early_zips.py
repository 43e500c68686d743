"""Whether a zip that went with its shortest input has ended the others early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pipeflow
from pipeflow.cli.summary import summary
from tests.executors.judging import succeeded
from tests.executors.running import EXECUTORS, Outcome, run
from tests.executors.test_early_letters import held_open

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]


def last_words(outcome: Outcome, folder: Path) -> str:
    succeeded(outcome)
    return summary(outcome.report, pipeflow.plan(folder / "pipeline.yaml"))


def test_who_closes_before_an_input_without_more_items_is_told_to_end_has_ended_nobody_early(
    tmp_path: Path, executor: str
) -> None:
    signal = str(tmp_path / "closed")
    # In one process the zip is never ahead of an input's end.
    awaited = signal if executor == "local" else ""
    stages: dict[str, Any] = {
        "prompt": {"call": "shapes:numbers", "with": {"stop": 3}},
        "late": {"call": "early:three", "with": {"signal": awaited}},
        "pairs": {
            "call": "early:Pairs",
            "with": {"signal": signal},
            "inputs": {"first": "prompt", "second": "late"},
        },
        "sink": {"keep": "pairs"},
    }

    with held_open(signal):
        outcome = run(tmp_path, stages, executor)

    assert outcome.items("sink") == [0, 2, 4]
    assert outcome.stage("pairs").ended_early is (executor == "local")
    assert "ended early" not in last_words(outcome, tmp_path)


def test_who_ends_an_endless_input_is_named(tmp_path: Path, executor: str) -> None:
    stages: dict[str, Any] = {
        "few": {"call": "shapes:numbers", "with": {"stop": 3}},
        "endless": {"call": "early:endless"},
        "pairs": {"call": "early:add", "inputs": {"first": "few", "second": "endless"}},
        "sink": {"keep": "pairs"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.items("sink") == [0, 2, 4]
    assert last_words(outcome, tmp_path).endswith(", ended early by 'pairs'")


def test_who_needs_no_more_is_named_though_its_reader_is_a_zip_that_closes_too(
    tmp_path: Path, executor: str
) -> None:
    stages: dict[str, Any] = {
        "endless": {"call": "early:endless"},
        "few": {"use": "take", "with": {"n": 3}, "inputs": "endless"},
        "other": {"call": "shapes:numbers", "with": {"stop": 3}},
        "pairs": {"call": "early:add", "inputs": {"first": "few", "second": "other"}},
        "sink": {"keep": "pairs"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.items("sink") == [0, 2, 4]
    assert last_words(outcome, tmp_path).endswith(", ended early by 'few'")

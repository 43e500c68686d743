"""What a stage's ``env`` sets, its code reads, by either executor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.executors.running import EXECUTORS, run

pytestmark = pytest.mark.processes

SOURCE = {"call": "shapes:numbers", "with": {"stop": 3}}


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "outside")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_each_replica_reads_its_own_variables_and_others_the_inherited_ones(
    tmp_path: Path, executor: str
) -> None:
    two = {"replicas": 2, "partition": {"key": "item"}, "resources": {"gpus": [4, 6]}}
    stages = {
        "source": SOURCE,
        "inside": {
            "call": "places:named",
            "inputs": "source",
            "env": {"PLACE": "number ${replica}"},
            **two,
        },
        "beside": {"call": "places:named", "inputs": "source"},
        "insiders": {"keep": "inside"},
        "others": {"keep": "beside"},
    }

    outcome = run(tmp_path, stages, executor)

    allowed = [["number 0", "4"], ["number 1", "6"]]
    assert [each in allowed for each in outcome.items("insiders")] == [True] * 3
    assert {each[0] for each in outcome.items("insiders")} == {"number 0", "number 1"}
    assert outcome.items("others") == [["outside", None]] * 3
    assert outcome.report.ledger.balanced


@pytest.mark.parametrize("executor", EXECUTORS)
def test_tasks_and_streams_read_the_variables_of_their_stage(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": SOURCE,
        "first": {"call": "places:named_later", "inputs": "source", "env": {"PLACE": "first"}},
        "second": {"call": "places:named_later", "inputs": "source", "env": {"PLACE": "second"}},
        "third": {"call": "places:named_in_a_stream", "inputs": "source", "env": {"PLACE": "3"}},
        "firsts": {"keep": "first"},
        "seconds": {"keep": "second"},
        "thirds": {"keep": "third"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.items("firsts") == ["first"] * 3
    assert outcome.items("seconds") == ["second"] * 3
    assert outcome.items("thirds") == ["3"] * 3


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_variable_is_there_from_the_constructor_to_finish_and_changes_stay(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": SOURCE,
        "work": {"call": "places:NamedEachTime", "inputs": "source", "env": {"PLACE": "first"}},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.items("sink") == [["first", "first", "after 0", "after 1", "after 2"]]
    assert os.environ["PLACE"] == "outside"


def test_variables_are_put_back_after_a_run_in_one_process_that_failed(tmp_path: Path) -> None:
    stages = {
        "source": SOURCE,
        "work": {
            "call": "shapes:fail_at",
            "inputs": "source",
            "with": {"at": 1},
            "env": {"PLACE": "within", "ONLY_WITHIN": "1"},
        },
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "inline")

    assert outcome.report.run.exit_code == 1
    assert os.environ["PLACE"] == "outside"
    assert "ONLY_WITHIN" not in os.environ


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_replica_that_goes_to_another_folder_goes_there_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    monkeypatch.chdir(tmp_path)
    stages = {
        "source": SOURCE,
        "goes": {"call": "places:Goes", "inputs": "source", "with": {"folder": "/"}},
        "stays": {"call": "places:where", "inputs": "goes"},
        "both": {"keep": "stays"},
        "file": {"use": "jsonl.write", "inputs": "stays", "with": {"path": "out.jsonl"}},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.items("both") == [["/", str(tmp_path)]] * 3
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    assert Path.cwd() == tmp_path


def test_a_folder_that_is_gone_at_the_next_turn_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    away = tmp_path / "away"
    away.mkdir()
    stages = {
        "source": SOURCE,
        "goes": {"call": "places:Goes", "inputs": "source", "with": {"folder": str(away)}},
        "removes": {"call": "places:remove", "inputs": "goes"},
        "sink": {"keep": "removes"},
    }

    outcome = run(tmp_path, stages, "inline")

    assert outcome.items("sink") == [str(away), str(tmp_path), str(tmp_path)]

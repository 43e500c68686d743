"""The benchmarks run: nothing here says how fast anything is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import pipeflow
from tests.benchmarks.catalogue import catalogue
from tests.benchmarks.model import UNITS, WrongResult
from tests.benchmarks.noted import read_notes
from tests.benchmarks.picture import can_draw
from tests.benchmarks.programs import PIPELINES, ROOT, run_pipeflow

FILES = sorted(file for file in PIPELINES.glob("*.yaml") if file.name != "spin.yaml")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_pipeline_can_be_planned(file: Path) -> None:
    declared = yaml.safe_load(file.read_text(encoding="utf-8"))["params"]

    pipeflow.plan(file, params=dict.fromkeys(declared, "1"))


def test_a_pipeline_can_be_told_to_spin() -> None:
    params = {"count": 1, "folder": "."}

    planned = pipeflow.plan(
        PIPELINES / "lat_64B.yaml", params=params, overlays=[PIPELINES / "spin.yaml"]
    )

    assert planned.stages


@pytest.mark.parametrize("peers", [False, True])
def test_bars_are_about_systems_and_metrics_that_there_are(peers: bool) -> None:
    for workload in catalogue(quick=True, peers=peers):
        names = [system.name for system in workload.systems]

        assert len(set(names)) == len(names)
        for bar in workload.bars:
            assert {bar.system, bar.against or bar.system} <= set(names)
            assert bar.metric in UNITS


def test_notes_that_differ_from_what_must_come_out_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "source.json").write_text('{"first_ns": 1000000000}')
    (tmp_path / "sink-0.json").write_text('{"last_ns": 3000000000, "items": 9}')

    noted = read_notes(tmp_path)

    assert noted.wall_s == 2.0
    noted.require(items=9)
    with pytest.raises(WrongResult, match="items is 9, and should be 10"):
        noted.require(items=10)


def test_a_run_without_notes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WrongResult, match="did not write when it began"):
        read_notes(tmp_path)


@pytest.mark.processes
def test_a_pipeline_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WrongResult, match=r"pipeflow run w1.yaml exited [12]"):
        run_pipeflow("w1.yaml", {"count": 3, "folder": tmp_path / "nowhere"})


@pytest.mark.processes
def test_a_quick_run_prints_the_bars_writes_json_and_draws_where_it_can(tmp_path: Path) -> None:
    file = tmp_path / "measured.json"
    picture = tmp_path / "measured.png"
    command = [sys.executable, "-m", "tests.benchmarks", "w1", "--quick"]
    files = ["--json", str(file), "--png", str(picture)]

    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    printed = [line.replace(" ", "") for line in done.stdout.splitlines()]
    assert any(line.startswith("│w1│items/s│pipeflow│Queue│≥15x│") for line in printed)
    (told,) = json.loads(file.read_text())["workloads"]
    assert set(told["rounds"][0]) >= {"pipeflow", "Queue", "Pipe", "Queue of 256", "serial"}
    assert told["wrong"] == {}
    assert [bar["against"] for bar in told["bars"]] == ["Queue", "Queue of 256", "Queue of 256"]
    assert picture.exists() == can_draw()
    assert (f"{picture} will not be drawn" in done.stderr) == (not can_draw())


@pytest.mark.processes
def test_an_unknown_workload_is_answered_with_those_there_are() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "w9"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "there is no workload 'w9'; there are w1, w1int," in done.stderr

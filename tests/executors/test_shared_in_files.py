"""State that the stages of an inner file share, and loops and comparisons over such files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pipeflow
from pipeflow.telemetry.report import Status
from pipeflow.testing import assert_same_everywhere
from tests.executors.running import EXECUTORS, run

pytestmark = pytest.mark.processes

#: Two stages share a dict, whose keys are of a class beside this file; a file in it has its own.
INNER = """\
shared: {seen: {type: dict}}
inputs: [xs]
outputs: {out: deeper}
stages:
  note: {call: 'noting:note', inputs: xs, with: {seen: "${shared.seen}"}}
  tell: {call: 'noting:tell', inputs: note, with: {all: ["${shared.seen}"]}}
  deeper: {pipeline: deeper.yaml, inputs: tell}
"""
DEEPER = """\
shared: {seen: {type: value, dtype: int64}}
inputs: [xs]
outputs: {out: count}
stages:
  count: {call: 'noting:count', inputs: xs, with: {seen: "${shared.seen}"}}
"""
NOTING = """\
from dataclasses import dataclass

@dataclass(frozen=True)
class Key:
    number: int

def note(x, seen):
    seen[Key(x)] = x
    return x

def tell(x, all):
    (seen,) = all
    return sum(value for key, value in sorted(seen.items(), key=str) if key.number <= x)

def count(x, seen):
    with seen:
        seen.value += 1
        return [x, seen.value]
"""
PART = {"pipeline": "inner/noting.yaml", "inputs": "source"}


def write(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "noting.yaml").write_text(INNER)
    (folder / "inner" / "deeper.yaml").write_text(DEEPER)
    (folder / "inner" / "noting.py").write_text(NOTING)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_each_stage_that_runs_a_file_has_state_of_its_own(tmp_path: Path, executor: str) -> None:
    write(tmp_path)
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 5}},
        "one": PART,
        "two": PART,
        "first": {"keep": "one"},
        "second": {"keep": "two"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.report.errors == ()
    assert outcome.report.ledger.balanced
    expected = [[0, 1], [1, 2], [3, 3], [6, 4], [10, 5]]
    assert outcome.items("first") == outcome.items("second") == expected


def test_the_plan_names_the_state_as_it_names_the_stages(tmp_path: Path) -> None:
    write(tmp_path)
    file = album(tmp_path)

    plan = pipeflow.plan(file)

    assert [each.name for each in plan.shared] == ["part/seen", "part/deeper/seen"]


def album(folder: Path) -> Path:
    file = folder / "album.yaml"
    stages = {
        "source": {"use": "range", "with": {"stop": 4}},
        "part": PART,
        "show": {"use": "null", "inputs": "part"},
    }
    file.write_text(json.dumps({"stages": stages}))
    return file


@pytest.mark.parametrize("stage", ["part", "part/deeper/count"])
def test_a_loop_reads_what_a_file_gives(tmp_path: Path, stage: str) -> None:
    write(tmp_path)

    with pipeflow.stream(album(tmp_path), stage=stage) as items:
        got = list(items)

    assert got == [[0, 1], [1, 2], [3, 3], [6, 4]]
    assert items.report is not None
    assert items.report.run.status is Status.SUCCEEDED
    assert items.report.ledger.balanced


def test_a_file_in_a_pipeline_is_compared_as_its_stages(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "points.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n"
        "def point(x): return Point(x)\n"
    )
    (tmp_path / "inner" / "noting.yaml").write_text(
        "inputs: [xs]\noutputs: {out: point}\n"
        "stages:\n  point: {call: 'points:point', inputs: xs, replicas: 2}\n"
    )

    came = assert_same_everywhere(album(tmp_path))

    assert [point.x for point in came["part/point -> show"]] == [0, 1, 2, 3]

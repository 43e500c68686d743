"""pandas, Arrow and nested containers travel like arrays: in shared memory, by reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.report import Status
from tests.executors.running import EXECUTORS, run

pytestmark = pytest.mark.processes

COUNT = 4


def chain(kind: str, *steps: str, rows: int = 20_000) -> dict[str, Any]:
    stages: dict[str, Any] = {
        "source": {"call": f"tables:{kind}", "with": {"count": COUNT, "rows": rows}}
    }
    before = "source"
    for step in steps:
        stages[step] = {"call": f"tables:{step}", "inputs": before}
        before = step
    stages["told"] = {"call": "tables:told", "inputs": before}
    stages["sink"] = {"keep": "told"}
    return stages


@pytest.mark.parametrize("kind", ["frames", "tables", "shots"])
def test_tables_arrive_as_they_were_and_are_passed_on_without_a_copy(
    tmp_path: Path, kind: str
) -> None:
    stages = chain(kind, "forward", "wrapped")

    inline, local = (run(tmp_path / each, stages, each) for each in EXECUTORS)

    assert inline.report.run.status is local.report.run.status is Status.SUCCEEDED
    assert len(local.items("sink")) == COUNT
    assert local.kept == inline.kept
    made = local.edge("source.out", "forward")
    assert made.bytes_shared > 1_000_000
    for source, target in (("forward.out", "wrapped"), ("wrapped.out", "told")):
        passed = local.edge(source, target)
        assert passed.bytes_shared >= made.bytes_shared
        assert passed.bytes_copied < 0.02 * made.bytes_shared
        # For the texts of frames: pandas copies these itself whenever it is pickled.
        assert passed.slots <= (2 * COUNT if kind == "frames" else 0)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_frame_that_came_is_read_only_and_the_error_says_what_to_do(
    tmp_path: Path, executor: str
) -> None:
    outcome = run(tmp_path, chain("frames", "write_into", rows=100), executor)

    (error,) = outcome.report.errors
    assert (error.stage, error.type) == ("write_into", "ValueError")
    assert "copy it, or set `arrays: copy` on the edge" in error.message


def test_a_frame_that_came_as_a_copy_may_be_changed(tmp_path: Path) -> None:
    stages = chain("frames", "write_into", rows=100)
    stages["write_into"]["inputs"] = {"from": "source", "arrays": "copy"}

    inline, local = (run(tmp_path / each, stages, each) for each in EXECUTORS)

    assert [item[0] for item in local.items("sink")] == [-1.0] * COUNT
    assert local.kept == inline.kept

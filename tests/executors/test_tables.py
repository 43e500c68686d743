"""pandas, Arrow and nested containers travel like arrays: in shared memory, by reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.report import Status
from tests.executors.running import EXECUTORS, run

pytestmark = pytest.mark.processes

COUNT = 4
KINDS = ("frames", "tables", "shots")


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


@pytest.mark.parametrize("kind", KINDS)
def test_tables_arrive_as_they_were_in_either_executor(tmp_path: Path, kind: str) -> None:
    stages = chain(kind, "wrapped", "forward")

    inline, local = (run(tmp_path / each, stages, each) for each in EXECUTORS)

    assert inline.report.run.status == local.report.run.status is Status.SUCCEEDED
    assert len(local.items("sink")) == COUNT
    assert local.kept == inline.kept


@pytest.mark.parametrize("kind", ["measures", "tables", "shots"])
def test_tables_that_are_passed_on_or_wrapped_are_not_copied(tmp_path: Path, kind: str) -> None:
    outcome = run(tmp_path, chain(kind, "forward", "wrapped"), "local")

    made = outcome.edge("source.out", "forward")
    assert made.bytes_shared > 1_000_000
    assert made.bytes_copied < 0.01 * made.bytes_shared
    for source, target in (("forward.out", "wrapped"), ("wrapped.out", "told")):
        passed = outcome.edge(source, target)
        assert passed.bytes_shared >= made.bytes_shared
        assert passed.bytes_copied < 0.02 * made.bytes_shared
        assert passed.slots == 0


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

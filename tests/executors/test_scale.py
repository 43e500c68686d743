"""Many stages, many replicas, many edges: each run starts, ends, and accounts for all its items.

The sizes of the issue run with ``PIPEFLOW_LONG=1``; smaller ones of the same shape always.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import pipeflow
from pipeflow.telemetry.report import Report, Status

pytestmark = pytest.mark.processes

LONG = bool(os.environ.get("PIPEFLOW_LONG"))

STAGES = """
def numbers(stop): return range(stop)
def add(x): return x + 1
def keep(x, path):
    with open(path, "a") as file:
        file.write(f"{x}\\n")
"""


def run(folder: Path, stages: dict[str, object]) -> tuple[Report, list[int]]:
    """Run stages beside ``many.py``; what was kept, in the order of arrival."""
    (folder / "many.py").write_text(STAGES, encoding="utf-8")
    before = os.getcwd()  # noqa: PTH109 - put back as it was
    os.chdir(folder)
    try:
        report = pipeflow.run({"stages": stages})
    finally:
        os.chdir(before)
    assert report.run.status is Status.SUCCEEDED, report.errors
    assert report.ledger.balanced
    kept = (folder / "kept").read_text(encoding="utf-8").split()
    return report, [int(line) for line in kept]


def keep(inputs: object) -> dict[str, object]:
    return {"call": "many:keep", "inputs": inputs, "with": {"path": "kept"}}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("length", [100 if LONG else 30])
def test_a_long_chain_runs_and_keeps_the_order(tmp_path: Path, length: int) -> None:
    stages: dict[str, object] = {"s0": {"call": "many:numbers", "with": {"stop": 50}}}
    for number in range(1, length - 1):
        stages[f"s{number}"] = {"call": "many:add", "inputs": f"s{number - 1}"}
    stages["last"] = keep(f"s{length - 2}")

    report, kept = run(tmp_path, stages)

    assert kept == [number + length - 2 for number in range(50)]
    assert sum(len(stage.workers) for stage in report.stages) == length


@pytest.mark.timeout(120)
@pytest.mark.parametrize("replicas", [64 if LONG else 16])
def test_many_replicas_share_the_work_and_keep_the_order(tmp_path: Path, replicas: int) -> None:
    report, kept = run(
        tmp_path,
        {
            "first": {"call": "many:numbers", "with": {"stop": 1000}},
            "work": {"call": "many:add", "inputs": "first", "replicas": replicas},
            "last": keep("work"),
        },
    )

    assert kept == list(range(1, 1001))
    assert len({worker.pid for stage in report.stages for worker in stage.workers}) == replicas + 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize("side", [32 if LONG else 8])
def test_many_edges_between_all_and_all_lose_nothing(tmp_path: Path, side: int) -> None:
    sources = [f"a{number}" for number in range(side)]
    stages: dict[str, object] = {
        name: {"call": "many:numbers", "with": {"stop": 5}} for name in sources
    }
    stages |= {f"b{number}": keep(sources) for number in range(side)}

    report, kept = run(tmp_path, stages)

    assert len(report.edges) == side * side
    assert sorted(kept) == sorted([*range(5)] * side * side)

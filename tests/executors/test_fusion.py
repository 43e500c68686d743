"""Fused chains give what separate processes give, and only the processes are fewer."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pipeflow
from pipeflow.telemetry.events import LogLine, WorkerDied
from tests.executors.judging import succeeded
from tests.executors.running import Outcome, run

pytestmark = pytest.mark.processes

CODE = """\
import ctypes
import os

import numpy as np

import pipeflow


def count(stop: int):
    yield from range(stop)


def double(x: int) -> int:
    return 2 * x


def record(x: int):
    print(f"record {x}") if x == 0 else None
    return {"x": x, "list": [x]}


def some(item):
    return None if item["x"] % 3 == 0 else item


def touch(item):
    item["list"].append("seen")
    return item


def total(item) -> int:
    return item["x"] + len(item["list"])


def fail_at_20(item):
    if item["x"] == 20:
        raise ValueError("no 20")
    return item


TRIED = set()


def fail_once_each(item):
    item["list"].append("seen")
    if item["x"] not in TRIED:
        TRIED.add(item["x"])
        raise ConnectionError("the first try")
    return item


def crash_at_20(item):
    if item["x"] == 20:
        ctypes.string_at(0)
    return item


def early_apart(x: int):
    return pipeflow.to("early", x) if x < 400 else x


def both(left, right):
    return [left, right]


def frame(x: int):
    return np.full((100, 200), x, np.float32)


def half(array):
    return array[:50]


def mean(array) -> float:
    return float(array.mean())
"""

CHAIN: dict[str, Any] = {
    "count": {"call": "chain:count", "with": {"stop": 500}},
    "double": {"call": "chain:double", "inputs": "count"},
    "record": {"call": "chain:record", "inputs": "double"},
    "some": {"call": "chain:some", "inputs": "record"},
    "touch": {"call": "chain:touch", "inputs": "some"},
    "total": {"call": "chain:total", "inputs": "touch"},
    "kept": {"keep": "total"},
}


@pytest.fixture(autouse=True)
def code(tmp_path: Path) -> None:
    (tmp_path / "chain.py").write_text(CODE)


def counts(outcome: Outcome) -> list[Any]:
    return [
        replace(stage, workers=(), busy_s=0, wait_in_s=0, wait_out_s=0)
        for stage in outcome.report.stages
    ]


def pids(outcome: Outcome) -> dict[str, tuple[int, ...]]:
    return {
        stage.name: tuple(worker.pid for worker in stage.workers) for stage in outcome.report.stages
    }


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_fused_chain_gives_the_same_items_ids_and_counts(tmp_path: Path, replicas: int) -> None:
    inner = ("double", "record", "some", "touch", "total")
    stages = {
        name: {**stage, "replicas": replicas} if name in inner else stage
        for name, stage in CHAIN.items()
    }

    apart = run(tmp_path, stages, "local")
    fused = run(tmp_path, stages, "local", fuse=True)

    assert fused.kept == apart.kept
    assert counts(fused) == counts(apart)
    assert fused.report.ledger.balanced
    processes = pids(fused)
    assert len({processes[name] for name in inner}) == 1
    assert len({processes["count"], processes["double"], processes["kept"]}) == 3
    assert len(set(processes["double"])) == replicas


def test_arrays_pass_a_fused_chain_read_only_and_by_reference(tmp_path: Path) -> None:
    stages: dict[str, Any] = {
        "count": {"call": "chain:count", "with": {"stop": 30}},
        "frame": {"call": "chain:frame", "inputs": "count"},
        "half": {"call": "chain:half", "inputs": "frame"},
        "mean": {"call": "chain:mean", "inputs": "half"},
        "kept": {"keep": "mean"},
    }

    fused = run(tmp_path, stages, "local", fuse=True)

    assert fused.items("kept") == [float(n) for n in range(30)]
    edge = fused.edge("half.out", "mean")
    assert (edge.transport, edge.bytes_shared) == ("fused", 30 * 50 * 200 * 4)


def test_a_failure_in_a_fused_chain_names_its_stage_and_item(tmp_path: Path) -> None:
    stages = {**CHAIN, "touch": {"call": "chain:fail_at_20", "inputs": "some"}}

    outcome = run(tmp_path, stages, "local", fuse=True)

    (error,) = outcome.report.errors
    assert (error.stage, error.item, error.message) == ("touch", "count:10", "no 20")
    assert outcome.report.run.exit_code == 1
    assert outcome.report.ledger.balanced


def test_a_crash_in_a_fused_chain_names_its_stage_and_item(tmp_path: Path) -> None:
    stages = {**CHAIN, "touch": {"call": "chain:crash_at_20", "inputs": "some"}}

    outcome = run(tmp_path, stages, "local", fuse=True)

    (error,) = outcome.report.errors
    assert (error.stage, error.item) == ("touch", "count:10")
    (died,) = [event for event in outcome.events if isinstance(event, WorkerDied)]
    assert (died.stage, died.signal) == ("touch", signal.SIGSEGV.name)


def test_dead_letters_leave_a_fused_chain_by_their_port(tmp_path: Path) -> None:
    stages = {
        **CHAIN,
        "touch": {"call": "chain:fail_at_20", "inputs": "some", "on_error": "dead_letter"},
        "broken": {"keep": "touch.errors"},
    }

    outcome = run(tmp_path, stages, "local", fuse=True)

    (letter,) = outcome.items("broken")
    assert (letter["id"], letter["stage"]) == ("count:10", "touch")
    assert outcome.stage("total").received == outcome.stage("touch").processed
    assert outcome.report.run.exit_code == 0


def test_a_fused_stage_tries_again_what_fails(tmp_path: Path) -> None:
    stages = {
        **CHAIN,
        "touch": {
            "call": "chain:fail_once_each",
            "inputs": "some",
            "on_error": {"retries": 1, "backoff": "0s"},
        },
    }

    plain = run(tmp_path, CHAIN, "local", fuse=True)
    outcome = run(tmp_path, stages, "local", fuse=True)

    assert outcome.kept == plain.kept
    touch = outcome.stage("touch")
    assert (touch.retried, touch.processed) == (touch.received, plain.stage("touch").processed)
    assert outcome.report.ledger.balanced


def test_an_early_end_passes_up_through_a_fused_chain(tmp_path: Path) -> None:
    stages: dict[str, Any] = {
        **CHAIN,
        "count": {"call": "chain:count", "with": {"stop": 10**9}},
        "few": {"use": "take", "with": {"n": 3}, "inputs": "total"},
        "kept": {"keep": "few"},
    }

    outcome = run(tmp_path, stages, "local", fuse=True)

    assert len(outcome.items("kept")) == 3
    assert outcome.report.run.exit_code == 0
    assert outcome.report.ledger.balanced


def test_a_stage_that_may_wait_for_room_elsewhere_has_a_process_of_its_own(tmp_path: Path) -> None:
    stages: dict[str, Any] = {
        "count": CHAIN["count"],
        "part": {"call": "chain:early_apart", "inputs": "count", "outputs": ["early"]},
        "double": {"call": "chain:double", "inputs": "part"},
        "twice": {"call": "chain:double", "inputs": "double"},
        "both": {
            "call": "chain:both",
            "inputs": {
                "left": {"from": "twice", "capacity": 1},
                "right": {"from": "part.early", "capacity": 1},
            },
        },
        "alone": {"keep": "both.unmatched"},
        "kept": {"keep": "both"},
    }

    apart = run(tmp_path, stages, "local")
    fused = run(tmp_path, stages, "local", fuse=True)

    succeeded(apart)
    succeeded(fused)
    assert fused.kept == apart.kept
    assert len(fused.items("alone")) == 500
    processes = pids(fused)
    assert processes["part"] != processes["double"] == processes["twice"]


def test_what_a_fused_stage_prints_bears_its_name(tmp_path: Path) -> None:
    outcome = run(tmp_path, CHAIN, "local", fuse=True)

    lines = [event for event in outcome.events if isinstance(event, LogLine)]
    assert [line.stage for line in lines if line.text == "record 0"] == ["record"]


def test_each_stage_of_one_process_tells_what_it_used_itself(tmp_path: Path) -> None:
    report = run(tmp_path, CHAIN, "local", fuse=True).report

    inner = [stage for stage in report.stages if stage.name in {"double", "record", "some"}]
    cpu_s = [worker.cpu_s for stage in inner for worker in stage.workers]
    assert cpu_s == [pytest.approx(stage.busy_s, abs=1e-5) for stage in inner]
    assert sum(cpu_s) <= report.run.wall_s  # they work by turns


def test_the_plan_shows_what_shares_a_process(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        "stages:\n"
        '  count: {call: "chain:count", with: {stop: 5}}\n'
        '  double: {call: "chain:double", inputs: count}\n'
        '  record: {call: "chain:record", inputs: double, env: {A: b}}\n'
        '  total: {call: "chain:total", inputs: record, env: {A: b}}\n'
        "  show: {use: print, inputs: total}\n"
    )

    plan = pipeflow.plan(file, fuse=True)

    assert [edge.way for edge in plan.edges] == ["pipe", "pipe", "fused", "pipe"]
    assert plan.processes == 4
    assert plan.notes[0] == "stages record, total run in one process (`--fuse`)"


def test_what_waits_with_an_item_in_hand_has_a_process_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        "stages:\n"
        "  count: {use: range, with: {stop: 5}}\n"
        "  even: {use: filter, inputs: count, with: {where: item}}\n"
        "  slow: {use: throttle, inputs: even, with: {rate: 1}}\n"
        "  told: {use: log, inputs: slow}\n"
        "  next: {use: map, inputs: told, with: {expr: item}}\n"
        "  show: {use: print, inputs: next}\n"
    )

    plan = pipeflow.plan(file, fuse=True)

    assert [edge.way for edge in plan.edges] == ["pipe", "pipe", "pipe", "fused", "pipe"]

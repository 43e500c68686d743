"""Who is killed while others share state with it: the run ends, says why, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import pipeflow
from pipeflow.telemetry.events import Event, LogLine, WorkerReady, WorkerStarted
from pipeflow.telemetry.report import Status

pytestmark = pytest.mark.processes

CODE = """
import os
import signal

def endless(stop=10**9):
    yield from range(stop)

def note(item, seen, letters):
    with seen:
        seen[item % 10] = seen.get(item % 10, 0) + 1
    letters.append(item)
    del letters[0]
    return item

def die_inside(item, total, seen):
    with total, seen:
        if item == 50:
            os.kill(os.getpid(), signal.SIGKILL)
    return item

def forks(item, total, seen):
    if (child := os.fork()) == 0:
        with total:
            seen[item] = os.getpid()
            total.value += 1
        os._exit(0)
    os.waitpid(child, 0)
    return (seen[item] == child, total.value)

def cross(item, first, second):
    one, two = (first, second) if item % 2 else (second, first)
    for _ in range(100_000):
        with one:
            with two:
                pass
    return item
"""

SHARED: dict[str, Any] = {
    "seen": {"type": "dict"},
    "letters": {"type": "list"},
    "total": {"type": "value", "dtype": "int64"},
}


def write(folder: Path, stages: dict[str, Any]) -> Path:
    used = json.dumps(stages)
    shared = {name: each for name, each in SHARED.items() if f"shared.{name}" in used}
    (folder / "sharing.py").write_text(CODE)
    file = folder / "pipeline.yaml"
    file.write_text(json.dumps({"shared": shared, "stages": stages}))
    return file


class KillsManager:
    """Hears the events of a run, and kills its manager process when all workers are ready."""

    def __init__(self, workers: int) -> None:
        self._left = workers
        self._pids: dict[str, int] = {}
        self.killed = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, WorkerStarted):
            self._pids[f"{event.stage}[{event.replica}]"] = event.pid
        if isinstance(event, WorkerReady):
            self._left -= 1
            if self._left == 0:
                self.killed = self._find()
                os.kill(self.killed, signal.SIGKILL)

    def _find(self) -> int:
        """The child of the launch server that is no worker, and keeps no process beside it."""
        stat = Path(f"/proc/{self._pids['source[0]']}/stat").read_text()
        server = int(stat.rpartition(")")[2].split()[1])
        others = set(children(server)) - set(self._pids.values())
        (found,) = [pid for pid in others if not children(pid)]
        return found


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_when_the_manager_is_killed_the_run_ends_and_names_it(
    tmp_path: Path, method: str, on_error: str
) -> None:
    given = {"seen": "${shared.seen}", "letters": "${shared.letters}"}
    work = {"call": "sharing:note", "inputs": "source", "with": given, "replicas": 2}
    file = write(
        tmp_path,
        {
            "source": {"call": "sharing:endless"},
            "work": {**work, "on_error": on_error},
            "sink": {"use": "null", "inputs": "work"},
        },
    )
    kills = KillsManager(workers=4)

    report = pipeflow.run(file, listener=kills, start_method=method)

    assert report.run.status is Status.FAILED
    (error,) = report.errors
    assert error.type == "ManagerDied"
    assert "which keeps shared 'seen', 'letters', was ended by SIGKILL" in error.message
    assert report.ledger.balanced
    assert gone(kills.killed)


def test_who_dies_with_a_lock_in_hand_does_not_keep_it(tmp_path: Path) -> None:
    given = {"total": "${shared.total}", "seen": "${shared.seen}"}
    file = write(
        tmp_path,
        {
            "source": {"call": "sharing:endless", "with": {"stop": 1000}},
            "work": {
                "call": "sharing:die_inside",
                "inputs": "source",
                "with": given,
                "replicas": 3,
            },
            "sink": {"use": "null", "inputs": "work"},
        },
    )

    report = pipeflow.run(file)

    (error,) = report.errors
    assert (error.stage, error.item, error.type) == ("work", "source:50", "WorkerDied")
    assert report.ledger.balanced


def test_when_an_item_kills_the_holder_of_a_lock_the_others_go_on_with_a_warning(
    tmp_path: Path,
) -> None:
    given = {"total": "${shared.total}", "seen": "${shared.seen}"}
    warnings: list[str] = []
    file = write(
        tmp_path,
        {
            "source": {"call": "sharing:endless", "with": {"stop": 200}},
            "work": {
                "call": "sharing:die_inside",
                "inputs": "source",
                "with": given,
                "replicas": 3,
                "on_error": "skip",
            },
            "sink": {"use": "null", "inputs": "work"},
        },
    )

    def hear(event: Event) -> None:
        if isinstance(event, LogLine) and event.level == "warning":
            warnings.append(event.text)

    report = pipeflow.run(file, listener=hear)

    assert report.run.exit_code == 0, report.errors
    assert report.ledger.balanced
    work = report.stages[1]
    assert (work.received, work.processed, work.skipped) == (200, 199, 1)
    for name in ("total", "seen"):
        dead = f"whoever held the lock of shared '{name}' has died"
        assert sum(dead in text for text in warnings) == 1, warnings


def test_a_process_that_a_stage_forks_has_its_own_way_to_the_state(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    given = {"total": "${shared.total}", "seen": "${shared.seen}"}
    file = write(
        tmp_path,
        {
            "source": {"call": "sharing:endless", "with": {"stop": 3}},
            "work": {"call": "sharing:forks", "inputs": "source", "with": given},
            "sink": {"use": "jsonl.write", "inputs": "work", "with": {"path": str(out)}},
        },
    )

    report = pipeflow.run(file)

    assert report.run.exit_code == 0, report.errors
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        [True, 1],
        [True, 2],
        [True, 3],
    ]


def test_two_that_take_two_locks_in_opposite_order_are_told_and_never_hang(tmp_path: Path) -> None:
    given = {"first": "${shared.total}", "second": "${shared.seen}"}
    file = write(
        tmp_path,
        {
            "source": {"call": "sharing:endless", "with": {"stop": 2}},
            "work": {
                "call": "sharing:cross",
                "inputs": "source",
                "with": given,
                "replicas": 2,
            },
            "sink": {"use": "null", "inputs": "work"},
        },
    )

    report = pipeflow.run(file)

    (error,) = report.errors
    assert "a circle of locks" in error.message

"""Operators that wait: a drain ends their wait, and what they had then goes through at once."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.executors.running import EXECUTORS
from tests.faults.commands import DEADLINE_S, PIPEFLOW, write

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]


def drained(folder: Path, executor: str, slow: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Interrupt a run when its first item is printed; what was printed, and the report."""
    stages = {
        "source": {"use": "range", "with": {"stop": 5}},
        "slow": {"inputs": "source", **slow},
        "show": {"use": "print", "inputs": "slow"},
    }
    file = write(folder, stages)
    options = ["--executor", executor, "--report", str(folder / "report.json")]
    run = subprocess.Popen(
        [*PIPEFLOW, "run", str(file), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    first = run.stdout.readline()
    run.send_signal(signal.SIGINT)
    rest, errors = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 130, errors
    return first + rest, json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize(
    "slow",
    [
        {"use": "throttle", "with": {"rate": 0.001}},
        {"use": "delay", "with": {"by": "1h", "time": "0 if item == 0 else 1e11"}},
    ],
    ids=["throttle", "delay"],
)
def test_a_drain_ends_the_wait_and_loses_no_item(
    tmp_path: Path, executor: str, slow: dict[str, Any]
) -> None:
    printed, report = drained(tmp_path, executor, slow)

    given = next(edge["sent"] for edge in report["edges"] if edge["to"] == "slow")
    assert printed.split() == [str(number) for number in range(given)]
    assert report["ledger"] == {"balanced": True, "findings": []}
    assert report["run"]["status"] == "interrupted"

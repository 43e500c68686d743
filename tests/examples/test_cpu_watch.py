"""The endless example: Ctrl-C drains it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.examples.conftest import Finished, Start

pytestmark = pytest.mark.processes

FILE: Final = Path(__file__).parents[2] / "pipelines/cpu_watch.yaml"


def interrupt_the_command(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)


def interrupt_like_a_terminal(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGINT)  # a terminal signals every process of the group


@pytest.mark.parametrize("executor", ["local", "inline"])
@pytest.mark.parametrize("interrupt", [interrupt_the_command, interrupt_like_a_terminal])
def test_an_interrupt_drains_an_endless_run(
    executor: str,
    interrupt: Callable[[subprocess.Popen[str]], None],
    start: Start,
    finished: Callable[[subprocess.Popen[str], Path], Finished],
    tmp_path: Path,
) -> None:
    process = start(FILE, "--executor", executor, folder=tmp_path)
    assert process.stdout is not None
    first = process.stdout.readline()

    interrupt(process)

    run = finished(process, tmp_path)
    assert first.split()[1] in {"BUSY", "calm"}
    assert run.code == 130, run.stderr
    assert run.report["run"]["status"] == "interrupted"
    assert run.report["ledger"] == {"balanced": True, "findings": []}
    # Drained, not cut off: what the source gave has come all the way.
    assert run.stage("mean")["processed"] == run.stage("load")["emitted"]["out"] > 0
    assert "Traceback" not in run.stderr


def test_the_first_line_comes_at_once_and_says_how_things_stand(
    start: Start,
    finished: Callable[[subprocess.Popen[str], Path], Finished],
    tmp_path: Path,
) -> None:
    process = start(FILE, "--param", "above=0", folder=tmp_path)
    assert process.stdout is not None
    first = process.stdout.readline()

    process.send_signal(signal.SIGTERM)

    assert first.split()[1] == "BUSY"
    assert finished(process, tmp_path).code == 143

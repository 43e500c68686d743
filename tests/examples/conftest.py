"""Runs the command on the examples, as a user would, and keeps what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

PIPELINES: Final = Path(__file__).parents[2] / "pipelines"
LONGEST_S: Final = 50.0
LONGEST_OF: Final = {"logs": 120.0}  # whose tests have a longer timeout


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run that ended.

    Attributes:
        folder: Where it was started.
        pid: Of the command itself.
        code: Its exit code.
        stdout: What it printed.
        stderr: What it said meanwhile.
        report: The report as it was written; empty if it wrote none.
    """

    folder: Path
    pid: int
    code: int
    stdout: str
    stderr: str
    report: dict[str, Any]

    def edge(self, to: str, name: str = "") -> dict[str, Any]:
        """The edge into a stage (and one of its named inputs)."""
        (edge,) = (e for e in self.report["edges"] if e["to"] == to and e["input"] == name)
        found: dict[str, Any] = edge
        return found

    def stage(self, name: str) -> dict[str, Any]:
        """What the report says of a stage."""
        (stage,) = (s for s in self.report["stages"] if s["name"] == name)
        found: dict[str, Any] = stage
        return found


Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., Finished]
Example = Callable[[str, str], Finished]


@pytest.fixture(scope="session")
def start() -> Start:
    """Starts ``pipeflow run FILE ...`` in a folder, in a process group of its own."""

    def start(file: Path, *options: str, folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "pipeflow", "run", str(file), *options]
        return subprocess.Popen(
            [*command, "--report", str(folder / "report.json")],
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture(scope="session")
def run(start: Start) -> Run:
    """Runs a file to its end."""

    def run(file: Path, *options: str, folder: Path, longest_s: float = LONGEST_S) -> Finished:
        return finish(start(file, *options, folder=folder), folder, longest_s)

    return run


@pytest.fixture(scope="session")
def example(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """Runs an example by one of the executors; a second time gives what the first gave."""
    known: dict[tuple[str, str], Finished] = {}

    def example(name: str, executor: str) -> Finished:
        if (name, executor) not in known:
            folder = tmp_path_factory.mktemp(f"{name}-{executor}")
            known[name, executor] = run(
                PIPELINES / f"{name}.yaml",
                *("--executor", executor),
                folder=folder,
                longest_s=LONGEST_OF.get(name, LONGEST_S),
            )
        return known[name, executor]

    return example


def finish(process: subprocess.Popen[str], folder: Path, longest_s: float = LONGEST_S) -> Finished:
    """Wait for a run, read all it says, and kill it if it takes too long."""
    with process:
        try:
            stdout, stderr = process.communicate(timeout=longest_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    report = folder / "report.json"
    return Finished(
        folder=folder,
        pid=process.pid,
        code=process.returncode,
        stdout=stdout,
        stderr=stderr,
        report=json.loads(report.read_text(encoding="utf-8")) if report.exists() else {},
    )


@pytest.fixture(scope="session")
def finished() -> Callable[[subprocess.Popen[str], Path], Finished]:
    """Waits for a run that a test started itself."""
    return finish

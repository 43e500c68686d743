"""memory: what a worker takes beyond what its stage imports."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.model import Bar, Kind, Metrics, Sense, System, Workload, WrongResult
from tests.benchmarks.programs import DEADLINE_S, PIPELINES, run_pipeflow
from tests.benchmarks.pss import pss_mb

#: Workers of the pipelines, and processes that they are compared with.
STAGES = 3
#: What one writes whose stage does nothing: it has its imports, and waits.
BARE = "import sys; sys.path.insert(0, sys.argv[1]); __import__(sys.argv[2]); print(); input()"


def memory() -> Workload:
    """A workload with no time in it."""
    both = ("resident", "resident_numpy")
    return Workload(
        name="memory",
        what="PSS of the largest of three workers, less that of Pythons with the same imports",
        systems=(
            *(_workers(module) for module in both),
            *(_bare(module) for module in both),
        ),
        bars=tuple(
            Bar(system=_name(module), metric="beyond_mb", sense=Sense.AT_MOST, limit=8)
            for module in both
        ),
    )


def _name(module: str) -> str:
    return "pipeflow, stages import numpy" if "numpy" in module else "pipeflow"


def _workers(module: str) -> System:
    def measure(folder: Path) -> Metrics:
        events = folder / "events.jsonl"
        found: list[float] = []

        def look(process: subprocess.Popen[str]) -> None:
            with _fifo(folder / "come") as come, _fifo(folder / "go") as go:
                _await(come, process)
                found.extend(pss_mb(pid) for pid in _pids(events))
                os.write(go, b".")
                process.wait(DEADLINE_S)

        for name in ("come", "go"):
            os.mkfifo(folder / name)
        run_pipeflow(f"{module}.yaml", {"folder": folder}, [f"--events={events}"], watch=look)
        if len(found) != STAGES or not all(found):
            raise WrongResult(f"there should be {STAGES} workers with memory, not {found}")
        return {"pss_mb": max(found), "beyond_mb": max(found) - _bare_mb(module)}

    return System(name=_name(module), kind=Kind.OURS, measure=measure)


def _bare(module: str) -> System:
    def measure(_: Path) -> Metrics:
        return {"pss_mb": _bare_mb(module)}

    return System(name=f"Python that imports {module}", kind=Kind.LIMIT, measure=measure)


def _bare_mb(module: str) -> float:
    """Mean of as many processes as there are workers, since more of them share more."""
    command = [sys.executable, "-c", BARE, str(PIPELINES), module]
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PIPELINES
                )
            )
            for _ in range(STAGES)
        ]
        for process in processes:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise WrongResult(f"Python could not import {module}")
        found = [pss_mb(process.pid) for process in processes]
        for process in processes:
            process.communicate(b"\n")
    return sum(found) / len(found)


@contextlib.contextmanager
def _fifo(path: Path) -> Iterator[int]:
    """Open both ends, so that nobody waits for anybody to open the other."""
    end = os.open(path, os.O_RDWR)
    try:
        yield end
    finally:
        os.close(end)


def _await(come: int, process: subprocess.Popen[str]) -> None:
    """Wait until all items have come.

    Raises:
        WrongResult: The run ended before.
    """
    ended = os.pidfd_open(process.pid)
    try:
        ready, _, _ = select.select([come, ended], [], [], DEADLINE_S)
    finally:
        os.close(ended)
    if come not in ready:
        process.kill()
        _, said = process.communicate()
        raise WrongResult(f"the run ended, or hung, before its items had come:\n{said}")


def _pids(events: Path) -> Sequence[int]:
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    return [event["pid"] for event in lines if event["event"] == "worker_started"]

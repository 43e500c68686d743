"""``python -m tests.benchmarks.flat_memory``: does memory grow with the number of rows?

Runs ``csv.read -> filter -> group -> jsonl.write`` over a short and a long file, and looks at the
PSS of the command and all its workers, five times a second. Exit code 1: it grew by over 10 %.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.benchmarks.pss import family, pss_mb

PIPELINE: Final = Path(__file__).parent / "pipelines/flat_memory.yaml"
SIZES: Final = (100_000, 10_000_000)
INTERVAL_S: Final = 0.2
KEYS: Final = 1000
VALUES: Final = 1009  # a prime, so that all keys meet all values
ENOUGH: Final = 100  # smaller values are filtered out
MOST: Final = 1.10  # times the memory of the short run


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a run took.

    Attributes:
        rows: How many it read.
        seconds: How long it took.
        peak_mb: The largest PSS of all its processes together, in units of 10^6 bytes.
        middle_mb: The median of the looks in the second half of the run.
        last_mb: The last look with all processes alive.
    """

    rows: int
    seconds: float
    peak_mb: float
    middle_mb: float
    last_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both sizes; 1 if the long run took more than it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.flat_memory")
    parser.add_argument("sizes", nargs="*", type=int, help=f"numbers of rows {SIZES}")
    sizes = parser.parse_args(arguments).sizes or list(SIZES)
    done: list[Memory] = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            done.append(measured(rows, Path(folder)))
            print(told(done[-1]), flush=True)
    growth = done[-1].peak_mb / done[0].peak_mb
    print(f"peak of {done[-1].rows:,} rows: {growth:.3f} times that of {done[0].rows:,}")
    return 1 if growth > MOST else 0


def told(memory: Memory) -> str:
    """One line about a run."""
    return (
        f"{memory.rows:>12,} rows  {memory.seconds:7.1f} s  peak {memory.peak_mb:6.1f} MB  "
        f"median of the second half {memory.middle_mb:6.1f} MB  last {memory.last_mb:6.1f} MB"
    )


def measured(rows: int, folder: Path) -> Memory:
    """Run the pipeline on so many rows, check what it wrote, and give what it took."""
    source, groups = folder / "rows.csv", folder / "groups.jsonl"
    write_rows(source, rows)
    params = ("--param", f"rows={source}", "--param", f"out={groups}")
    command = [sys.executable, "-m", "pipeflow", "run", str(PIPELINE), *params, "--quiet"]
    began = time.perf_counter()
    with subprocess.Popen(command, env={**os.environ, "NO_COLOR": "1"}) as process:
        looks = watched(process)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"the run failed with exit code {process.returncode}")
    check(groups, rows)
    # Those of the start and the end lack some of the workers.
    full = max(number for number, _ in looks)
    steady = [megabytes for number, megabytes in looks if number == full]
    return Memory(
        rows=rows,
        seconds=seconds,
        peak_mb=max(megabytes for _, megabytes in looks),
        middle_mb=median(steady[len(steady) // 2 :]),
        last_mb=steady[-1],
    )


def watched(process: subprocess.Popen[bytes]) -> list[tuple[int, float]]:
    """Look at a program until it ends: how many processes it had, and their PSS in MB."""
    looks: list[tuple[int, float]] = []
    while process.poll() is None:
        sizes = [size for pid in family(process.pid) if (size := pss_mb(pid))]
        looks.append((len(sizes), sum(sizes)))
        try:
            process.wait(INTERVAL_S)
        except subprocess.TimeoutExpired:
            continue  # it still runs: look again
    return looks


def write_rows(file: Path, rows: int) -> None:
    """Write the rows of a run."""
    with file.open("w", encoding="utf-8") as text:
        text.write("number,key,value\n")
        text.writelines(
            f"{number},key-{number % KEYS},{number % VALUES}\n" for number in range(rows)
        )


def check(groups: Path, rows: int) -> None:
    """Compare what was written with sums that need no rows to be read."""
    found = [json.loads(line) for line in groups.read_text(encoding="utf-8").splitlines()]
    values = [number % VALUES for number in range(rows)]
    kept = [value for value in values if value >= ENOUGH]
    told = (sum(group["count"] for group in found), sum(group["sum"] for group in found))
    if told != (len(kept), sum(kept)):
        raise SystemExit(f"the groups have {told} items and sum, not {len(kept), sum(kept)}")


if __name__ == "__main__":
    sys.exit(main())

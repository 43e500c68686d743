"""ablation: what statistics and the ledger cost, by taking them out."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.benchmarks.ablation import Less
from tests.benchmarks.model import Bar, Kind, Metrics, Sense, System, Workload, WrongResult
from tests.benchmarks.noted import read_notes
from tests.benchmarks.programs import PIPELINES, confined_to, run_program
from tests.benchmarks.workloads.reports import cpu_s
from tests.benchmarks.workloads.small import total_of_dicts

#: What the numbers of a run are divided by; named once so that a bar finds its system.
_WHOLE = "pipeflow"
_NAMES = {
    Less.NOTHING: _WHOLE,
    Less.COUNTERS: "no counters",
    Less.HAND_TOO: "no counters, no item in hand",
}
#: At most so much more than without counting.
_MOST = 1.02


def ablation(*, quick: bool) -> Workload:
    """Do w1 with and without counting."""
    count = 2_000 if quick else 1_000_000
    return Workload(
        name="ablation",
        what="w1 on one core as it is, and with statements taken out that nobody can do without",
        systems=tuple(_system(less, count) for less in Less),
        bars=tuple(
            Bar(system=_WHOLE, metric=metric, against=name, sense=Sense.AT_MOST, limit=_MOST)
            for metric in ("us_per_item", "cpu_us_per_item")
            for name in _NAMES.values()
            if name != _WHOLE
        ),
    )


def _system(less: Less, count: int) -> System:
    def measure(folder: Path) -> Metrics:
        report = folder / "report.json"
        params = [f"--param=count={count}", f"--param=folder={folder}"]
        command = [sys.executable, "-m", "tests.benchmarks.ablation", less.value, "run"]
        options = [str(PIPELINES / "w1.yaml"), "--quiet", f"--report={report}", *params]
        # On one core processes do not disturb each other, and so small a difference shows.
        with confined_to(1):
            ended = run_program([*command, *options])
        if ended.code != 0:
            raise WrongResult(f"it exited {ended.code}:\n{ended.said}")
        noted = read_notes(folder)
        noted.require(items=count, total=total_of_dicts(count))
        return {
            "us_per_item": noted.wall_s / count * 1e6,
            "cpu_us_per_item": cpu_s(report) / count * 1e6,
        }

    return System(name=_NAMES[less], kind=Kind.OURS, measure=measure)

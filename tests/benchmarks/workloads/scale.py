"""flat and chain: whether an item costs the same in a long stream, and in a long chain."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.benchmarks.model import Bar, Kind, Metrics, Sense, System, Workload
from tests.benchmarks.noted import read_notes
from tests.benchmarks.programs import run_pipeflow
from tests.benchmarks.workloads.reports import cpu_s
from tests.benchmarks.workloads.small import total_of_dicts

#: Items of a stream, and in how many runs of it so many are worked on that a clock can tell.
LENGTHS = {10_000: 10, 100_000: 3, 1_000_000: 1, 10_000_000: 1}
QUICK_LENGTHS = {1_000: 1, 2_000: 1}
#: Stages of a chain, source and sink among them; ``chain.yaml`` has the most.
STAGES = (2, 4, 8, 16)
#: Growth that is none yet: what the machine does by itself from run to run.
MOST = 1.2


def flat(*, quick: bool) -> Workload:
    """Streams of some lengths."""
    lengths = QUICK_LENGTHS if quick else LENGTHS
    shortest, *longer = (f"{count:,} items" for count in lengths)
    return Workload(
        name="flat",
        what="w1 with streams of some lengths; CPU less that of a run of one item",
        systems=tuple(_stream(count, runs) for count, runs in lengths.items()),
        bars=tuple(
            Bar(system=name, metric=metric, against=shortest, sense=Sense.AT_MOST, limit=MOST)
            for metric in ("us_per_item", "cpu_us_per_item")
            for name in longer
        ),
    )


def chain(*, quick: bool) -> Workload:
    """Chains of some lengths."""
    count = 1_000 if quick else 200_000
    steps = tuple(itertools.pairwise(STAGES))
    shortest, *longer = (_from_to(*step) for step in steps)
    return Workload(
        name="chain",
        what="dicts through chains of stages that each make a new one: what one more stage costs",
        systems=tuple(_further(*step, count) for step in steps),
        bars=tuple(
            Bar(system=name, metric=metric, against=shortest, sense=Sense.AT_MOST, limit=MOST)
            for metric in ("us_per_stage", "cpu_us_per_stage")
            for name in longer
        ),
    )


def _stream(count: int, runs: int) -> System:
    def measure(folder: Path) -> Metrics:
        taken = [_run(folder, "w1.yaml", count, ()) for _ in range(runs)]
        start_s = [_run(folder, "w1.yaml", 1, ())[1] for _ in range(runs)]
        wall_s, cpu = (sum(each) for each in zip(*taken, strict=True))
        return {
            "us_per_item": wall_s / runs / count * 1e6,
            "cpu_us_per_item": (cpu - sum(start_s)) / runs / count * 1e6,
        }

    return System(name=f"{count:,} items", kind=Kind.OURS, measure=measure)


def _further(fewer: int, more: int, count: int) -> System:
    """What the stages by which one chain is longer than another cost, each of them."""

    def measure(folder: Path) -> Metrics:
        short, long = (
            _run(folder, "chain.yaml", count, _without(stages), steps=stages - 2)
            for stages in (fewer, more)
        )
        wall_us, cpu_us = ((b - a) / count * 1e6 for a, b in zip(short, long, strict=True))
        return {
            "us_per_stage": wall_us / (more - fewer),
            "cpu_us_per_stage": cpu_us / (more - fewer),
        }

    return System(name=_from_to(fewer, more), kind=Kind.OURS, measure=measure)


def _from_to(fewer: int, more: int) -> str:
    return f"from {fewer} to {more} stages"


def _without(stages: int) -> tuple[str, ...]:
    """Options that leave a chain of so many stages."""
    steps = range(1, STAGES[-1] - 1)
    return tuple(f"--set=stages.step-{i:02}.enabled=false" for i in steps if i > stages - 2)


def _run(
    folder: Path, pipeline: str, count: int, options: tuple[str, ...], steps: int = 1
) -> tuple[float, float]:
    """Wall from first item to last, and processor time of all workers, in seconds."""
    report = folder / "report.json"
    params = {"count": count, "folder": folder}
    run_pipeflow(pipeline, params, (f"--report={report}", *options))
    noted = read_notes(folder)
    noted.require(items=count, total=total_of_dicts(count) + (steps - 1) * count)
    return noted.wall_s, cpu_s(report)

"""w1 and w1int: what an item costs when it is as small as items are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.model import Bar, Kind, Metrics, System, Workload
from tests.benchmarks.noted import read_notes
from tests.benchmarks.programs import run_baseline, run_pipeflow


def w1(*, quick: bool) -> Workload:
    """Dicts."""
    job = _Job(name="w1", job="dicts", total=_total_of_dicts)
    return Workload(
        name="w1",
        what="dicts of two entries; the step makes a new one",
        systems=job.systems(many=2_000 if quick else 400_000, few=2_000 if quick else 50_000),
        bars=(
            Bar(system="pipeflow", metric="rate", against="Queue", limit=15),
            Bar(system="pipeflow", metric="rate", against="Queue of 256", limit=1, stretch=1.2),
        ),
    )


def w1int(*, quick: bool) -> Workload:
    """Integers."""
    job = _Job(name="w1int", job="ints", total=_total_of_ints)
    return Workload(
        name="w1int",
        what="integers; the step adds 1",
        systems=job.systems(many=2_000 if quick else 800_000, few=2_000 if quick else 50_000),
    )


def _total_of_dicts(count: int) -> float:
    return 0.5 * _total_of_ints(count) + 0.5 * count


def _total_of_ints(count: int) -> float:
    return count * (count - 1) / 2 + count


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One of the two.

    Attributes:
        name: Of the pipeline file.
        job: In ``jobs.py``.
        total: What the sink must have summed up.
    """

    name: str
    job: str
    total: Callable[[int], float]

    def systems(self, *, many: int, few: int) -> tuple[System, ...]:
        """All who do it: ``many`` items where an item is cheap, ``few`` where it is not."""
        return (
            self._ours("pipeflow", many),
            self._ours("pipeflow --fuse", many, "--fuse"),
            self._hand("Queue", "baselines.links:queue", few),
            self._hand("Pipe", "baselines.links:pipe", few),
            self._hand("Queue of 256", "baselines.links:queue_batch", many),
            self._hand("serial", "baselines.limits:serial", many, Kind.LIMIT),
        )

    def _ours(self, name: str, count: int, *options: str) -> System:
        def measure(folder: Path) -> Metrics:
            params = {"count": count, "folder": folder}
            run_pipeflow(f"{self.name}.yaml", params, options)
            return self._metrics(folder, count)

        return System(name=name, kind=Kind.OURS, measure=measure)

    def _hand(self, name: str, target: str, count: int, kind: Kind = Kind.HAND) -> System:
        def measure(folder: Path) -> Metrics:
            run_baseline(target, self.job, {"count": count, "folder": str(folder)})
            return self._metrics(folder, count)

        return System(name=name, kind=kind, measure=measure)

    def _metrics(self, folder: Path, count: int) -> Metrics:
        noted = read_notes(folder)
        noted.require(items=count, total=self.total(count))
        return {"rate": count / noted.wall_s, "us_per_item": noted.wall_s / count * 1e6}

"""lat: how long one item is on its way from source to sink when nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

from tests.benchmarks.measure import percentile
from tests.benchmarks.model import Bar, Kind, Metrics, Sense, Workload
from tests.benchmarks.noted import read_notes
from tests.benchmarks.programs import PIPELINES, Ended
from tests.benchmarks.workloads.systems import Read, other, ours

#: Laid over a pipeline so that who waits spins.
SPIN = (f"--overlay={PIPELINES / 'spin.yaml'}",)
#: Elements of eight bytes in a MiB.
LENGTH = (1 << 20) // 8


def lat_64b(*, quick: bool) -> Workload:
    """The smallest item."""
    params = {"count": 50 if quick else 3_000}
    read = _reader(params["count"])
    trip = ("pipe round trip", "baselines.limits:pipe_round_trip")
    return Workload(
        name="lat_64B",
        what="64 bytes, one item in flight, one way through two hops",
        systems=(
            ours("pipeflow", "lat_64B.yaml", params, read, prepare=_fifo),
            ours("pipeflow spin", "lat_64B.yaml", params, read, options=SPIN, prepare=_fifo),
            other("Pipe", "baselines.links:pipe", "lat_64b", params, read, prepare=_fifo),
            other("Queue", "baselines.links:queue", "lat_64b", params, read, prepare=_fifo),
            other(*trip, "lat_64b", params, read, kind=Kind.LIMIT, prepare=_fifo),
        ),
        bars=(_at_most("pipeflow", 0.9), _at_most("pipeflow spin", 0.25)),
    )


def lat_1m(*, quick: bool) -> Workload:
    """An array."""
    slow = {"count": 10 if quick else 120, "length": LENGTH}
    fast = {"count": 20 if quick else 1_500, "length": LENGTH}
    read, read_slow = _reader(fast["count"]), _reader(slow["count"])
    return Workload(
        name="lat_1M",
        what="1 MiB arrays, one item in flight, one way through two hops",
        systems=(
            ours("pipeflow", "lat_1M.yaml", fast, read, prepare=_fifo),
            ours("pipeflow empty", "lat_1M_empty.yaml", fast, read, prepare=_fifo),
            ours("pipeflow spin", "lat_1M.yaml", fast, read, options=SPIN, prepare=_fifo),
            other("ring, copy in", "baselines.ring:copy_in", "lat_1m", fast, read, prepare=_fifo),
            other("Pipe", "baselines.links:pipe", "lat_1m", slow, read_slow, prepare=_fifo),
            other("Queue", "baselines.links:queue", "lat_1m", slow, read_slow, prepare=_fifo),
        ),
        bars=(_at_most("pipeflow", 0.05),),
    )


def _at_most(system: str, limit: float) -> Bar:
    return Bar(system=system, metric="p50_us", against="Pipe", sense=Sense.AT_MOST, limit=limit)


def _reader(count: int) -> Read:
    def read(folder: Path, _: Ended) -> Metrics:
        noted = read_notes(folder)
        noted.require(items=count)
        # The first ones find cold caches and processes that still start.
        took = sorted(noted.sinks[0]["took_ns"][count // 10 :])
        return {"p50_us": percentile(took, 50) / 1e3, "p99_us": percentile(took, 99) / 1e3}

    return read


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "answers")

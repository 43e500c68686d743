"""w1 and w1int: what an item costs when it is as small as items are; also on a single core."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.model import Bar, Kind, Metrics, System, Workload
from tests.benchmarks.noted import read_notes
from tests.benchmarks.programs import Ended
from tests.benchmarks.workloads.systems import Read, other, ours, peers

#: Items between two stages of the queue that carries lists of 256; see ``baselines.links``.
_AS_MANY = 4096
_WIDE = f"pipeflow, capacity {_AS_MANY}"


def w1(*, quick: bool, with_peers: bool) -> Workload:
    """Dicts."""
    many, few = (2_000, 2_000) if quick else (400_000, 50_000)
    params = {"count": many, "capacity": _AS_MANY}
    wide = ours(_WIDE, "w1.yaml", params, _reader(many, total_of_dicts))
    return Workload(
        name="w1",
        what="dicts of two entries; the step makes a new one",
        systems=(
            wide,
            *_systems("w1", "dicts", total_of_dicts, many, few, with_peers=with_peers),
        ),
        bars=(
            Bar(system="pipeflow", metric="rate", against="Queue", limit=15),
            Bar(system="pipeflow", metric="rate", against="Queue of 256", limit=1, stretch=1.2),
            Bar(system=_WIDE, metric="rate", against="Queue of 256", limit=1, stretch=1.2),
        ),
    )


def w1int(*, quick: bool, with_peers: bool) -> Workload:
    """Integers."""
    many, few = (2_000, 2_000) if quick else (800_000, 50_000)
    return Workload(
        name="w1int",
        what="integers; the step adds 1",
        systems=_systems("w1int", "ints", _total_of_ints, many, few, with_peers=with_peers),
    )


def one_core(*, quick: bool) -> Workload:
    """w1 where there is but one core."""
    count = 2_000 if quick else 40_000
    read = _reader(count, total_of_dicts)
    params = {"count": count}
    return Workload(
        name="one_core",
        what="w1 on a single core",
        systems=(
            ours("pipeflow", "w1.yaml", params, read, cpus=1),
            ours("inline", "w1.yaml", params, read, options=("--executor=inline",), cpus=1),
        ),
        # At most 1.5 times what an item costs in one process.
        bars=(Bar(system="pipeflow", metric="rate", against="inline", limit=1 / 1.5),),
    )


def total_of_dicts(count: int) -> float:
    """Give the sum that the sink of w1 must come to."""
    return 0.5 * _total_of_ints(count) + 0.5 * count


def _systems(
    pipeline: str,
    job: str,
    total: Callable[[int], float],
    many: int,
    few: int,
    *,
    with_peers: bool,
) -> tuple[System, ...]:
    """All who do it: ``many`` items where an item is cheap, ``few`` where it is not."""
    read, read_few = _reader(many, total), _reader(few, total)
    rare = min(few, 10_000)  # for peers: thousands in a second
    file, params, fewer = f"{pipeline}.yaml", {"count": many}, {"count": few}
    return (
        ours("pipeflow", file, params, read),
        ours("pipeflow --fuse", file, params, read, options=("--fuse",)),
        other("Queue", "baselines.links:queue", job, fewer, read_few),
        other("Pipe", "baselines.links:pipe", job, fewer, read_few),
        other("Queue of 256", "baselines.links:queue_batch", job, params, read),
        other("serial", "baselines.limits:serial", job, params, read, kind=Kind.LIMIT),
        *(peers(job, {"count": rare}, _reader(rare, total)) if with_peers else ()),
    )


def _reader(count: int, total: Callable[[int], float]) -> Read:
    def read(folder: Path, _: Ended) -> Metrics:
        noted = read_notes(folder)
        noted.require(items=count, total=total(count))
        return {"rate": count / noted.wall_s, "us_per_item": noted.wall_s / count * 1e6}

    return read


def _total_of_ints(count: int) -> float:
    return count * (count - 1) / 2 + count

"""w6: Python that burns, by two replicas in order."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.benchmarks.model import Bar, Kind, Metrics, Workload
from tests.benchmarks.noted import Noted, read_halves, read_notes
from tests.benchmarks.pipelines.burn import PERIOD, burn
from tests.benchmarks.programs import Ended
from tests.benchmarks.workloads.systems import other, ours, peers

#: Rounds of arithmetic that take about a millisecond.
STEPS = 20_000
#: Forked processes run the same code at the same addresses, and on some processors pure Python in
#: several of them takes 6 to 10 % longer than in programs of their own: this row shows it.
_FORKED: Final = ("--start-method", "forkserver")


def w6(*, quick: bool, with_peers: bool) -> Workload:
    """Two replicas."""
    count = 40 if quick else 3_000
    params = {"count": count, "steps": STEPS}
    limit = Kind.LIMIT

    def metrics(noted: Noted, items: int) -> Metrics:
        noted.require(items=items, total=_total(items), wrong=0)
        return {"rate": count / noted.wall_s, "us_per_item": noted.wall_s / count * 1e6}

    def read(folder: Path, _: Ended) -> Metrics:
        return metrics(read_notes(folder), count)

    def apart(folder: Path, _: Ended) -> Metrics:
        return metrics(read_halves(folder), count // 2)

    return Workload(
        name="w6",
        what="about a millisecond of Python an item, two replicas, order kept",
        systems=(
            ours("pipeflow", "w6.yaml", params, read),
            ours("pipeflow forked", "w6.yaml", params, read, options=_FORKED),
            other("two apart", "baselines.limits:two_apart", "burn", params, apart, kind=limit),
            other("Queue, 2 workers", "baselines.workers:queue", "burn", params, read),
            other("serial", "baselines.limits:serial", "burn", params, read, kind=limit),
            *(peers("burn", params, read) if with_peers else ()),
        ),
        bars=(Bar(system="pipeflow", metric="rate", against="two apart", limit=0.95),),
    )


def _total(count: int) -> int:
    once = [burn(item, STEPS)[1] for item in range(PERIOD)]
    return sum(once) * (count // PERIOD) + sum(once[: count % PERIOD])

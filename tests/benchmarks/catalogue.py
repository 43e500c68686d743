"""All workloads, in the order in which they are run and shown."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.model import Workload
from tests.benchmarks.workloads import (
    ablation,
    burning,
    frames,
    latency,
    memory,
    scale,
    small,
    start,
)


def catalogue(*, quick: bool, peers: bool) -> Sequence[Workload]:
    """Give all workloads.

    Args:
        quick: So small that they only show that everything runs.
        peers: Also with the peers, where there is a driver for them.
    """
    return [
        small.w1(quick=quick, with_peers=peers),
        small.w1int(quick=quick, with_peers=peers),
        small.one_core(quick=quick),
        frames.w2(quick=quick, with_peers=peers),
        *frames.hand(quick=quick, with_peers=peers),
        latency.lat_64b(quick=quick),
        latency.lat_1m(quick=quick),
        frames.fan4(quick=quick),
        start.w5_3(),
        start.w5_20(),
        burning.w6(quick=quick, with_peers=peers),
        memory.memory(),
        scale.flat(quick=quick),
        scale.chain(quick=quick),
        ablation.ablation(quick=quick),
    ]

"""All workloads, in the order in which they are run and shown."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.model import Workload
from tests.benchmarks.workloads import small


def catalogue(*, quick: bool) -> Sequence[Workload]:
    """Give all workloads; ``quick`` ones only show that everything runs."""
    return [small.w1(quick=quick), small.w1int(quick=quick)]

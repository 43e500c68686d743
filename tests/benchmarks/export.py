"""The JSON of a benchmark: every value of every round, and the verdicts."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

from tests.benchmarks.measure import judge
from tests.benchmarks.rounds import Measured


def as_json(all_measured: Sequence[Measured]) -> dict[str, Any]:
    """Give what was measured, and where."""
    return {
        "format": 1,
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "cpus": len(os.sched_getaffinity(0)),
        },
        "workloads": [_workload(measured) for measured in all_measured],
    }


def _workload(measured: Measured) -> dict[str, Any]:
    workload = measured.workload
    return {
        "name": workload.name,
        "what": workload.what,
        "systems": {each.name: each.kind.value for each in workload.systems},
        "rounds": [{name: dict(found) for name, found in each.items()} for each in measured.rounds],
        "absent": dict(measured.absent),
        "wrong": dict(measured.wrong),
        "bars": [_bar(measured, index) for index in range(len(workload.bars))],
    }


def _bar(measured: Measured, index: int) -> dict[str, Any]:
    judged = judge(measured.workload.bars[index], measured.rounds)
    bar, found = judged.bar, judged.spread
    return {
        "system": bar.system,
        "metric": bar.metric,
        "against": bar.against or None,
        "sense": bar.sense.name.lower(),
        "limit": bar.limit,
        "stretch": bar.stretch,
        "median": found and found.median,
        "min": found and found.low,
        "max": found and found.high,
        "verdict": judged.verdict.name.lower(),
    }

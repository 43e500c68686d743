"""Runs the rounds: in each, every system of a workload once, one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import Round
from tests.benchmarks.model import Metrics, NotAvailable, System, Workload, WrongResult

#: Told what is about to be measured: the workload, the round (from 1), the system.
Tell = Callable[[Workload, int, System], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of one workload.

    Attributes:
        workload: The workload.
        rounds: What each system did, round by round.
        absent: Systems that cannot run here, and why.
        wrong: Systems with a wrong result (they have no further rounds), and what was wrong.
    """

    workload: Workload
    rounds: Sequence[Round]
    absent: Mapping[str, str]
    wrong: Mapping[str, str]


def run_rounds(workload: Workload, count: int, tell: Tell) -> Measured:
    """Measure a workload; interleaved, so that a slow minute of the machine is slow for all."""
    rounds: list[Round] = []
    absent: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for number in range(1, count + 1):
        done: dict[str, Metrics] = {}
        for system in workload.systems:
            if system.name in absent or system.name in wrong:
                continue
            tell(workload, number, system)
            try:
                done[system.name] = _once(system)
            except NotAvailable as why:
                absent[system.name] = str(why)
            except WrongResult as why:
                wrong[system.name] = str(why)
        rounds.append(done)
    return Measured(workload=workload, rounds=rounds, absent=absent, wrong=wrong)


def _once(system: System) -> Metrics:
    with tempfile.TemporaryDirectory(prefix="pipeflow-benchmark-") as folder:
        return system.measure(Path(folder))

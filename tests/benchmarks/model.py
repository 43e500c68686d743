"""What a benchmark is made of: workloads, the systems that do them, the bars they are held to."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: What one system did in one round: name of a metric to its value.
Metrics = Mapping[str, float]


class NotAvailable(Exception):
    """A system cannot run here: it is not installed, or not in this version."""


class WrongResult(Exception):
    """A system ran and its result is not what it must be. Never a number in a table."""


class Kind(enum.Enum):
    """Whom a system stands for."""

    OURS = "pipeflow"
    HAND = "by hand"
    LIMIT = "limit"
    PEER = "peer"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One way to do a workload.

    Attributes:
        name: Of the row in the table.
        kind: Whom it stands for.
        measure: Does the workload once, in processes of its own, and gives what it took. It may
            write to the empty folder that it gets. Raises ``NotAvailable`` or ``WrongResult``.
    """

    name: str
    kind: Kind
    measure: Callable[[Path], Metrics]


class Sense(enum.Enum):
    """On which side of a bar one wants to be."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What one system must reach.

    Attributes:
        system: Who must reach it.
        metric: In which metric.
        against: The system that the metric is divided by, round by round; empty: the metric itself.
        sense: Whether ``limit`` is the least or the most.
        limit: A ratio, or with no ``against`` a value in the metric's unit.
        stretch: What would be better still.
    """

    system: str
    metric: str
    against: str = ""
    sense: Sense = Sense.AT_LEAST
    limit: float
    stretch: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is done, by whom, and what is asked of it.

    Attributes:
        name: As people type it.
        what: One line.
        systems: All who do it; in each round each of them once, in this order.
        bars: What is asked of pipeflow.
    """

    name: str
    what: str
    systems: tuple[System, ...]
    bars: tuple[Bar, ...] = ()


#: Unit of each metric, as it stands in a table's head.
UNITS: Final[Mapping[str, str]] = {
    "rate": "items/s",
    "us_per_item": "µs/item",
    "cpu_us_per_item": "CPU µs/item",
    "us_per_stage": "µs/item and stage",
    "cpu_us_per_stage": "CPU µs/item and stage",
    "gap_us": "median gap µs",
    "p50_us": "p50 µs",
    "p99_us": "p99 µs",
    "gb_per_s": "GB/s",
    "pss_mb": "peak PSS MB",
    "beyond_mb": "beyond imports MB",
    "first_ms": "first item ms",
    "total_ms": "total ms",
}

"""Statistics of a benchmark: medians and spreads of what was measured in the same round. Pure."""

from __future__ import annotations

import enum
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.model import Bar, Metrics, Sense

#: What each system did in one round; who could not run is not in it.
Round = Mapping[str, Metrics]


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some values, and their ends."""

    median: float
    low: float
    high: float


class Verdict(enum.Enum):
    """What became of a bar."""

    STRETCH = "met, with the stretch"
    MET = "met"
    MISSED = "not met"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Judged:
    """A bar and what was measured.

    Attributes:
        bar: The bar.
        spread: Of the ratios of the rounds (of the values, if there is nobody to compare with);
            ``None`` if there was no round in which all needed values were measured.
        verdict: The median decides.
    """

    bar: Bar
    spread: Spread | None
    verdict: Verdict


def spread(values: Sequence[float]) -> Spread | None:
    """Give median, least and greatest; ``None`` of nothing."""
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values))


def values(rounds: Sequence[Round], system: str, metric: str) -> list[float]:
    """Give what a system reached in a metric, in each round that has it."""
    return [each[system][metric] for each in rounds if metric in each.get(system, {})]


def ratios(rounds: Sequence[Round], system: str, against: str, metric: str) -> list[float]:
    """Divide two systems' values of the same round; rounds that lack one are left out.

    A machine changes its mind from minute to minute, so only what was measured side by side is
    compared.
    """
    return [
        each[system][metric] / each[against][metric]
        for each in rounds
        if metric in each.get(system, {}) and metric in each.get(against, {})
    ]


def judge(bar: Bar, rounds: Sequence[Round]) -> Judged:
    """Hold a bar against what was measured."""
    if bar.against:
        found = spread(ratios(rounds, bar.system, bar.against, bar.metric))
    else:
        found = spread(values(rounds, bar.system, bar.metric))
    if found is None:
        return Judged(bar, None, Verdict.UNKNOWN)
    if bar.stretch is not None and _reaches(found.median, bar.stretch, bar.sense):
        return Judged(bar, found, Verdict.STRETCH)
    met = _reaches(found.median, bar.limit, bar.sense)
    return Judged(bar, found, Verdict.MET if met else Verdict.MISSED)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Give the value below which ``percent`` of the sorted values lie: the nearest one.

    Raises:
        ValueError: There are no values.
    """
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _reaches(value: float, limit: float, sense: Sense) -> bool:
    match sense:
        case Sense.AT_LEAST:
            return value >= limit
        case Sense.AT_MOST:
            return value <= limit

"""The PNG: each bar as a line, and how far above or below it pipeflow is."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.measure import Judged, Spread, Verdict, judge
from tests.benchmarks.model import UNITS, Sense
from tests.benchmarks.rounds import Measured

_COLOURS: Final = {
    Verdict.STRETCH: "tab:green",
    Verdict.MET: "tab:green",
    Verdict.MISSED: "tab:red",
    Verdict.UNKNOWN: "tab:gray",
}


def can_draw() -> bool:
    """Say whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(all_measured: Iterable[Measured], file: Path) -> None:
    """Draw all bars that were measured into a PNG; ``can_draw`` must hold."""
    rows = [
        (measured.workload.name, judged, found)
        for measured in all_measured
        for judged in (judge(bar, measured.rounds) for bar in measured.workload.bars)
        if (found := share(judged)) is not None
    ]
    # Any: not every place where types are checked has matplotlib.
    figures: Any = importlib.import_module("matplotlib.figure")
    figure = figures.Figure(figsize=(9, 1.2 + 0.32 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for place, (_, judged, found) in enumerate(rows):
        axes.errorbar(
            [found.median],
            [place],
            xerr=[[found.median - found.low], [found.high - found.median]],
            fmt="o",
            capsize=3,
            color=_COLOURS[judged.verdict],
        )
    axes.set_yticks(range(len(rows)), _labels(rows), fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("share of the bar that is reached; to the right of the line it is met")
    figure.savefig(file, dpi=120, format="png")


def share(judged: Judged) -> Spread | None:
    """Give what was reached as a share of the bar; more is better, whatever the bar's sense."""
    found, limit = judged.spread, judged.bar.limit
    if found is None:
        return None
    match judged.bar.sense:
        case Sense.AT_LEAST:
            return Spread(found.median / limit, found.low / limit, found.high / limit)
        case Sense.AT_MOST:
            # What was measured may be nothing, or less: memory beyond that of a bare Python.
            median, low, high = (
                limit / max(value, limit / 1000) for value in (found.median, found.high, found.low)
            )
            return Spread(median, low, high)


def _labels(rows: Sequence[tuple[str, Judged, Spread]]) -> list[str]:
    return [
        f"{name}, {judged.bar.system}, {UNITS[judged.bar.metric]}"
        + (f", against {judged.bar.against}" if judged.bar.against else "")
        for name, judged, _ in rows
    ]

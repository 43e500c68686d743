"""The tables: what each system reached, and what became of each bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Table

from tests.benchmarks.measure import Judged, Spread, Verdict, judge, spread, values
from tests.benchmarks.model import UNITS, Bar, System
from tests.benchmarks.rounds import Measured

_STYLES = {
    Verdict.STRETCH: "bold green",
    Verdict.MET: "green",
    Verdict.MISSED: "red",
    Verdict.UNKNOWN: "yellow",
}


def systems_table(measured: Measured) -> Table:
    """Show what each system of a workload reached: median (least - greatest) over the rounds."""
    workload = measured.workload
    metrics = [
        name for name in UNITS if any(_has(measured, each, name) for each in workload.systems)
    ]
    table = Table(title=f"{workload.name}: {workload.what}", title_justify="left")
    table.add_column("system")
    for name in metrics:
        table.add_column(UNITS[name], justify="right")
    table.add_column("of")
    for system in workload.systems:
        cells = [_cell(spread(values(measured.rounds, system.name, name))) for name in metrics]
        table.add_row(system.name, *cells, _remark(measured, system))
    return table


def bars_table(all_measured: Iterable[Measured]) -> Table:
    """Show every bar of the workloads that were measured."""
    table = Table(
        title="The bars: ratios of the same round, median (min-max)", title_justify="left"
    )
    for name in ("workload", "metric", "system", "against"):
        table.add_column(name)
    for name in ("bar", "measured"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for measured in all_measured:
        for bar in measured.workload.bars:
            table.add_row(*_bar_row(measured, judge(bar, measured.rounds)))
    return table


def _bar_row(measured: Measured, judged: Judged) -> Sequence[str]:
    bar = judged.bar
    verdict = f"[{_STYLES[judged.verdict]}]{judged.verdict.value}[/]"
    if judged.verdict is Verdict.UNKNOWN:
        reasons = {**measured.absent, **measured.wrong}
        why = [
            reasons[name].splitlines()[0] for name in (bar.system, bar.against) if name in reasons
        ]
        verdict = f"[{_STYLES[judged.verdict]}]{escape('; '.join(why) or judged.verdict.value)}[/]"
    return (
        measured.workload.name,
        UNITS[bar.metric],
        bar.system,
        bar.against or "-",
        _bar(bar),
        _cell(judged.spread),
        verdict,
    )


def _bar(bar: Bar) -> str:
    times = " x" if bar.against else ""
    stretch = f" ({bar.stretch:g})" if bar.stretch is not None else ""
    return f"{bar.sense.value} {bar.limit:g}{times}{stretch}"


def _has(measured: Measured, system: System, metric: str) -> bool:
    return bool(values(measured.rounds, system.name, metric))


def _remark(measured: Measured, system: System) -> str:
    if system.name in measured.wrong:
        return f"[red]WRONG: {escape(measured.wrong[system.name].splitlines()[0])}[/]"
    if system.name in measured.absent:
        return f"[yellow]{escape(measured.absent[system.name])}[/]"
    return system.kind.value


def _cell(found: Spread | None) -> str:
    if found is None:
        return "-"
    if found.low == found.high:
        return number(found.median)
    return f"{number(found.median)} ({number(found.low)}-{number(found.high)})"


def number(value: float) -> str:
    """Write a number with three digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

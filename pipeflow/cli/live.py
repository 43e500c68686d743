"""The live table of a run on a terminal: rates, queue fill, the bottleneck, a progress bar.

Drawn only when a look at the run comes in, by the thread that runs the command: a thread that
redraws by a clock could be caught in the middle of a fork.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeflow.cli.rates import Rates, given
from pipeflow.cli.wording import rate, seconds
from pipeflow.telemetry.events import Progress, StageGauge

#: Lines of the terminal that are not rows of stages: heading, bar, the note of what is left out.
_FRAME_LINES = 5


class LiveTable:
    """Keeps a table at the bottom of the terminal, with lines above that stay.

    Owns the drawing on the terminal; ``close`` takes the table away and is harmless twice.
    """

    def __init__(self, console: Console, name: str, sources: Collection[str]) -> None:
        self._console = console
        self._name = name
        self._sources = sources
        self._rates = Rates()
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()

    def say(self, text: str) -> None:
        # Colours of the author's own are kept; what would move the cursor is taken out.
        self._console.print(Text.from_ansi(text), soft_wrap=True, highlight=False)

    def show(self, progress: Progress) -> None:
        self._rates.see(progress)
        rows = max(3, self._console.height - _FRAME_LINES)
        self._live.update(
            drawing(self._name, progress, self._rates, self._sources, rows), refresh=True
        )

    def close(self) -> None:
        self._live.stop()


def drawing(
    name: str, progress: Progress, rates: Rates, sources: Collection[str], rows: int
) -> RenderableType:
    """What the terminal shows of a run at one moment.

    Args:
        name: Of the pipeline.
        progress: The newest look.
        rates: Has seen it, and those before.
        sources: Names of the stages without inputs.
        rows: Most stages that are shown.
    """
    slowest = rates.bottleneck()
    bottleneck = slowest.stage if slowest else ""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("stage", no_wrap=True)
    for heading in ("x", "in", "out", "rate", "given up"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("queue", no_wrap=True)
    table.add_column("", no_wrap=True)
    fill = _fill(progress)
    shown = _shown(progress.stages, bottleneck, rows)
    for stage in shown:
        table.add_row(*_row(stage, rates, fill.get(stage.name), stage.name == bottleneck))
    parts: list[RenderableType] = [table]
    hidden = len(progress.stages) - len(shown)
    if hidden:
        parts.append(Text(f"and {hidden} stages more", style="dim"))
    parts.append(_bar(name, progress, sources))
    return Group(*parts)


def _row(
    stage: StageGauge, rates: Rates, fill: float | None, slowest: bool
) -> Sequence[RenderableType]:
    style = "bold yellow" if slowest else "" if stage.running else "dim"
    lost = stage.skipped + stage.dead_lettered
    cells = (
        stage.name,
        str(stage.replicas),
        f"{stage.received:,}" if fill is not None else "",
        f"{stage.emitted:,}" if stage.emitted else "",
        rate(rates.of(stage)),
        f"{lost:,}" if lost else "",
    )
    gauge: RenderableType = Text("")
    if fill is not None:
        gauge = ProgressBar(total=1.0, completed=min(1.0, fill), width=12)
    note = "bottleneck" if slowest else "" if stage.running else "done"
    return (*(Text(cell, style=style) for cell in cells), gauge, Text(note, style=style))


def _bar(name: str, progress: Progress, sources: Collection[str]) -> RenderableType:
    line = Table.grid(padding=(0, 2, 0, 0))
    items = given(progress, sources)
    cells: list[RenderableType] = [Text(name, style="bold")]
    if progress.total:
        cells += [
            ProgressBar(total=progress.total, completed=min(items, progress.total), width=40),
            Text(f"{100 * items // progress.total} % of {progress.total:,}"),
        ]
    else:
        cells.append(Text(f"{items:,} items"))
    cells.append(Text(seconds(progress.elapsed_s)))
    line.add_row(*cells)
    return line


def _fill(progress: Progress) -> Mapping[str, float]:
    """How full the fullest input edge of each reading stage is: 0 to 1."""
    fill: dict[str, float] = {}
    for edge in progress.edges:
        share = edge.in_flight / edge.capacity if edge.capacity else 0.0
        fill[edge.target] = max(share, fill.get(edge.target, 0.0))
    return fill


def _shown(stages: Sequence[StageGauge], bottleneck: str, rows: int) -> Sequence[StageGauge]:
    """The stages that fit: the bottleneck first of all, then those that work hardest."""
    if len(stages) <= rows:
        return stages
    hardest = sorted(stages, key=lambda each: (each.name != bottleneck, -each.busy_s))
    kept = {each.name for each in hardest[:rows]}
    return [each for each in stages if each.name in kept]

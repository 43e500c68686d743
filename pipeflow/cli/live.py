"""The live table of a run on a terminal: rates, queue fill, the bottleneck, a progress bar.

Drawn only when a look at the run comes in, by the thread that runs the command: a thread that
redraws by a clock could be caught in the middle of a fork.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeflow.cli.rates import Rates
from pipeflow.cli.wording import rate, seconds
from pipeflow.telemetry.events import Progress, StageGauge
from pipeflow.values import dataclass

#: Lines of the terminal that are not rows of stages: heading, bar, the note of what is left out.
_FRAME_LINES = 5

#: Columns between two columns of the table.
_GAP: Final = 2

#: How wide the gauge of a queue is, and a progress bar at most, in columns of the terminal.
_GAUGE_WIDTH: Final = 12
_BAR_WIDTH: Final = 40

#: The columns, left to right; the last, for "bottleneck" and "done", has no heading.
_COLUMNS: Final = ("stage", "x", "in", "out", "rate", "given up", "queue", "")

#: What a terminal that is too narrow goes without, first to last.
_DISPENSABLE: Final = ("x", "given up", "out", "queue", "in")


class LiveTable:
    """Keeps a table at the bottom of the terminal, with lines above that stay.

    Owns the drawing on the terminal; ``close`` takes the table away and is harmless twice. Once the
    terminal is gone nothing is drawn any more: that is no reason to fail a run.
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
        self._gone = False
        self._draw(self._live.start)

    def say(self, text: str) -> None:
        # Colours of the author's own are kept; what would move the cursor is taken out.
        line = Text.from_ansi(text)
        self._draw(lambda: self._console.print(line, soft_wrap=True, highlight=False))

    def show(self, progress: Progress) -> None:
        self._rates.see(progress)
        width, height = self._console.size
        picture = drawing(
            self._name,
            progress,
            self._rates,
            self._sources,
            rows=max(3, height - _FRAME_LINES),
            width=width,
        )
        self._draw(lambda: self._live.update(picture, refresh=True))

    def close(self) -> None:
        self._draw(self._live.stop)

    def _draw(self, action: Callable[[], None]) -> None:
        if not self._gone:
            try:
                action()
            except OSError:
                self._gone = True


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table.

    Attributes:
        cells: Column to text; the gauge of the queue has none.
        fill: How full the fullest input is, 0 to 1; ``None`` for a source.
        style: As rich names it.
    """

    cells: Mapping[str, str]
    fill: float | None
    style: str


def drawing(
    name: str,
    progress: Progress,
    rates: Rates,
    sources: Collection[str],
    *,
    rows: int,
    width: int,
) -> RenderableType:
    """What the terminal shows of a run at one moment.

    Args:
        name: Of the pipeline.
        progress: The newest look.
        rates: Has seen it, and those before.
        sources: Names of the stages without inputs.
        rows: Most stages that are shown.
        width: Columns of the terminal; the least important ones of the table go first.
    """
    slowest = rates.bottleneck()
    bottleneck = slowest.stage if slowest else ""
    shown = _shown(progress.stages, bottleneck, rows)
    fill = _fill(progress)
    lines = [
        _row(stage, rates, fill.get(stage.name), stage.name == bottleneck, longest=width // 4)
        for stage in shown
    ]
    parts: list[RenderableType] = [_table(lines, _columns(lines, width))]
    hidden = len(progress.stages) - len(shown)
    if hidden:
        parts.append(Text(f"and {hidden} stages more", style="dim"))
    parts.append(_bar(name, progress, rates, sources, width))
    return Group(*parts)


def _row(stage: StageGauge, rates: Rates, fill: float | None, slowest: bool, longest: int) -> _Row:
    lost = stage.skipped + stage.dead_lettered
    cells = {
        "stage": _cut(stage.name, longest),
        "x": str(stage.replicas),
        "in": f"{stage.received:,}" if fill is not None else "",
        "out": f"{stage.emitted:,}" if stage.emitted else "",
        "rate": rate(rates.of(stage)),
        "given up": f"{lost:,}" if lost else "",
        "queue": "",
        "": "bottleneck" if slowest else "" if stage.running else "done",
    }
    return _Row(cells, fill, "bold yellow" if slowest else "" if stage.running else "dim")


def _columns(lines: Sequence[_Row], width: int) -> Sequence[str]:
    """The columns that fit side by side; names, rates and notes are never given up."""
    columns = list(_COLUMNS)
    for dispensable in _DISPENSABLE:
        if sum(_width(column, lines) + _GAP for column in columns) - _GAP <= width:
            break
        columns.remove(dispensable)
    return columns


def _width(column: str, lines: Sequence[_Row]) -> int:
    if column == "queue":
        return _GAUGE_WIDTH
    return max([cell_len(column), *(cell_len(line.cells[column]) for line in lines)])


def _table(lines: Sequence[_Row], columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column in columns:
        left = column in {"stage", "queue", ""}
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    for line in lines:
        table.add_row(
            *(
                _gauge(line.fill)
                if column == "queue"
                else Text(line.cells[column], style=line.style)
                for column in columns
            )
        )
    return table


def _gauge(fill: float | None) -> RenderableType:
    if fill is None:
        return Text("")
    return ProgressBar(total=1.0, completed=min(1.0, fill), width=_GAUGE_WIDTH)


def _bar(
    name: str, progress: Progress, rates: Rates, sources: Collection[str], width: int
) -> RenderableType:
    title, elapsed = _cut(name, width // 3), seconds(progress.elapsed_s)
    line = Table.grid(padding=(0, _GAP, 0, 0))
    cells: list[RenderableType] = [Text(title, style="bold")]
    items = rates.done(progress, sources)
    if progress.total:
        share = f"{100 * items // progress.total} % of {progress.total:,}"
        room = width - sum(cell_len(text) + _GAP for text in (title, share, elapsed))
        if room > 1:
            width = min(room, _BAR_WIDTH)
            bar = ProgressBar(total=progress.total, completed=items, width=width)
            cells.append(bar)
        cells.append(Text(share))
    else:
        cells.append(Text(f"{items:,} items"))
    dropped = sum(edge.dropped for edge in progress.edges)
    if dropped:
        cells.append(Text(f"{dropped:,} dropped"))
    cells.append(Text(elapsed))
    line.add_row(*cells)
    return line


def _cut(text: str, longest: int) -> str:
    longest = max(longest, 8)
    return text if cell_len(text) <= longest else set_cell_size(text, longest - 1) + "…"


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

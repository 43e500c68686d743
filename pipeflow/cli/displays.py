"""Where the story of a run is shown when there is no live table: lines, now and then or never."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol, TextIO

from pipeflow.cli.rates import Rates
from pipeflow.cli.wording import plural, rate, seconds
from pipeflow.telemetry.events import Progress

#: Seconds until the first line, and the most between two; each wait is twice the one before.
FIRST_S: Final = 5.0
LONGEST_S: Final = 60.0


class Display(Protocol):
    """Something that shows lines, and how far a run is."""

    def say(self, text: str) -> None:
        """Show one or more lines; they stay."""
        ...

    def show(self, progress: Progress) -> None:
        """Take note of how far the run is."""
        ...

    def close(self) -> None:
        """Take away what does not stay."""
        ...


class Quiet:
    """Shows lines and no progress."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, text: str) -> None:
        try:
            print(text, file=self._stream, flush=True)
        except (OSError, ValueError):
            # Nobody reads our messages any more; that is no reason to end a run.
            return

    def show(self, progress: Progress) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Nothing is left to take away."""


class Plain(Quiet):
    """A line after 5 seconds, then after 10 more, 20, 40, and from then on every minute."""

    def __init__(self, stream: TextIO, name: str, sources: Collection[str]) -> None:
        super().__init__(stream)
        self._name = name
        self._sources = sources
        self._rates = Rates()
        self._due_s = FIRST_S
        self._wait_s = FIRST_S

    def show(self, progress: Progress) -> None:
        self._rates.see(progress)
        if progress.elapsed_s < self._due_s:
            return
        self._wait_s = min(2 * self._wait_s, LONGEST_S)
        self._due_s = progress.elapsed_s + self._wait_s
        self.say(progress_line(self._name, progress, self._rates, self._sources))


def progress_line(name: str, progress: Progress, rates: Rates, sources: Collection[str]) -> str:
    """``thumbnails: 12.0 s, 1,204 items (100/s), 3 skipped; 'decode' is the bottleneck``."""
    items = rates.done(progress, sources)
    text = f"{name}: {seconds(progress.elapsed_s)}, {plural(items, 'item')}"
    if progress.total:
        text += f" of {progress.total:,}, {100 * items // progress.total} %"
    text += f" ({rate(rates.speed(sources))})"
    letters = sum(stage.dead_lettered for stage in progress.stages)
    if letters:
        text += f", {plural(letters, 'dead letter')}"
    skipped = sum(stage.skipped for stage in progress.stages)
    if skipped:
        text += f", {skipped:,} skipped"
    dropped = sum(edge.dropped for edge in progress.edges)
    if dropped:
        text += f", {dropped:,} dropped"
    slowest = rates.bottleneck()
    return f"{text}; '{slowest.stage}' is the bottleneck" if slowest else text

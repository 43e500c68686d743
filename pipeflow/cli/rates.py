"""Rates: how fast each stage goes now, told from looks at a run some times a second. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Final

from pipeflow.cli.share import Standing, share_done
from pipeflow.telemetry.bottleneck import find_bottleneck
from pipeflow.telemetry.events import Progress, StageGauge
from pipeflow.telemetry.report import Bottleneck
from pipeflow.values import dataclass, field

#: How far back "now" reaches, in seconds.
WINDOW_S: Final = 5.0


@dataclass(slots=True)
class Rates:
    """The looks of the last seconds; the first of them is what the newest is compared with."""

    _looks: deque[Progress] = field(default_factory=deque)
    _done: int = 0

    def see(self, progress: Progress) -> None:
        """Take the newest look, and forget what is too old to count as now."""
        self._looks.append(progress)
        while len(self._looks) > 2 and progress.elapsed_s - self._looks[1].elapsed_s >= WINDOW_S:
            self._looks.popleft()

    def of(self, stage: StageGauge) -> float:
        """Items a second that a stage takes (a source: gives), over the last seconds."""
        if not self._looks:
            return 0.0
        newest, oldest = self._looks[-1], self._looks[0]
        if newest is oldest:
            return _items(stage) / newest.elapsed_s if newest.elapsed_s > 0 else 0.0
        before = next((each for each in oldest.stages if each.name == stage.name), None)
        seconds = newest.elapsed_s - oldest.elapsed_s
        if before is None or seconds <= 0:
            return 0.0
        return max(0, _items(stage) - _items(before)) / seconds

    def done(self, progress: Progress, sources: Collection[str]) -> int:
        """How many of the sources' items are worked off; never less than at an earlier look."""
        self._done = max(self._done, worked_off(progress, sources))
        return self._done

    def speed(self, sources: Collection[str]) -> float:
        """How many of the sources' items are worked off in a second, over the last seconds."""
        if not self._looks:
            return 0.0
        newest, oldest = self._looks[-1], self._looks[0]
        items, seconds = worked_off(newest, sources), newest.elapsed_s
        if newest is not oldest:
            items -= worked_off(oldest, sources)
            seconds -= oldest.elapsed_s
        return max(0, items) / seconds if seconds > 0 else 0.0

    def bottleneck(self) -> Bottleneck | None:
        """The stage that bounds the rate now."""
        if not self._looks:
            return None
        newest, oldest = self._looks[-1], self._looks[0]
        before = {} if newest is oldest else {each.name: each for each in oldest.stages}
        recent = [_Spent.between(before.get(each.name), each) for each in newest.stages]
        return find_bottleneck(recent, newest.edges)


@dataclass(frozen=True, slots=True)
class _Spent:
    """How a stage spent its time between two looks, in seconds."""

    name: str
    busy_s: float
    wait_in_s: float
    wait_out_s: float

    @classmethod
    def between(cls, before: StageGauge | None, now: StageGauge) -> _Spent:
        if before is None:
            return cls(now.name, now.busy_s, now.wait_in_s, now.wait_out_s)
        return cls(
            now.name,
            max(0.0, now.busy_s - before.busy_s),
            max(0.0, now.wait_in_s - before.wait_in_s),
            max(0.0, now.wait_out_s - before.wait_out_s),
        )


def worked_off(progress: Progress, sources: Collection[str]) -> int:
    """Items of the sources that no stage has still before it, as far as edges tell."""
    stages = {stage.name: Standing(stage.received) for stage in progress.stages}
    running = {stage.name for stage in progress.stages if stage.running}
    for edge in progress.edges:
        standing = stages[edge.target]
        standing.writers.add(edge.source.rpartition(".")[0])
        if edge.target in running:  # one that has ended early leaves what waits
            standing.still += edge.in_flight
    items = sum(stage.emitted for stage in progress.stages if stage.name in sources)
    if progress.total is not None:
        items = min(items, progress.total)
    return int(items * share_done(stages))


def _items(stage: StageGauge) -> int:
    # A source receives nothing (but bad records), a sink emits nothing.
    return max(stage.received, stage.emitted) if not stage.received else stage.received

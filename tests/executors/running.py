"""Runs small pipelines by either executor and gives what reached each ``Keep``."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipeflow
from pipeflow.telemetry.events import Event, LogLine, WorkerReady
from pipeflow.telemetry.report import EdgeFacts, Report, StageFacts

STAGES = Path(__file__).parent / "stages"
EXECUTORS = ("inline", "local")


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        report: Its report.
        kept: Name of each ``Keep`` to (id, item), in order of arrival.
        events: All events, in order.
        times: Monotonic seconds at which each of them was heard.
    """

    report: Report
    kept: dict[str, list[tuple[tuple[int, ...], Any]]]
    events: list[Event]
    times: list[float]

    @property
    def worked_s(self) -> float:
        """Seconds from the moment when all workers were ready to the end of the run.

        How long processes take to start says little on a busy machine.
        """
        pairs = zip(self.events, self.times, strict=True)
        return self.times[-1] - max(at for event, at in pairs if isinstance(event, WorkerReady))

    @property
    def peak_rss_bytes(self) -> int:
        """The most memory that any worker took."""
        return max(w.peak_rss_bytes for stage in self.report.stages for w in stage.workers)

    def items(self, name: str) -> list[Any]:
        return [item for _, item in self.kept[name]]

    def stage(self, name: str) -> StageFacts:
        return next(stage for stage in self.report.stages if stage.name == name)

    def edge(self, source: str, target: str) -> EdgeFacts:
        return next(e for e in self.report.edges if (e.source, e.target) == (source, target))

    def lines(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, LogLine)]


def run(
    folder: Path,
    stages: dict[str, Any],
    executor: str,
    *,
    start_method: str = "",
    fuse: bool = False,
    stuck_after_s: float = 60.0,
    hear: Callable[[Event], None] = lambda _: None,
    **top: Any,
) -> Outcome:
    """Run a pipeline; a stage given as ``"keep"`` or ``{"keep": input}`` notes what it gets."""
    shutil.copytree(
        STAGES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    told: dict[str, Any] = {}
    paths: dict[str, Path] = {}
    for name, stage in stages.items():
        if "keep" in stage:
            paths[name] = folder / f"{name}.{executor}.jsonl"
            rest = {key: value for key, value in stage.items() if key != "keep"}
            told[name] = {
                "call": "shapes:Keep",
                "inputs": stage["keep"],
                "with": {"path": str(paths[name])},
                **rest,
            }
        else:
            told[name] = stage
    file = folder / "pipeline.yaml"
    file.write_text(json.dumps({"stages": told, **top}))
    events: list[Event] = []
    times: list[float] = []

    def note(event: Event) -> None:
        events.append(event)
        times.append(time.monotonic())
        hear(event)

    report = pipeflow.run(
        file,
        executor=executor,
        listener=note,
        seed=7,
        start_method=start_method,
        fuse=fuse,
        stuck_after_s=stuck_after_s,
    )
    kept = {name: _kept(path) for name, path in paths.items()}
    return Outcome(report, kept, events, times)


def _kept(path: Path) -> list[tuple[tuple[int, ...], Any]]:
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [(tuple(item_id), item) for item_id, item in rows]

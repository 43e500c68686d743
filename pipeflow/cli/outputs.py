"""What writers of files have written, and what a run that did not end well has left of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from pipeflow.cli.wording import plural
from pipeflow.planner.plan import Plan, StagePlan
from pipeflow.spec.shapes import Role
from pipeflow.stages.registry import find
from pipeflow.telemetry.report import Report, StageFacts, Status

#: Times of files are those of the last tick of the kernel, and those of reports are shortened.
_COARSE_S: Final = 0.05


def outputs(report: Report, plan: Plan) -> Iterator[str]:
    """A line for each file that has its name: ``save: 1,204 records in out/words.csv``."""
    for stage, facts, path in _writers(report, plan):
        from pipeflow.stages.sinks.files import WRITTEN  # most pipelines write no files

        if WRITTEN in facts.metrics:
            count = plural(int(facts.metrics[WRITTEN]), "record")
            yield f"{stage.name}: {count} in {path}"


def unfinished(report: Report, plan: Plan) -> Iterator[str]:
    """A line for each file that the run has left without its name."""
    if report.run.status is Status.SUCCEEDED:
        return
    started = datetime.fromisoformat(report.run.started).timestamp()
    for stage, facts, path in _writers(report, plan):
        from pipeflow.stages.sinks.files import WRITTEN, partial_of  # likewise

        left = partial_of(path.resolve() if path.is_symlink() else path)
        try:
            ours = left.stat().st_mtime >= started - _COARSE_S
        except OSError:
            continue  # it was never begun, or it is whole
        if ours and WRITTEN not in facts.metrics:
            yield (
                f"stage '{stage.name}' did not get to its end: what it wrote is in {left}"
                + (f", and {path} is as it was" if path.exists() else "")
            )


def _writers(report: Report, plan: Plan) -> Iterator[tuple[StagePlan, StageFacts, Path]]:
    """Stages that write a file, what the report says of each, and its path."""
    facts = {each.name: each for each in report.stages}
    for stage in plan.stages:
        path = stage.parameters.get("path")
        kind = find(stage.operator) if stage.operator else None
        if kind is not None and kind.role is Role.SINK and path not in {None, "-"}:
            yield stage, facts[stage.name], Path(str(path))

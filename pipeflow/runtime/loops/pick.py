"""Picks the loop for a stage, by the form of its code, and by what follows when an item fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeflow.planner.plan import StagePlan
from pipeflow.runtime.loops.base import StageLoop
from pipeflow.runtime.loops.calls import CallLoop
from pipeflow.runtime.loops.source import SourceLoop
from pipeflow.stages.work import Work


def make_loop(
    work: Work,
    *,
    stage: StagePlan,
    starved: Callable[[], bool] | None = None,
    **settings: Any,
) -> StageLoop:
    """The loop for this work and its stage.

    Args:
        work: The stage's code.
        stage: The stage.
        starved: See ``ManyLoop``.
        settings: The fields of ``StageLoop``.
    """
    if work.source is not None:
        return SourceLoop(work=work, stage=stage, **settings)
    # Few stages need the others, and one of them asyncio.
    if work.talk is not None:
        from pipeflow.runtime.loops.program import ProgramLoop

        return ProgramLoop(work=work, stage=stage, **settings)
    if work.stream is not None:
        from pipeflow.runtime.loops.stream import StreamLoop

        return StreamLoop(work=work, stage=stage, **settings)
    if work.awaits:
        from pipeflow.runtime.loops.tasks import TaskLoop

        return TaskLoop(work=work, stage=stage, starved=starved, **settings)
    if stage.batch is not None:
        from pipeflow.runtime.loops.batches import BatchLoop

        return BatchLoop(work=work, stage=stage, starved=starved, **settings)
    if stage.on_error.retries:
        from pipeflow.runtime.loops.tries import TryLoop

        return TryLoop(work=work, stage=stage, **settings)
    return CallLoop(work=work, stage=stage, **settings)

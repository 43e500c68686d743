"""Picks the loop for a stage, by the form of its code."""

from __future__ import annotations

from typing import Any

from pipeflow.runtime.loops.base import StageLoop
from pipeflow.runtime.loops.calls import CallLoop
from pipeflow.runtime.loops.source import SourceLoop
from pipeflow.runtime.loops.stream import StreamLoop
from pipeflow.stages.work import Work


def make_loop(work: Work, **settings: Any) -> StageLoop:
    """The loop for this work; ``settings`` are the fields of ``StageLoop``."""
    if work.source is not None:
        return SourceLoop(work=work, **settings)
    if work.stream is not None:
        return StreamLoop(work=work, **settings)
    return CallLoop(work=work, **settings)

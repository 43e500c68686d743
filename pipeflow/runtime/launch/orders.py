"""What the launch server is told of one worker. Pure but for a look at the terminal."""

from __future__ import annotations

import os

from pipeflow.planner.plan import Plan
from pipeflow.runtime.brief import WorkerBrief, pack
from pipeflow.runtime.launch.environment import needs_fresh_interpreter, stage_environment
from pipeflow.runtime.launch.messages import Launch


def launch_order(
    plan: Plan, briefs: tuple[WorkerBrief, ...], *, keep: tuple[int, ...], output: int
) -> Launch:
    """The order to start one process.

    Args:
        plan: What runs.
        briefs: What its workers are told, writers before readers; most are alone.
        keep: Descriptors that it keeps.
        output: Where it prints.
    """
    worker = plan.workers[briefs[0].worker]
    stage = plan.stages[worker.stage]
    # Only the foreground group may read from a terminal.
    foreground = stage.stdin and os.isatty(0)
    return Launch(
        worker=worker.index,
        brief=pack(briefs),
        keep=keep,
        output=output,
        stdin=stage.stdin,
        group=os.getpgrp() if foreground else 0,
        replace=needs_fresh_interpreter(stage.env),
        env=stage_environment(stage, worker.replica),
    )

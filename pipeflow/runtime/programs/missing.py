"""missing_program: a program that a run needs and does not find; asked before anything runs."""

from __future__ import annotations

import os

from pipeflow.errors import ProgramFailed
from pipeflow.planner.plan import Plan
from pipeflow.runtime.failures import kind_of
from pipeflow.runtime.launch.environment import stage_environment
from pipeflow.runtime.messages import Failure
from pipeflow.runtime.programs.spawn import find_program


def missing_program(plan: Plan) -> tuple[int, Failure] | None:
    """The first worker whose program is not there or may not be run, and why; ``None``: none."""
    for worker in plan.workers:
        stage = plan.stages[worker.stage]
        if stage.program is None:
            continue
        try:
            find_program(
                stage.program.command[0],
                {**os.environ, **stage_environment(stage, worker.replica)},
            )
        except ProgramFailed as error:
            return worker.index, Failure(phase="program", kind=kind_of(error), message=str(error))
    return None

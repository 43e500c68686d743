"""load_program: from a ``run`` to the ``Work`` of a worker."""

from __future__ import annotations

import os

from pipeflow.planner.plan import StagePlan
from pipeflow.runtime.launch.environment import stage_environment
from pipeflow.runtime.programs.one_by_one import EachProgram, ItemProgram, Terms
from pipeflow.runtime.programs.spawn import find_program
from pipeflow.runtime.programs.talk import Talk
from pipeflow.spec.policies import OnError
from pipeflow.spec.ports import OUT
from pipeflow.spec.program import ProgramMode
from pipeflow.stages.context import StageContext
from pipeflow.stages.importing import put_first
from pipeflow.stages.work import Work


def load_program(stage: StagePlan, folder: str, context: StageContext) -> Work:
    """Make the work of a stage that runs a program; the program itself starts with its first item.

    Args:
        stage: The stage.
        folder: Of the pipeline file, absolute.
        context: Of the replica.

    Raises:
        ProgramFailed: There is no such program, or it may not be run.
    """
    program = stage.program
    assert program is not None
    # Items of the author's own classes come here too, and unpickling imports their modules.
    put_first(folder)
    # Set already where the worker has a process of its own; not in ``inline``.
    environ = {**os.environ, **stage_environment(stage, context.replica)}
    find_program(program.command[0], environ)
    if program.mode is ProgramMode.STREAM:
        talk = Talk(
            program,
            environ,
            source=not stage.edges_in,
            is_read=OUT in stage.edges_out,
            log=context.log,
        )
        return Work(talk=talk, close=talk.end, keeps_state=bool(stage.edges_in))
    terms = Terms(
        program=program,
        environ=environ,
        input_names=tuple(context.input_names),
        timeout_s=stage.timeout_s,
        replaced=stage.on_error.then is not OnError.STOP or stage.on_error.retries > 0,
        log=context.log,
    )
    if program.mode is ProgramMode.EACH:
        return Work(call=EachProgram(terms))
    one = ItemProgram(terms)
    return Work(call=one, finish=one.finish, close=one.close)

"""How a replica comes to its place in a run of one process: what it may ask, and its code."""

from __future__ import annotations

from typing import BinaryIO

from pipeflow.errors import ProgramFailed
from pipeflow.executors.inline.timed import within
from pipeflow.executors.inline.turns import Turn
from pipeflow.executors.inline.waiting import Waiting
from pipeflow.planner.plan import Plan
from pipeflow.runtime.board import Words
from pipeflow.runtime.failures import kind_of, message_of, traceback_of
from pipeflow.runtime.loading import check_fit
from pipeflow.runtime.messages import Failure
from pipeflow.stages.context import StageContext
from pipeflow.stages.loading import load_work
from pipeflow.stages.shared_state import InlineShares, with_state
from pipeflow.stages.work import Work
from pipeflow.telemetry.masking import masker


def make_turn(
    plan: Plan, index: int, row: Words, *, seed: int, waiting: Waiting, stdout: BinaryIO
) -> Turn:
    """The turn of a replica that is not loaded yet.

    Args:
        plan: Of the run.
        index: Number of the worker.
        row: Its row of the board.
        seed: Of ``pipeflow.rng``.
        waiting: How its code waits.
        stdout: Where ``print`` and writers to ``-`` write.
    """
    worker = plan.workers[index]
    stage = plan.stages[worker.stage]
    edges = [plan.edges[number] for number in stage.edges_in]
    context = StageContext(
        stage=stage.name,
        replica=worker.replica,
        replicas=stage.replicas,
        seed=seed,
        stopping=waiting.is_stopping,
        rest=waiting.rest,
        mask=masker(plan.secrets),
        stdout=stdout,
        parameters=plan.values_for(stage),
        input_names=tuple(edge.input for edge in edges if edge.input),
    )
    return Turn(index=index, stage=stage, context=context, row=row, source=not stage.edges_in)


def load(turn: Turn, plan: Plan, shares: InlineShares) -> Work:
    """Load a replica's code, or find its program; what that raises is the user's.

    Args:
        turn: The replica's; it learns when its module is imported.
        plan: Of the run.
        shares: What stages share.
    """
    stage, context = turn.stage, turn.context
    if stage.program is not None:
        from pipeflow.runtime.programs.load import load_program  # most stages run Python

        work = load_program(stage, plan.folder, context)
        turn.note_import()
        return work
    work = load_work(
        call=stage.call,
        operator=stage.operator,
        folder=plan.folder_of(stage),
        folders=plan.folders,
        parameters=with_state(stage.parameters, lambda name: shares.give(name, _name(turn))),
        source=turn.source,
        input_names=context.input_names,
        imported=turn.note_import,
    )
    check_fit(work, stage)
    if stage.timeout_s is not None and work.call is not None and not work.awaits:
        work.call = within(work.call, stage.timeout_s)
    return work


def failure_to_load(turn: Turn, error: BaseException) -> Failure:
    """What to tell when a replica could not be loaded."""
    importing = not turn.imported or isinstance(error, ImportError | SyntaxError)
    phase, traceback = "import" if importing else "constructor", traceback_of(error)
    if isinstance(error, ProgramFailed):
        phase, traceback = "program", ""  # there is no code of the user's to point at
    return Failure(phase=phase, kind=kind_of(error), message=message_of(error), traceback=traceback)


def _name(turn: Turn) -> str:
    """A replica as people see it."""
    several = turn.context.replicas > 1
    return f"{turn.stage.name}[{turn.context.replica}]" if several else turn.stage.name

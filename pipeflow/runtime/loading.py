"""A stage's code in the process that runs it: its context, its import, what ends its start."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pipeflow.errors import ProgramFailed
from pipeflow.planner.plan import Join, Plan, Route, StagePlan
from pipeflow.runtime.board import SINCE_NS, STATE, Board, State, Words
from pipeflow.runtime.brief import WorkerBrief
from pipeflow.runtime.failures import kind_of, message_of, traceback_of
from pipeflow.runtime.late import late_modules
from pipeflow.runtime.messages import Failure
from pipeflow.stages.context import StageContext
from pipeflow.stages.loading import load_work
from pipeflow.stages.work import Work
from pipeflow.telemetry.masking import masker

if TYPE_CHECKING:
    from pipeflow.runtime.shared.give import ProcessShares


def load_for(plan: Plan) -> None:
    """Load what this plan needs of what only some need, before any code of the author's."""
    joined = any(stage.join is Join.BY_KEY for stage in plan.stages)
    keys = joined or any(edge.route is Route.KEY for edge in plan.edges)
    operators = any(stage.operator for stage in plan.stages)
    for name in late_modules(operators=operators, keys=keys):
        importlib.import_module(name)


def shares_of(briefs: Sequence[WorkerBrief]) -> ProcessShares | None:
    """What the stages of this process share with others; few pipelines have any."""
    if all(brief.shared is None for brief in briefs):
        return None
    from pipeflow.runtime.shared.give import ProcessShares

    return ProcessShares(briefs)


def load_stage(
    stage: StagePlan,
    plan: Plan,
    context: StageContext,
    row: Words,
    shares: ProcessShares | None,
) -> Work:
    """Import and build the stage's code, and see that it is what was planned.

    How far it has come, and since when, stands in the worker's row of the board.
    """

    def note(state: State) -> None:
        row[SINCE_NS] = time.monotonic_ns()
        row[STATE] = state

    names = tuple(context.input_names)
    note(State.STARTING)
    if stage.program is not None:
        from pipeflow.runtime.programs.load import load_program  # most stages run Python

        return load_program(stage, plan.folder_of(stage), context)
    work = load_work(
        call=stage.call,
        operator=stage.operator,
        folder=plan.folder_of(stage),
        folders=plan.folders,
        parameters=shares.fill(stage.parameters, context) if shares else stage.parameters,
        source=not stage.edges_in,
        input_names=names,
        imported=lambda: note(State.BUILDING),
    )
    check_fit(work, stage)
    if work.keeps_state and not stage.keeps_state and stage.replicas > 1:
        raise TypeError(
            f"stage '{stage.name}' keeps state, so its {stage.replicas} replicas need "
            "`partition: {key: …}` or `broadcast`"
        )
    return work


def check_fit(work: Work, stage: StagePlan) -> None:
    """See that the code, now that it is loaded, is of a form that gets lists, if it is to.

    Raises:
        TypeError: It is not.
    """
    if stage.batch is not None and work.call is None:
        what = "a stream function takes the whole stream" if work.stream else "a source takes none"
        raise TypeError(f"stage '{stage.name}' cannot get its items in batches: {what}")


def make_context(
    brief: WorkerBrief, stage: StagePlan, board: Board, log: Callable[[str, str], None]
) -> StageContext:
    """What the stage's code may ask of its run; ``log`` takes a level and a text."""
    edges = [brief.plan.edges[number] for number in stage.edges_in]
    return StageContext(
        stage=stage.name,
        replica=brief.plan.workers[brief.worker].replica,
        replicas=stage.replicas,
        seed=brief.seed,
        stopping=lambda: board.draining,
        log=log,
        mask=masker(brief.plan.secrets),
        stdout=None if brief.stdout_fd < 0 else _open_stdout(brief.stdout_fd),
        parameters=brief.plan.values_for(stage),
        input_names=tuple(edge.input for edge in edges if edge.input),
    )


def _open_stdout(fd: int) -> Any:
    return open(fd, "wb", buffering=0, closefd=False)


def start_failure(error: BaseException, row: Words) -> Failure:
    """What stage code that cannot be loaded or built is told as."""
    if isinstance(error, ProgramFailed):
        return Failure(phase="program", kind=kind_of(error), message=message_of(error))
    importing = row[STATE] == State.STARTING or isinstance(error, ImportError | SyntaxError)
    phase = "import" if importing else "constructor"
    return Failure(
        phase=phase, kind=kind_of(error), message=message_of(error), traceback=traceback_of(error)
    )

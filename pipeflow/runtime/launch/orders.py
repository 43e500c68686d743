"""What the launch server is told to start. Pure but for a look at the terminal."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator

from pipeflow.planner.plan import Plan
from pipeflow.runtime.brief import WorkerBrief, pack
from pipeflow.runtime.launch.environment import needs_fresh_interpreter, stage_environment
from pipeflow.runtime.launch.messages import Launch
from pipeflow.runtime.launch.wires import Wires
from pipeflow.runtime.shared.brief import ManagerBrief

#: Every worker is started once.
_ATTEMPT = 1


def orders(plan: Plan, wires: Wires, *, seed: int, log_level: str, parent: int) -> Iterator[Launch]:
    """An order for each process, with all workers that share it; readers before their writers.

    Args:
        plan: What runs.
        wires: What the processes inherit.
        seed: Of the run.
        log_level: Least level of log lines.
        parent: Process on whose life theirs hang.
    """
    if plan.has_manager:
        yield manager_order(plan, wires.manager_door)
    for stage in plan.start_order:
        for worker in plan.workers_of(stage):
            if worker.process != worker.index:
                continue  # it comes with another
            briefs = tuple(
                wires.brief(
                    each.index, seed=seed, log_level=log_level, attempt=_ATTEMPT, parent=parent
                )
                for each in plan.sharing(worker.index)
            )
            keep, output = wires.keep(worker.index), wires.prints[worker.index][1]
            yield launch_order(plan, briefs, keep=keep, output=output)


def manager_order(plan: Plan, door: int) -> Launch:
    """The order to start the manager of what the stages of a plan share.

    Args:
        plan: What runs.
        door: Descriptor of its end of the door.
    """
    brief = ManagerBrief(
        door=door, kinds=tuple(each.kind for each in plan.shared), folders=plan.folders
    )
    return Launch(
        worker=plan.manager,
        brief=pickle.dumps(brief, protocol=5),
        keep=(door,),
        output=2,  # it prints nothing; what a bug of ours says must not be lost
        manager=True,
    )


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

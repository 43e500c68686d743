"""Who sees the dead letters of a stage to the end though that stage has failed. Pure."""

from __future__ import annotations

from pipeflow.planner.plan import Plan
from pipeflow.spec.ports import ERRORS


def heirs(plan: Plan, worker: int) -> frozenset[int]:
    """Numbers of the workers that what the stage of a worker gave up comes to, soon or late.

    Who shares its process with another stage is none of them: it ends with that one.

    Args:
        plan: What runs.
        worker: Number of the worker that has failed.
    """
    failed = plan.workers[worker].stage
    reached: set[int] = set()
    edges = list(plan.stages[failed].edges_out.get(ERRORS, ()))
    while edges:
        stage = plan.edges[edges.pop()].target
        if stage not in reached:
            reached.add(stage)
            edges += [each for numbers in plan.stages[stage].edges_out.values() for each in numbers]
    reached.discard(failed)
    return frozenset(
        each.index
        for each in plan.workers
        if each.stage in reached
        and all(mate.stage in reached for mate in plan.sharing(each.process))
    )

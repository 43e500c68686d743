"""Crowding: what it means that a plan has more processes than the machine has cores. Pure."""

from __future__ import annotations

from pipeflow.planner.fusion import fuse
from pipeflow.planner.listing import listed
from pipeflow.planner.plan import Plan


def crowding_notes(plan: Plan) -> tuple[str, ...]:
    """A sentence about sharing cores, for a plan that must; it may be fused already."""
    if plan.processes <= plan.cores:
        return ()
    cores = "1 core" if plan.cores == 1 else f"{plan.cores} cores"
    share = f"{max(1, round(100 * plan.cores / plan.processes))} %"
    ways = [*_fewer_by_fusion(plan), *_fewer_replicas(plan)]
    return (
        f"{plan.processes} processes share {cores} (affinity and cgroup): while all of them are"
        f" busy each gets {share} of a core; those that wait take none of it"
        + (f"; {', and '.join(ways)}" if ways else ""),
    )


def _fewer_by_fusion(plan: Plan) -> list[str]:
    fewest = fuse(plan).processes
    return [f"`--fuse` needs {fewest} processes"] if fewest < plan.processes else []


def _fewer_replicas(plan: Plan) -> list[str]:
    """Replicas of one stage are surely busy together; more of them than cores gain nothing."""
    many = [f"'{stage.name}'" for stage in plan.stages if stage.replicas > plan.cores]
    if not many:
        return []
    most = "1 replica" if plan.cores == 1 else f"{plan.cores} replicas"
    return [f"no more than {most} of {listed(many)} can compute at a time"]

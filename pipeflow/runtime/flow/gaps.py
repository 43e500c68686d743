"""Gaps: which stages may leave units out that the readers of an edge wait for. Pure.

A stage ends early when all its readers have closed, the one of its ``errors`` not counted (design
3.9). Its replicas find that out each at its place, so on ``errors``, and wherever its units are
kept from there on, one may have passed units that another will never end.

    split[0]   17       21 end          errors: 17 18 20 21 22, and then the end of all
    split[1]      18 20    22 end       19 was with split[0], which ended before it came to that

A zip by position ends with its shortest input. What the others bring has no partner then; if that
goes on, each of its replicas has enough of it at its place.
"""

from __future__ import annotations

from pipeflow.planner.plan import EdgePlan, Join, Numbering, Parts, Plan, StagePlan
from pipeflow.spec.ports import ERRORS


def leave_gaps(plan: Plan, edge: EdgePlan) -> frozenset[int]:
    """Numbers of the stages that do so on an edge, if they end early.

    Args:
        plan: What runs.
        edge: One of its edges.
    """
    if edge.parts is Parts.EACH:
        # Each writer sees all units, so what an early end leaves out is the rest.
        return frozenset()
    found: set[int] = set()
    ways = [edge]
    while ways:
        way = ways.pop()
        stage = plan.stages[way.source]
        if stage.numbering is not Numbering.KEEP or stage.join is Join.BY_KEY:
            continue  # it numbers its results anew
        by_position = stage.join is Join.ZIP_BY_POSITION
        if stage.replicas > 1 and (by_position or way.port == ERRORS):
            found.add(stage.index)
        ways += [plan.edges[number] for number in _deciding(stage)]
    return frozenset(found)


def _deciding(stage: StagePlan) -> tuple[int, ...]:
    """The edges whose units a stage passes on."""
    return stage.edges_in[:1] if stage.join is Join.LATEST else stage.edges_in

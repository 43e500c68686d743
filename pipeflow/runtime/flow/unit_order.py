"""Whether the items of a unit come to all inputs of a zip in the order in which they began. Pure.

Of a stage whose replicas get a part of each unit, as those of a key do, the parts follow one
another: `a1 b1 a2` comes as `a1 a2 b1`. An input that passed such a stage has another order than
one that did not.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeflow.planner.plan import EdgePlan, Join, Numbering, Parts, Plan


def in_one_order(plan: Plan, edges: Sequence[EdgePlan]) -> bool:
    """Whether the items of each unit come over all these edges in one and the same order."""
    return len({_rearranging(plan, edge) for edge in edges}) <= 1


def _rearranging(plan: Plan, edge: EdgePlan) -> frozenset[int]:
    """The stages, from the edge up to where its units are numbered, that send them in parts."""
    found: set[int] = set()
    seen: set[int] = set()
    ways = [edge]
    while ways:
        way = ways.pop()
        if way.parts is Parts.EACH:
            found.add(way.source)
        stage = plan.stages[way.source]
        if way.source in seen or stage.numbering is not Numbering.KEEP or stage.join is Join.BY_KEY:
            continue
        seen.add(way.source)
        ways += [plan.edges[number] for number in stage.edges_in]
    return frozenset(found)

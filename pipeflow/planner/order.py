"""Order: who is started first, who is stopped first, and how far a stage is from a source."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.planner.graphs import nx


def start_order(graph: nx.DiGraph[str]) -> tuple[str, ...]:
    """Order the stages so that every reader is up before its writers.

    Ties go by name: one pipeline file always gives one plan. The graph has no cycle: ``checks``
    has refused it.
    """
    return tuple(nx.lexicographical_topological_sort(graph.reverse()))


def stop_order(graph: nx.DiGraph[str]) -> tuple[str, ...]:
    """Order the stages so that every writer is stopped before its readers: what runs drains."""
    return tuple(reversed(start_order(graph)))


def levels(graph: nx.DiGraph[str]) -> Mapping[str, int]:
    """Longest way to each stage from a source, in edges; for showing only."""
    level: dict[str, int] = {}
    for stage in nx.topological_sort(graph):
        level[stage] = max((level[writer] + 1 for writer in graph.predecessors(stage)), default=0)
    return level

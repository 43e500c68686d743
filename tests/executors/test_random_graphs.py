"""Graphs drawn at random: ``local`` gives exactly what ``inline`` gives.

``PIPEFLOW_GRAPHS=500`` draws that many, other ones each time, and makes a failing one small.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.strategies import booleans

from pipeflow.errors import InvalidPipeline
from pipeflow.telemetry.report import Status
from tests.executors.graphs import Graph, by_way, graphs
from tests.executors.running import Outcome, run

pytestmark = pytest.mark.processes

_MANY = int(os.environ.get("PIPEFLOW_GRAPHS", "0"))


def drawn(examples: int) -> settings:
    """Give settings: always the same examples, unless more are asked for."""
    return settings(
        max_examples=_MANY or examples,
        derandomize=not _MANY,
        database=None,
        print_blob=True,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, *([Phase.shrink] if _MANY else [])),
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.timeout(600 if not _MANY else 0)
@drawn(30)
@given(graph=graphs(), fuse=booleans())
def test_local_fused_or_not_gives_exactly_what_inline_gives(graph: Graph, fuse: bool) -> None:
    compare(graph, fuse=fuse)


@pytest.mark.timeout(600 if not _MANY else 0)
@drawn(15)
@given(graph=graphs(many=True))
def test_lists_and_tasks_change_nothing_of_that(graph: Graph) -> None:
    compare(graph, fuse=False)


def compare(graph: Graph, *, fuse: bool) -> None:
    """Run a graph both ways, and see that nothing differs that must not."""
    with tempfile.TemporaryDirectory() as folder:
        expected = allowed(Path(folder), graph)
        got = run(Path(folder), graph.stages, "local", fuse=fuse)

    for outcome in (expected, got):
        assert outcome.report.errors == ()
        assert outcome.report.ledger.findings == ()
        assert outcome.report.run.status is Status.SUCCEEDED
    for sink, exact in graph.exact.items():
        if exact:
            assert got.kept[sink] == expected.kept[sink], sink
        elif sink in graph.scattered:
            assert sorted(got.kept[sink]) == sorted(expected.kept[sink]), sink
        else:
            assert by_way(got.kept[sink]) == by_way(expected.kept[sink]), sink
    if not graph.takes:
        assert counts(got) == counts(expected)


def allowed(folder: Path, graph: Graph) -> Outcome:
    """What ``inline`` gives, if the planner has nothing against the graph."""
    try:
        return run(folder, graph.stages, "inline")
    except InvalidPipeline as refusal:
        hypothesis.event(f"refused: {refusal.findings[0].code}")
        assume(False)
        raise


def counts(outcome: Outcome) -> dict[str, Any]:
    """All that was counted."""
    stages = {
        stage.name: (
            stage.received,
            stage.processed,
            stage.empty,
            stage.skipped,
            stage.dead_lettered,
            stage.retried,
            stage.emitted,
        )
        for stage in outcome.report.stages
    }
    edges = {
        (edge.source, edge.target, edge.input): (
            edge.sent,
            edge.delivered,
            edge.unmatched,
            edge.dropped,
            edge.unread,
        )
        for edge in outcome.report.edges
    }
    return {"stages": stages, "edges": edges}

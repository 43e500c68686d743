"""The ledger: whether every item of a run is accounted for. Pure; the counts come from both ends.

Writers and readers count separately, so a frame that a transport loses, repeats or invents
shows here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pipeflow.telemetry.report import EdgeFacts, Ledger, StageFacts


def check_ledger(stages: Sequence[StageFacts], edges: Sequence[EdgeFacts], clean: bool) -> Ledger:
    """Compare what was counted at both ends of every edge, and on both sides of every stage.

    Args:
        stages: The stages, all replicas together.
        edges: The edges between them.
        clean: The run neither failed nor was interrupted, so that only a stage that ended early
            may leave items unread or in hand.

    Returns:
        Balanced, or a sentence for each edge or stage whose numbers do not agree.
    """
    early = {stage.name for stage in stages if stage.ended_early}
    findings = [
        *(finding for edge in edges for finding in _edge_findings(edge)),
        *(finding for stage in stages for finding in _stage_findings(stage)),
        *_inflow_findings(stages, edges),
    ]
    if clean:
        findings += _leftovers(stages, edges, early)
    return Ledger(balanced=not findings, findings=tuple(findings))


def edge_name(edge: EdgeFacts) -> str:
    """An edge as people read it: ``decode.out -> shrink``, with the argument for named inputs."""
    return f"{edge.source} -> {edge.target}" + (f".{edge.input}" if edge.input else "")


def _edge_findings(edge: EdgeFacts) -> Iterator[str]:
    arrived = edge.delivered + edge.dropped + edge.unmatched + edge.unread
    if edge.sent != arrived:
        yield (
            f"edge {edge_name(edge)}: {edge.sent} sent, but {arrived} accounted for"
            f" ({edge.delivered} delivered + {edge.dropped} dropped"
            f" + {edge.unmatched} unmatched + {edge.unread} unread)"
        )


def _stage_findings(stage: StageFacts) -> Iterator[str]:
    ended = stage.processed + stage.skipped + stage.dead_lettered + stage.failed
    if stage.received != ended:
        yield (
            f"stage '{stage.name}': {stage.received} received, but {ended} accounted for"
            f" ({stage.processed} processed + {stage.skipped} skipped"
            f" + {stage.dead_lettered} dead-lettered + {stage.failed} failed)"
        )


def _inflow_findings(stages: Sequence[StageFacts], edges: Sequence[EdgeFacts]) -> Iterator[str]:
    delivered: Counter[str] = Counter()
    for edge in edges:
        delivered[edge.target] += edge.delivered
    for stage in stages:
        # A source has no edges in; what it receives are the records that it could not read.
        if stage.name in delivered and stage.received != delivered[stage.name]:
            yield (
                f"stage '{stage.name}': {stage.received} received,"
                f" but its edges delivered {delivered[stage.name]}"
            )


def _leftovers(
    stages: Sequence[StageFacts], edges: Sequence[EdgeFacts], early: set[str]
) -> Iterator[str]:
    for edge in edges:
        if edge.unread and edge.target not in early:
            yield (
                f"edge {edge_name(edge)}: {edge.unread} of {edge.sent} unread,"
                f" though '{edge.target}' read to the end"
            )
    for stage in stages:
        if stage.failed and stage.name not in early:
            yield (
                f"stage '{stage.name}': {stage.failed} of {stage.received} failed,"
                " though the run did not"
            )

"""Pairing: what bounds a join by key or of the latest, and for which neighbours it may wait.

Such a join looks at its inputs by a rule of its own, so one of them is due while another has items.
Where the inputs have nothing to do with each other, the writer of the other may wait meanwhile::

    orders ───> join <─── payments

Where they have, that could close a circle: the stage that has to bring what is due may be the one
that waits. There the join looks ahead, and nobody ever waits for it::

    read ──┬──> flat-map ──> join
           └───────────────> join
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeflow.errors import Finding
from pipeflow.planner.graph import Network
from pipeflow.planner.graphs import nx
from pipeflow.planner.plan import Pairing
from pipeflow.planner.traits import joins_by_key, joins_latest
from pipeflow.spec.pipeline import PortRef, Stage
from pipeflow.spec.policies import DEFAULT_WITHIN_ITEMS, KeyedInputs, Overflow
from pipeflow.spec.ports import UNMATCHED


def pairing_of(network: Network, stage: Stage, replicas: int) -> Pairing | None:
    """What bounds a stage's join; ``None`` for stages that join in another way, or not at all."""
    if joins_latest(stage):
        return Pairing(ahead=0 if _are_apart(network, stage) else DEFAULT_WITHIN_ITEMS)
    if not joins_by_key(stage):
        return None
    join = stage.join
    assert isinstance(join, KeyedInputs)
    if join.seconds is not None or join.items is None:
        return Pairing(seconds=join.seconds)
    # Replicas share their writers: one that waits for its left item may keep the right one, which
    # another waits for, from being sent.
    apart = replicas == 1 and _are_apart(network, stage)
    return Pairing(items=join.items, ahead=0 if apart else max(join.items, DEFAULT_WITHIN_ITEMS))


def _are_apart(network: Network, stage: Stage) -> bool:
    """Whether no input, nor what reads this stage, is linked to another input but by this stage.

    An edge that drops has a writer that never waits, so what comes there must be looked at.
    """
    if any(edge.overflow is not Overflow.BLOCK for edge in stage.edges):
        return False
    behind = nx.descendants(network.graph, stage.name)
    seen: set[str] = set()
    for edge in stage.edges:
        linked = _linked(network, edge.source.stage, without=stage.name)
        if linked & seen or linked & behind:
            return False
        seen |= linked
    return True


def _linked(network: Network, start: str, *, without: str) -> set[str]:
    """All stages that edges lead to, whichever way they point."""
    found, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        around = {*network.graph.predecessors(name), *network.graph.successors(name)}
        fresh = around - found - {without}
        found |= fresh
        waiting.extend(fresh)
    return found


def tells_superseded(network: Network, stage: Stage) -> bool:
    """Whether somebody reads what the newest of a join of the latest took the place of.

    Each replica would tell that of its own copies, at a place in the order that nobody knows.
    """
    return joins_latest(stage) and PortRef(stage.name, UNMATCHED) in network.readers


def pairing_findings(network: Network) -> Iterator[Finding]:
    """Joins of the latest whose replicas would all tell the same."""
    for stage in network.stages.values():
        several = stage.replicas_given and stage.replicas is not None and stage.replicas > 1
        if several and tells_superseded(network, stage):
            yield Finding(
                at=stage.replicas_at,
                code="join-replicas",
                problem=f"every replica of '{stage.name}' gets all items of "
                f"'{stage.edges[1].input}', so '{stage.name}.{UNMATCHED}', which is read, would "
                f"have each of them {stage.replicas} times",
                hint=f"write `replicas: 1`, or read nothing from '{stage.name}.{UNMATCHED}'",
            )

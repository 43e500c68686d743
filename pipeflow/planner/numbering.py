"""Numbering: whose results bear new units, who keeps old ones, and where the order is given up.

The words are explained in ``docs/architecture.md``, "Order": units and lanes.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.planner.graph import Network
from pipeflow.planner.graphs import nx
from pipeflow.planner.joins import Zips
from pipeflow.planner.plan import Join, Numbering
from pipeflow.planner.traits import is_join, joins_by_key, joins_latest
from pipeflow.spec.pipeline import Stage
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """How one stage deals with units.

    Attributes:
        join: How its inputs become calls.
        numbering: Where its results' units come from.
        lanes_in: Lanes that it reads, over all inputs; 0 for a source.
        lanes_out: Lanes of each edge that reads it.
        ordered: Whether its readers wait for its units in their order.
        in_order: Whether a worker of it sends results in the order of its items.
    """

    join: Join
    numbering: Numbering
    lanes_in: int
    lanes_out: int
    ordered: bool
    in_order: bool


def number(network: Network, zips: Zips, replicas: Mapping[str, int]) -> Mapping[str, Units]:
    """Decide the units of every stage, writers before readers."""
    numberings = {name: _numbering(name, zips, replicas[name]) for name in network.stages}
    forced = _forced(network, zips, numberings)
    units: dict[str, Units] = {}
    for name in nx.topological_sort(network.graph):
        stage = network.stages[name]
        join = _join(stage, zips)
        above = [units[writer.name] for writer in network.writers(stage)]
        if join is Join.LATEST:
            above = above[:1]  # its results have the units of the first input
        lanes_in = _lanes_in(join, above)
        keeps = numberings[name] is Numbering.KEEP
        # Replicas that join by key number what they give, each on a lane of its own.
        lanes_out = replicas[name] if join is Join.BY_KEY else max(1, lanes_in)
        as_it_comes = replicas[name] > 1 and (
            not stage.ordered or not all(writer.ordered for writer in above)
        )
        units[name] = Units(
            join=join,
            numbering=numberings[name],
            lanes_in=lanes_in,
            lanes_out=lanes_out if keeps else 1,
            ordered=name in forced or not as_it_comes,
            in_order=stage.ordered or name in forced,
        )
    return units


def order_notes(
    network: Network, units: Mapping[str, Units], replicas: Mapping[str, int]
) -> tuple[str, ...]:
    """A sentence for each stage that says ``ordered: false`` and keeps the order all the same."""
    return tuple(
        f"stage '{name}' keeps the order although it says `ordered: false`: a zip behind it pairs "
        "by its units"
        for name, stage in network.stages.items()
        if not stage.ordered and replicas[name] > 1 and units[name].ordered
    )


def _numbering(name: str, zips: Zips, replicas: int) -> Numbering:
    if replicas > 1 or name in zips.between:
        return Numbering.KEEP
    return Numbering.PER_STAGE if name in zips.splits else Numbering.PER_PORT


def _forced(network: Network, zips: Zips, numberings: Mapping[str, Numbering]) -> frozenset[str]:
    """Stages whose units must go in order, whatever ``ordered`` says.

    A zip by id holds the same unit of each of its inputs side by side, so all on the way to it send
    in order. They can only if they get the units in order, as far up as these units come from:
    whoever waits for unit 17 while unit 18 fills the channel in front of it waits for ever.
    """
    forced = set(zips.on_the_way)
    for name in reversed(list(nx.topological_sort(network.graph))):
        readers = (network.stages[reader] for reader in network.graph.successors(name))
        if any(
            reader.name in forced
            and numberings[reader.name] is Numbering.KEEP
            and not joins_by_key(reader)  # it counts anew
            for reader in readers
        ):
            forced.add(name)
    return frozenset(forced)


def _join(stage: Stage, zips: Zips) -> Join:
    if not stage.edges:
        return Join.NONE
    if not is_join(stage):
        return Join.MERGE
    if joins_by_key(stage):
        return Join.BY_KEY
    if joins_latest(stage):
        return Join.LATEST
    by_id = zips.by_stage[stage.name].split is not None
    return Join.ZIP_BY_ID if by_id else Join.ZIP_BY_POSITION


def _lanes_in(join: Join, above: list[Units]) -> int:
    match join:
        case Join.NONE:
            return 0
        case Join.MERGE | Join.BY_KEY:
            return sum(writer.lanes_out for writer in above)
        case Join.ZIP_BY_ID | Join.LATEST:
            # All inputs of a zip carry the lanes of the split; of the latest the first decides.
            return above[0].lanes_out
        case Join.ZIP_BY_POSITION:
            return 1

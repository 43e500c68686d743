"""Channels: by which route, transport and how many channels the items of an edge cross."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.planner.graph import Network
from pipeflow.planner.graphs import nx
from pipeflow.planner.joins import Zips
from pipeflow.planner.numbering import Units
from pipeflow.planner.plan import Join, Numbering, Parts, Route, one_buffer
from pipeflow.planner.traits import joins_latest
from pipeflow.spec.pipeline import Edge, Stage
from pipeflow.spec.policies import Broadcast, ByKey, Overflow, TransportKind
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the units of one edge come to their readers.

    Attributes:
        route: How they spread over the reading replicas.
        parts: Which writers make up a unit.
        ordered: Whether the reader waits for the units in their order.
        recounted: Whether each item is a unit of its own to the reader.
    """

    route: Route
    parts: Parts
    ordered: bool
    recounted: bool = False


def find_ways(
    network: Network, zips: Zips, units: Mapping[str, Units], replicas: Mapping[str, int]
) -> Mapping[str, tuple[Way, ...]]:
    """The ways of each stage's inputs, in the order of its edges."""
    ways: dict[str, tuple[Way, ...]] = {}
    for name in nx.topological_sort(network.graph):
        stage = network.stages[name]
        ways[name] = tuple(
            _way(
                stage,
                edge,
                units[writer.name],
                keeps=name in zips.between,
                join=_join_of(number, units[name].join),
                parts=_parts(
                    replicas[writer.name], _deciding(units[writer.name].join, ways[writer.name])
                ),
                writers=replicas[writer.name],
                readers=replicas[name],
            )
            for number, (edge, writer) in enumerate(
                zip(stage.edges, network.writers(stage), strict=True)
            )
        )
    return ways


def _join_of(number: int, join: Join) -> Join:
    """How an input joins: the first of a join of the latest comes as if it were alone."""
    return Join.MERGE if join is Join.LATEST and number == 0 else join


def _deciding(join: Join, inputs: tuple[Way, ...]) -> tuple[Way, ...]:
    """The inputs whose units a stage's replicas pass on: those that join by key number anew."""
    if join is Join.BY_KEY:
        return ()
    return inputs[:1] if join is Join.LATEST else inputs


def _parts(writers: int, inputs: tuple[Way, ...]) -> Parts:
    """Replicas that each see every unit give a part of it each; others give whole units."""
    in_parts = writers > 1 and any(
        way.route in {Route.KEY, Route.BROADCAST}
        or (way.route is Route.ALIGNED and way.parts is Parts.EACH)
        for way in inputs
    )
    return Parts.EACH if in_parts else Parts.ONE


def _way(
    stage: Stage,
    edge: Edge,
    above: Units,
    *,
    keeps: bool,
    join: Join,
    parts: Parts,
    writers: int,
    readers: int,
) -> Way:
    route = _route(
        stage,
        join=join,
        whole=parts is Parts.ONE,
        ordered=above.ordered,
        writers=writers,
        readers=readers,
    )
    return Way(
        route=route,
        parts=parts,
        ordered=above.ordered,
        recounted=join is Join.MERGE and not keeps and _can_recount(edge, above, route),
    )


def _can_recount(edge: Edge, above: Units, route: Route) -> bool:
    """Whether every replica of the reader sees the same items, its own or not, in the same order.

    Units of a writer that keeps them may hold many items, for one replica and another. Were such a
    unit one to the readers too, its items would leave one replica after the other, not in their
    order; and all would wait for a replica that waits for the unit's end, which may not come
    before they go on.
    """
    return (
        route in {Route.KEY, Route.BROADCAST}
        and above.numbering is Numbering.KEEP
        and above.ordered
        and edge.overflow is Overflow.BLOCK
    )


def _route(
    stage: Stage, *, join: Join, whole: bool, ordered: bool, writers: int, readers: int
) -> Route:
    if readers == 1:
        return Route.SINGLE
    if isinstance(stage.partition, ByKey) or join is Join.BY_KEY:
        return Route.KEY
    if isinstance(stage.partition, Broadcast) or join is Join.LATEST:
        return Route.BROADCAST
    if join in {Join.ZIP_BY_ID, Join.ZIP_BY_POSITION}:
        # The same unit of every input must come to the same replica.
        return Route.BY_UNIT
    if writers == 1:
        return Route.BALANCE
    if writers == readers and (len(stage.edges) == 1 or joins_latest(stage)):
        return Route.ALIGNED
    # Parts of one unit belong together, so only whole units may go to whoever has room.
    return Route.ANY if whole and not ordered else Route.BY_UNIT


def transport_for(asked: TransportKind, route: Route) -> TransportKind:
    """The transport of an edge.

    A pipe needs no sharing and wakes one reader, so it is the choice everywhere but where a reader
    should take what its brother has no room for.
    """
    if asked is not TransportKind.AUTO:
        return asked
    return TransportKind.QUEUE if route is Route.ANY else TransportKind.PIPE


def channels_of(
    transport: TransportKind, route: Route, *, writers: int, readers: int, keeps: bool
) -> int:
    """How many channels the edge has at run time (``docs/architecture.md``, "Channels").

    Args:
        transport: Of the edge.
        route: Of the edge.
        writers: How many workers write it.
        readers: How many read it.
        keeps: Whether the writers keep the units of their inputs.
    """
    if transport is TransportKind.QUEUE:
        return 1 if one_buffer(route, keeps=keeps) else readers
    return writers if route is Route.ALIGNED else writers * readers

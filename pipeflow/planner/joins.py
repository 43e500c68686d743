"""Zips: by what their inputs are paired, and what may not lie on the way to them.

The split numbers its results; the stages behind it keep the numbers; the zip pairs what bears the
same number and id::

split ──> a ──┐             the split numbers its results; a and b keep the numbers;
  └─────> b ──┴──> zip      the zip pairs what bears the same number and id
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

from pipeflow.errors import Finding
from pipeflow.planner.graph import Network
from pipeflow.planner.graphs import nx
from pipeflow.planner.listing import listed
from pipeflow.planner.traits import (
    Blocker,
    blocker,
    copies_items,
    is_zip,
    joins_by_key,
    may_drop,
    may_spread,
    shape_of,
)
from pipeflow.spec.pipeline import Edge, Stage
from pipeflow.spec.policies import ByKey, OnError, Overflow
from pipeflow.spec.shapes import Shape
from pipeflow.values import dataclass

#: Ends every hint on a join that needs a key.
BY_KEY = "`join: {key: …}` pairs by a key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Zip:
    """How one zip pairs its inputs.

    Attributes:
        stage: Name of the zip.
        split: The stage by whose results it pairs; ``None``: by position.
        between: The stages on the ways from the split to the zip, both left out.
    """

    stage: str
    split: str | None = None
    between: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Zips:
    """All zips of a pipeline.

    Attributes:
        by_stage: Name of a zip to how it pairs.
        splits: Stages that number their results for a zip.
        between: Stages that must keep those numbers.
    """

    by_stage: Mapping[str, Zip]
    splits: frozenset[str]
    between: frozenset[str]

    @property
    def on_the_way(self) -> frozenset[str]:
        """Splits, and all between them and their zips."""
        return self.splits | self.between


def find_zips(network: Network) -> Zips:
    """Pair by id where one stage feeds all inputs through one-to-one stages; else by position."""
    zips = {
        stage.name: _pairing(network, stage) for stage in network.stages.values() if is_zip(stage)
    }
    return Zips(
        by_stage=zips,
        splits=frozenset(zip_.split for zip_ in zips.values() if zip_.split is not None),
        between=frozenset().union(*(zip_.between for zip_ in zips.values())),
    )


def _way_up(network: Network, stage: Stage) -> list[str]:
    """From a writer back through one-to-one stages to the first that is not, that one included."""
    way = [stage.name]
    while stage.edges and blocker(stage) is None:
        (stage,) = network.writers(stage)
        way.append(stage.name)
    return way


def _pairing(network: Network, stage: Stage) -> Zip:
    ways = [_way_up(network, writer) for writer in network.writers(stage)]
    # One-to-one stages have one input, so ways that meet stay together from there on: the first
    # stage that all of them pass is the nearest.
    split = next((name for name in ways[0] if all(name in way for way in ways[1:])), None)
    if split is None:
        return Zip(stage=stage.name)
    between = frozenset(name for way in ways for name in way[: way.index(split)])
    return Zip(stage=stage.name, split=split, between=between)


def join_findings(
    network: Network, zips: Zips, incomplete: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """Everything that forbids a zip to pair its inputs.

    A zip below a stage whose inputs are ``incomplete`` is not judged: nobody knows its ways.
    """
    for name, zip_ in zips.by_stage.items():
        stage = network.stages[name]
        if incomplete and incomplete & (nx.ancestors(network.graph, name) | {name}):
            continue
        if zip_.split is not None:
            yield from _repeated_ids(network, zips, stage, zip_.split)
            yield from _other_order(network, zips, stage, zip_.split)
            continue
        refused = _refused(network, stage)
        if refused is None:
            yield from _droppers(network, stage)
            yield from _disorder(network, zips, stage)
        else:
            yield refused


def _refused(network: Network, stage: Stage) -> Finding | None:
    """Inputs that share an ancestor, though not by one-to-one stages all the way."""
    origins = {
        edge: nx.ancestors(network.graph, edge.source.stage) | {edge.source.stage}
        for edge in stage.edges
    }
    relatives = [
        pair for pair in combinations(stage.edges, 2) if origins[pair[0]] & origins[pair[1]]
    ]
    if not relatives:
        return None
    for pair in relatives:
        ways = {edge: _way_up(network, network.stages[edge.source.stage]) for edge in pair}
        if set(ways[pair[0]]) & set(ways[pair[1]]):
            continue
        for edge, way in ways.items():
            end = network.stages[way[-1]]
            above = nx.ancestors(network.graph, end.name) | {end.name}
            reason = blocker(end)
            if end.edges and reason is not None and above & origins[pair[0]] & origins[pair[1]]:
                return _not_one_to_one(stage, edge, end, reason)
    return _mixed(stage, *relatives[0])


def _not_one_to_one(stage: Stage, edge: Edge, end: Stage, reason: Blocker) -> Finding:
    return _at(
        edge,
        code="join-not-one-to-one",
        problem=f"{_pairs(stage)} by item id, but '{end.name}' on the way to '{edge.input}' "
        f"{reason.value}",
        hint=f"{BY_KEY}; a zip by id looks through one-to-one stages only",
    )


def _mixed(stage: Stage, one: Edge, other: Edge) -> Finding:
    return _at(
        stage.edges[0],
        code="join-mixed",
        problem=f"{_pairs(stage)}, of which only some come from one stage, as '{one.input}' and "
        f"'{other.input}' do",
        hint=f"zip '{one.input}' and '{other.input}' in a stage of their own first; {BY_KEY}",
    )


def _droppers(network: Network, stage: Stage) -> Iterator[Finding]:
    """What may drop on the way to a zip by position: everything after it would pair wrongly."""
    for edge in stage.edges:
        way = nx.ancestors(network.graph, edge.source.stage) | {edge.source.stage}
        steps = [network.stages[name] for name in network.stages if name in way]
        reasons = [reason for step in steps for reason in _drops(step)]
        if edge.overflow is not Overflow.BLOCK:
            reasons.append(f"this edge says `overflow: {edge.overflow.value}`")
        if reasons:
            yield _at(
                edge,
                code="join-drops",
                problem=f"{_pairs(stage)} by position, since they come from different sources, "
                f"but {reasons[0]}",
                hint=f"{BY_KEY}; by position nothing on the way may drop",
            )


def _drops(stage: Stage) -> Iterator[str]:
    if stage.on_error.then is not OnError.STOP:
        yield f"'{stage.name}' may drop items (`on_error: {stage.on_error.then.value}`)"
    elif may_drop(stage) and shape_of(stage) is not Shape.STREAM:
        yield f"'{stage.name}' may drop items"
    for edge in stage.edges:
        if edge.overflow is not Overflow.BLOCK:
            yield (
                f"the edge from '{edge.source}' to '{stage.name}' says "
                f"`overflow: {edge.overflow.value}`"
            )


def _disorder(network: Network, zips: Zips, stage: Stage) -> Iterator[Finding]:
    """Inputs whose order is given up: a position means nothing there."""
    for edge in stage.edges:
        origin = _gives_up_order(network, zips, network.stages[edge.source.stage])
        if origin is None:
            continue
        reason = "says `ordered: false`"
        hint = f"let '{origin.name}' keep the order (`ordered: true`, the default)"
        if joins_by_key(origin):
            reason = "joins by key in several replicas, each in an order of its own"
            hint = f"write `replicas: 1` in '{origin.name}'; {BY_KEY}"
        yield _at(
            edge,
            code="join-unordered",
            problem=f"{_pairs(stage)} by position, but '{origin.name}' {reason}",
            hint=hint,
        )


def _gives_up_order(network: Network, zips: Zips, stage: Stage) -> Stage | None:
    """The stage, here or above, whose replicas send as it comes; one worker puts an end to it."""

    def passes(step: Stage) -> bool:
        # A zip by id needs no order among the replicas of a join by key: ids tell all.
        return may_spread(step) and (step.name not in zips.on_the_way or joins_by_key(step))

    steps = _upwards(network, stage, passes)
    return next((step for step in steps if joins_by_key(step) or not step.ordered), None)


def _upwards(network: Network, start: Stage, passes: Callable[[Stage], bool]) -> Iterator[Stage]:
    """The stage and those above it, nearest first, as long as they pass."""
    seen = {start.name}
    waiting = [start]
    while waiting:
        stage = waiting.pop(0)
        if not passes(stage):
            continue
        yield stage
        fresh = [writer for writer in network.writers(stage) if writer.name not in seen]
        seen.update(writer.name for writer in fresh)
        waiting.extend(fresh)


def _repeated_ids(network: Network, zips: Zips, stage: Stage, split: str) -> Iterator[Finding]:
    """A split whose replicas all get every item: the same id would meet itself in the zip."""
    copies = _gives_copies(network, zips, network.stages[split])
    if copies is not None:
        yield _at(
            stage.edges[0],
            code="join-repeated-ids",
            problem=f"{_pairs(stage)} by item id, but all replicas of '{copies}' get every item "
            "(`partition: broadcast`), so each id comes several times",
            hint=f"{BY_KEY}; with `replicas: 1` in '{copies}' each id comes once",
        )


def _other_order(network: Network, zips: Zips, stage: Stage, split: str) -> Iterator[Finding]:
    """Many results for an item, spread by a key on the way: each replica's come one after another.

    They are one unit, which the stages on the way keep, and a zip by id counts on the order in it.
    """
    many = _gives_many(network, zips, network.stages[split])
    if many is None:
        return
    for edge in stage.edges:
        way = _way_up(network, network.stages[edge.source.stage])
        for name in way[: way.index(split)]:
            step = network.stages[name]
            if isinstance(step.partition, ByKey) and may_spread(step):
                yield _at(
                    edge,
                    code="join-unordered",
                    problem=f"{_pairs(stage)} by item id, but replicas of '{many}' give any number"
                    f" of results for an item, and '{name}' spreads these by a key: they come to"
                    f" '{edge.input}' in another order",
                    hint=f"write `replicas: 1` in '{many}', or in '{name}'; {BY_KEY}",
                )


def _gives_many(network: Network, zips: Zips, stage: Stage) -> str | None:
    """The stage, here or above, of whose results several are one unit."""
    steps = _keeping_units(network, zips, stage)
    return next((step.name for step in steps if blocker(step) is Blocker.FLAT_MAP), None)


def _gives_copies(network: Network, zips: Zips, stage: Stage) -> str | None:
    """The stage, here or above, that gives an item several times over, each with its id."""
    steps = _keeping_units(network, zips, stage)
    return next((step.name for step in steps if copies_items(step)), None)


def _keeping_units(network: Network, zips: Zips, stage: Stage) -> Iterator[Stage]:
    """The stage and those above it, as far as their results bear the units of what they got.

    One worker numbers its results anew: each is a unit of its own, and bears its id once.
    """
    return _upwards(network, stage, lambda step: may_spread(step) or step.name in zips.between)


def one_worker_each(network: Network, zips: Zips, stage: Stage) -> bool:
    """Whether each input of a zip by position comes from one worker that numbers its results.

    Only then can the replicas of the zip tell positions by the numbers alone.
    """
    return all(
        not may_spread(writer) and writer.name not in zips.on_the_way
        for writer in network.writers(stage)
    )


def _pairs(stage: Stage) -> str:
    inputs = listed(f"'{edge.input}'" for edge in stage.edges)
    return f"stage '{stage.name}' pairs {inputs}"


def _at(edge: Edge, *, code: str, problem: str, hint: str) -> Finding:
    length = len(str(edge.source))
    return Finding(at=edge.at, code=code, problem=problem, hint=hint, length=length)

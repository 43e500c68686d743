"""From edges to channels: who writes where, who reads where, with how much credit. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pipeflow.planner.plan import EdgePlan, Numbering, Plan, Route, one_buffer
from pipeflow.spec.policies import TransportKind
from pipeflow.transports.base import ChannelSpec, Kind
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPlan:
    """One channel of an edge.

    Attributes:
        spec: What the transport needs to know.
        edge: Number of the edge.
        writers: Numbers of the writing workers; the position is the writer's number in frames.
        readers: Numbers of the reading workers.
    """

    spec: ChannelSpec
    edge: int
    writers: tuple[int, ...]
    readers: tuple[int, ...]


def wire(plan: Plan) -> tuple[ChannelPlan, ...]:
    """Every channel of a plan, numbered from 0, in the order of the edges."""
    channels: list[ChannelPlan] = []
    for edge in plan.edges:
        writers = tuple(worker.index for worker in plan.workers_of(edge.source))
        readers = tuple(worker.index for worker in plan.workers_of(edge.target))
        keeps = plan.stages[edge.source].numbering is Numbering.KEEP
        for some_writers, some_readers in _groups(edge, writers, readers, keeps=keeps):
            share = edge.capacity_items * len(some_readers) // _feeders(edge, writers)
            byte_share = edge.capacity_bytes * len(some_readers) // _feeders(edge, writers)
            spec = ChannelSpec(
                number=len(channels),
                kind=Kind.PIPE if edge.transport is TransportKind.PIPE else Kind.QUEUE,
                writers=len(some_writers),
                readers=len(some_readers),
                capacity=max(1, share),
                capacity_bytes=max(1, byte_share),
            )
            channels.append(
                ChannelPlan(spec=spec, edge=edge.index, writers=some_writers, readers=some_readers)
            )
    return tuple(channels)


def _groups(
    edge: EdgePlan, writers: tuple[int, ...], readers: tuple[int, ...], *, keeps: bool
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The pairs (writers, readers) that share one channel."""
    if edge.route is Route.ALIGNED:
        yield from (((w,), (r,)) for w, r in zip(writers, readers, strict=True))
    elif edge.transport is TransportKind.QUEUE and one_buffer(edge.route, keeps=keeps):
        yield writers, readers
    elif edge.transport is TransportKind.QUEUE:
        yield from ((writers, (reader,)) for reader in readers)
    else:
        yield from (((writer,), (reader,)) for reader in readers for writer in writers)


def _feeders(edge: EdgePlan, writers: tuple[int, ...]) -> int:
    """How many writers share the capacity of one reading replica."""
    return 1 if edge.route is Route.ALIGNED else len(writers)

"""From a plan to the inbox and outbox of one worker. The executors bring the channel ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeflow.planner.plan import (
    NAMED_JOINS,
    EdgePlan,
    Join,
    Numbering,
    Pairing,
    Parts,
    Plan,
    Route,
    StagePlan,
)
from pipeflow.runtime.board import EARLY, Board, have_ended
from pipeflow.runtime.flow.arrivals import Arrivals, Decode, Seal, Show
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.express import Encoder
from pipeflow.runtime.flow.gaps import leave_gaps
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.inlets import LOT_MOST, LOT_SHARE, InChannel, InPort, Intake
from pipeflow.runtime.flow.joins import Join as Joiner
from pipeflow.runtime.flow.merging import Merge, Straight
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.targets import BATCH_ITEMS, OutChannel, Spread, Target
from pipeflow.runtime.flow.unit_order import in_one_order
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.spec.policies import ArrayMode, OnError, Overflow
from pipeflow.transports.base import Kind, Receiver, Sender
from pipeflow.transports.unloadable import Unloadable

if TYPE_CHECKING:
    from pipeflow.runtime.flow.keyed import PickKey, UnopenedKeys
    from pipeflow.runtime.flow.mailbox import DropEdge

#: Opens the reading end of a channel for its reader of that number.
OpenReceiver = Callable[[ChannelPlan, int], Receiver]
#: Opens the writing end of a channel for its writer of that number.
OpenSender = Callable[[ChannelPlan, int], Sender]

#: Routes by which every reader of the edge gets the very same frames, or one queue takes them all.
_WHOLE = frozenset({Route.SINGLE, Route.BROADCAST, Route.ALIGNED})


def make_inbox(
    plan: Plan,
    worker: int,
    channels: Sequence[ChannelPlan],
    board: Board,
    open_receiver: OpenReceiver,
    decode: Decode,
    salvage: Decode,
    *,
    seal: Seal | None = None,
    show: Show | None = None,
    unopened: UnopenedKeys | None = None,
) -> Inbox | None:
    """The inputs of a worker; ``None`` for a source.

    Args:
        plan: The plan.
        worker: Which of its workers.
        channels: All channels of the plan.
        board: The board.
        open_receiver: Opens the ends.
        decode: See ``Arrivals``.
        salvage: See ``Arrivals``.
        seal: See ``Arrivals``.
        show: See ``Arrivals``.
        unopened: Knows the keys of what is not opened here.
    """
    stage = plan.stages[plan.workers[worker].stage]
    replica = plan.workers[worker].replica
    if not stage.edges_in:
        return None
    ends = stage.on_error.then is OnError.STOP
    rest = (decode, board.worker(worker), None if ends else salvage, seal, show)
    edges = [plan.edges[number] for number in stage.edges_in]
    bases = [edge.lane_base for edge in edges]
    if _comes_straight(plan, stage, edges):
        straight = Straight(
            writers=_writers(plan, edges[0]),
            lanes=edges[0].lanes,
            lane_base=bases[0],
            unit_ends=stage.numbering is Numbering.KEEP,
        )
        ports = [_in_port(plan, edges[0], worker, channels, board, straight, open_receiver)]
        return Inbox(straight, bases, Arrivals(ports, *rest))
    collectors = [_collector(plan, edge, replica, board) for edge in edges]
    ports = [
        _in_port(plan, edge, worker, channels, board, collector, open_receiver)
        for edge, collector in zip(edges, collectors, strict=True)
    ]
    join = _join(plan, stage, replica, collectors, edges, unopened)
    return Inbox(join, bases, Arrivals(ports, *rest))


def _comes_straight(plan: Plan, stage: StagePlan, edges: Sequence[EdgePlan]) -> bool:
    """Whether what comes is one edge's, and due as it comes."""
    if len(edges) > 1 or stage.join in NAMED_JOINS:
        return False
    in_turn = not edges[0].ordered or _writers(plan, edges[0]) == 1
    return in_turn and not (edges[0].recounted and stage.numbering is Numbering.KEEP)


def _writers(plan: Plan, edge: EdgePlan) -> int:
    """How many workers write an edge to one of its readers."""
    return 1 if edge.route is Route.ALIGNED else len(plan.workers_of(edge.source))


def _collector(plan: Plan, edge: EdgePlan, replica: int, board: Board) -> Collector:
    early = [
        board.worker(worker.index)
        for stage in sorted(leave_gaps(plan, edge))
        for worker in plan.workers_of(stage)
    ]
    by_unit = edge.route is Route.BY_UNIT
    kind = Collector
    if edge.recounted:
        from pipeflow.runtime.flow.recounting import Recounter  # few edges are

        kind = Recounter
    return kind(
        writers=_writers(plan, edge),
        lanes=edge.lanes,
        ordered=edge.ordered,
        in_parts=edge.parts is Parts.EACH,
        first=replica if by_unit else 0,
        step=len(plan.workers_of(edge.target)) if by_unit else 1,
        cut_short=(lambda: any(row[EARLY] for row in early)) if early else None,
    )


def _in_port(
    plan: Plan,
    edge: EdgePlan,
    worker: int,
    channels: Sequence[ChannelPlan],
    board: Board,
    intake: Intake,
    open_receiver: OpenReceiver,
) -> InPort:
    aligned = edge.route is Route.ALIGNED
    mine = [
        channel for channel in channels if channel.edge == edge.index and worker in channel.readers
    ]
    first_worker = plan.workers_of(edge.source)[0].index
    return InPort(
        edge=edge.index,
        row=board.edge(worker, edge.index),
        private=edge.arrays is ArrayMode.COPY,
        intake=intake,
        channels=[
            InChannel(
                receiver=open_receiver(channel, channel.readers.index(worker)),
                first_writer=0 if aligned else channel.writers[0] - first_worker,
                writers=len(channel.writers),
                lot=max(1, min(LOT_MOST, channel.spec.capacity // LOT_SHARE)),
                share=channel.spec.capacity // len(channel.readers),
                on_demand=edge.overflow is not Overflow.BLOCK,
                cut_short=partial(have_ended, [board.worker(each) for each in channel.writers]),
            )
            for channel in mine
        ],
    )


def _join(
    plan: Plan,
    stage: StagePlan,
    replica: int,
    collectors: Sequence[Collector],
    edges: Sequence[EdgePlan],
    unopened: UnopenedKeys | None,
) -> Joiner:
    keeps = stage.numbering is Numbering.KEEP
    match stage.join, stage.pairing:  # each is loaded where it is used: most stages have none
        case Join.ZIP_BY_ID, _:
            from pipeflow.runtime.flow.zipping import ZipById

            return ZipById(
                collectors,
                edges[0].lanes,
                first=replica,
                step=stage.replicas,
                in_order=in_one_order(plan, edges),
                inputs=[edge.input for edge in edges],
                unit_ends=keeps,
            )
        case Join.ZIP_BY_POSITION, _:
            from pipeflow.runtime.flow.positions import ZipByPosition

            return ZipByPosition(collectors, first=replica, step=stage.replicas, unit_ends=keeps)
        case Join.BY_KEY, Pairing() as pairing:
            from pipeflow.runtime.flow.keyed import KeyJoin

            return KeyJoin(
                collectors,
                [join_key(plan, edge) if unopened is None else unopened.key for edge in edges],
                pairing,
                stage=stage.index,
                replica=replica,
                replicas=stage.replicas,
                now=time.monotonic,
                unopened=unopened,
            )
        case Join.LATEST, Pairing() as pairing:
            from pipeflow.runtime.flow.latest import Latest

            return Latest(collectors, pairing, lane_base=edges[0].lane_base, unit_ends=keeps)
        case _:
            return Merge(collectors, [edge.lane_base for edge in edges], unit_ends=keeps)


def join_key(plan: Plan, edge: EdgePlan) -> PickKey:
    """What gives the key of a joined input's items; who made a mistake is told which input."""
    from pipeflow.stages.expression import compile_expression

    evaluate = compile_expression(edge.key, plan.parameters)

    def key_of(payload: Any) -> Any:
        if type(payload) is Unloadable:
            raise payload.error
        try:
            return evaluate(payload)
        except Exception as error:
            error.add_note(f"in the join key of input '{edge.input}': {edge.key}")
            raise

    return key_of


def make_outbox(
    plan: Plan,
    worker: int,
    channels: Sequence[ChannelPlan],
    board: Board,
    open_sender: OpenSender,
    encoder: Encoder,
    wait_for_room: Callable[[Sequence[Target]], None],
    *,
    batch_items: int = BATCH_ITEMS,
) -> Outbox:
    """The outputs of a worker."""
    stage = plan.stages[plan.workers[worker].stage]
    ports: dict[str, OutPort] = {}
    for name, edges in stage.edges_out.items():
        whole: list[OutChannel] = []
        spreads: list[Spread] = []
        drops: list[DropEdge] = []
        for number in edges:
            edge = plan.edges[number]
            mine = [c for c in channels if c.edge == number and worker in c.writers]
            ends = [open_sender(channel, channel.writers.index(worker)) for channel in mine]
            row = board.edge(worker, number)
            if edge.overflow is not Overflow.BLOCK:
                drops.append(_drop_edge(plan, edge, mine, ends, row))
                continue
            outs = [
                OutChannel(end, number, row, channel.spec.capacity_bytes)
                for end, channel in zip(ends, mine, strict=True)
            ]
            if edge.route in _WHOLE or (len(outs) == 1 and mine[0].spec.kind is Kind.QUEUE):
                whole.extend(outs)
            else:
                targets = [Target([out]) for out in outs]
                spreads.append(
                    Spread(
                        edge.route,
                        targets,
                        _pick_key(plan, edge),
                        recounted=edge.recounted,
                        onward=_goes_onward(plan, plan.stages[edge.target]),
                    )
                )
        if whole:
            spreads.insert(0, Spread(Route.SINGLE, [Target(whole)]))
        needed = any(plan.edges[number].needed for number in edges)
        ports[name] = OutPort(name, spreads, drops, needed=needed)
    return Outbox(
        ports,
        numbering=stage.numbering,
        encoder=encoder,
        wait_for_room=wait_for_room,
        counters=(board.words, board.emitted(worker)),
        batch_items=batch_items,
    )


def _goes_onward(plan: Plan, stage: StagePlan) -> bool:
    """Whether what each replica of a stage gives goes on to one replica of the next."""
    edges = [plan.edges[number] for numbers in stage.edges_out.values() for number in numbers]
    return any(edge.route is Route.ALIGNED for edge in edges)


def _drop_edge(
    plan: Plan,
    edge: EdgePlan,
    channels: Sequence[ChannelPlan],
    ends: Sequence[Sender],
    row: memoryview,
) -> DropEdge:
    from pipeflow.runtime.flow.mailbox import DropEdge, Mailbox  # few edges drop

    newest = edge.overflow is Overflow.DROP_NEWEST
    if edge.route in {Route.KEY, Route.BROADCAST, Route.BY_UNIT}:
        boxes = [
            Mailbox([end], row, capacity=channel.spec.capacity, newest=newest)
            for end, channel in zip(ends, channels, strict=True)
        ]
    else:
        capacity = sum(channel.spec.capacity for channel in channels)
        whole = edge.route is Route.BALANCE
        boxes = [Mailbox(ends, row, capacity=capacity, newest=newest, whole=whole)]
    return DropEdge(edge.route, boxes, _pick_key(plan, edge))


def keys_of_results(plan: Plan, stage: StagePlan) -> dict[str, list[Callable[[Any], int]]]:
    """The partition keys by which readers spread a stage's results, for each port that has any."""
    found: dict[str, list[Callable[[Any], int]]] = {}
    for port, numbers in stage.edges_out.items():
        for number in numbers:
            pick = _pick_key(plan, plan.edges[number])
            if pick is not None:
                found.setdefault(port, []).append(pick)
    return found


def _pick_key(plan: Plan, edge: EdgePlan) -> Callable[[Any], int] | None:
    """Which replica an item's key belongs to."""
    if edge.route is not Route.KEY:
        return None
    # They load much that other edges do not need.
    from pipeflow.stages.expression import compile_expression
    from pipeflow.stages.keys import KnownKeys

    reader = plan.stages[edge.target]
    evaluate = compile_expression(edge.key, plan.values_for(reader))
    number_of = KnownKeys(reader.replicas).number_of

    def pick(payload: Any) -> int:
        try:
            return number_of(evaluate(payload))
        except Exception as error:  # the user's expression: it runs here, for the reading stage
            if reader.join is Join.BY_KEY:
                return 0  # evaluated there once more, it fails there: the item is the join's own
            error.add_note(f"in the partition key of stage '{reader.name}': {edge.key}")
            raise

    return pick

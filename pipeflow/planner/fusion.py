"""Fusion: neighbouring one-to-one stages that may share a process (operator chaining). Pure.

What is decided for a plan of separate processes stays as it is: order, units, ids, ledger. Only
where a worker runs changes, and how the bytes of the edges between such workers cross.
"""

from __future__ import annotations

from typing import Final

from pipeflow.planner.listing import listed
from pipeflow.planner.plan import EdgePlan, Join, Plan, Route, StagePlan
from pipeflow.spec.policies import Overflow
from pipeflow.spec.ports import OUT
from pipeflow.spec.shapes import Role, Shape
from pipeflow.values import replace

#: Code that is called with each item, as far as reading tells.
_CALLED = frozenset({Shape.FUNCTION, Shape.CLASS})
#: Operators that wait with an item in hand: all that share their process would wait with them.
_WAITING: Final = frozenset({"throttle", "delay"})


def fuse(plan: Plan) -> Plan:
    """The same plan with neighbouring one-to-one stages in one process, replica by replica."""
    fused = {edge.index for edge in plan.edges if _joins(edge, plan)}
    host = {worker.index: worker.index for worker in plan.workers}
    for edge in sorted(
        (plan.edges[number] for number in fused), key=lambda edge: plan.stages[edge.target].level
    ):
        pairs = zip(plan.workers_of(edge.source), plan.workers_of(edge.target), strict=True)
        for writer, reader in pairs:
            host[reader.index] = host[writer.index]
    chains: dict[int, list[str]] = {}
    for worker in plan.workers:
        if worker.replica == 0 and list(host.values()).count(host[worker.index]) > 1:
            chains.setdefault(host[worker.index], []).append(plan.stages[worker.stage].name)
    return replace(
        plan,
        edges=tuple(replace(edge, fused=edge.index in fused) for edge in plan.edges),
        workers=tuple(replace(worker, host=host[worker.index]) for worker in plan.workers),
        notes=(*plan.notes, *_notes(list(chains.values()), plan)),
    )


def _notes(chains: list[list[str]], plan: Plan) -> list[str]:
    if not chains:
        uneven = next((edge for edge in plan.edges if _could_join(edge, plan)), None)
        if uneven is None:
            return ["`--fuse` changes nothing: no two neighbours are one-to-one stages"]
        writer, reader = plan.stages[uneven.source], plan.stages[uneven.target]
        note = (
            f"`--fuse` changes nothing: '{writer.name}' and '{reader.name}' have {writer.replicas}"
            f" and {reader.replicas} replicas; neighbours share a process if they have equally many"
        )
        return [note]
    return [f"stages {listed(names)} run in one process (`--fuse`)" for names in chains]


def _joins(edge: EdgePlan, plan: Plan) -> bool:
    """Whether the stages at both ends of an edge may share a process."""
    writer, reader = plan.stages[edge.source], plan.stages[edge.target]
    return (
        _could_join(edge, plan)
        and writer.replicas == reader.replicas
        and edge.route in {Route.SINGLE, Route.ALIGNED}
    )


def _could_join(edge: EdgePlan, plan: Plan) -> bool:
    """Whether they might with other replicas."""
    writer, reader = plan.stages[edge.source], plan.stages[edge.target]
    return (
        _one_to_one(writer)
        and _one_to_one(reader)
        and edge.port == OUT
        and _edges_of(writer) == [edge.index]
        and edge.overflow is Overflow.BLOCK
        and _place(writer) == _place(reader)
    )


def _edges_of(stage: StagePlan) -> list[int]:
    """All edges that read it.

    Were one of several in its process, that reader would stand still while it waits for room on
    another, whose reader may wait for what comes by the first.
    """
    return [number for numbers in stage.edges_out.values() for number in numbers]


def _one_to_one(stage: StagePlan) -> bool:
    """Whether it is known to answer each item by itself, and is neither source nor sink.

    One whose failures must not take others along stays by itself.
    """
    return (
        stage.role is Role.OPERATOR
        and stage.join is Join.MERGE
        and len(stage.edges_in) == 1
        and stage.shape in _CALLED
        and not stage.keeps_state
        and stage.batch is None
        and stage.operator not in _WAITING
        and not stage.isolated
    )


def _place(stage: StagePlan) -> tuple[object, ...]:
    """What a process can have but one of."""
    # Two folders may each hold a module of one name.
    folder = stage.home.folder if stage.home else ""
    own = (stage.cpus, stage.gpus, stage.threads, stage.memory, stage.spin)
    return (dict(stage.env), *own, folder)

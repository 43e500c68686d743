"""``replicas`` and ``partition``: how many workers a stage has, and which items each gets."""

from __future__ import annotations

from pipeflow.config.cursor import Cursor
from pipeflow.config.expressions import check_expression
from pipeflow.config.nodes import Map, Node, Scalar
from pipeflow.errors import Location
from pipeflow.spec.pipeline import Stage, Use
from pipeflow.spec.policies import Balance, Broadcast, ByKey, Partition
from pipeflow.spec.program import Program, ProgramMode
from pipeflow.values import replace


def read_replicas(node: Node | None) -> int | None:
    """How many; 1 when left out or wrong, ``None`` for ``auto``."""
    match node:
        case Scalar(value=bool()):
            return 1
        case Scalar(value=int() | float() as count):
            return int(count)
        case Scalar(value="auto"):
            return None
        case _:
            return 1


def with_partition(cursor: Cursor, stage: Stage) -> Stage:
    """The stage with what it says of how items spread."""
    node = cursor.get("partition")
    if node is None:
        return stage
    partition: Partition = Balance()
    match node:
        case Map():
            key = cursor.at(node, "partition").get("key")
            if isinstance(key, Scalar):
                partition = ByKey(_expression(cursor, key))
        case Scalar(value="broadcast"):
            partition = Broadcast()
        case _:
            pass
    return replace(stage, partition=partition, partition_at=node.at)


def with_replicas(
    cursor: Cursor, stage: Stage, default: int | None, default_at: Location | None
) -> Stage:
    """The stage with its own number of replicas, or that of ``defaults`` if it can have several.

    Args:
        cursor: The stage's mapping.
        stage: The stage so far.
        default: What ``defaults`` says; ``None`` is ``auto``.
        default_at: Where it says so; ``None``: it says nothing.
    """
    node = cursor.get("replicas")
    if node is not None:
        return replace(
            stage, replicas=read_replicas(node), replicas_at=node.at, replicas_given=True
        )
    if default_at is None or cursor.tried("replicas") or not _can_have_replicas(stage):
        return stage
    return replace(stage, replicas=default, replicas_at=default_at)


def _can_have_replicas(stage: Stage) -> bool:
    if not stage.edges:
        return False
    if isinstance(stage.work, Program):
        return stage.work.mode is not ProgramMode.STREAM
    if isinstance(stage.work, Use):
        single, keeps = stage.work.operator.single, stage.work.operator.keeps_state
    else:
        single, keeps = False, stage.work.facts.keeps_state
    return not single and not (keeps and isinstance(stage.partition, Balance))


def _expression(cursor: Cursor, key: Scalar) -> str:
    problem = check_expression("key", key)
    if problem is not None:
        cursor.findings.add(*problem)
    return str(key.value)

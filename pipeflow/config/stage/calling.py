"""``batch`` and ``concurrency``: how many items a stage's function has in hand at a time."""

from __future__ import annotations

import re
from typing import Final

from pipeflow.config.cursor import Cursor
from pipeflow.config.nodes import Map, Scalar
from pipeflow.config.problem import Problem
from pipeflow.errors import Severity
from pipeflow.spec.pipeline import Call, Stage, Use
from pipeflow.spec.policies import DEFAULT_CONCURRENCY, Batching
from pipeflow.spec.program import Program
from pipeflow.spec.shapes import Role, Shape
from pipeflow.values import replace

#: Annotations of what stream functions take, and no item is.
_ITERATOR: Final = re.compile(r"([a-z.]*\.)?(Async)?Iterator\b")


def with_calling(cursor: Cursor, stage: Stage) -> Stage:
    """The stage with what it says of batches and of items in flight; misfits are findings."""
    _judge_async(cursor, stage)
    _doubt_undecorated(cursor, stage)
    concurrency = _concurrency(cursor, stage)
    return replace(stage, batch=_batch(cursor, stage), concurrency=concurrency)


def _batch(cursor: Cursor, stage: Stage) -> Batching | None:
    node, entry = cursor.get("batch"), cursor.node.entry("batch")
    if node is None or entry is None:
        return None
    why = _has_no_lists(stage)
    if why:
        cursor.findings.error(
            entry,
            "bad-batch",
            f"{why}, so there are no batches",
            "leave 'batch' out; a function of your own that has inputs may get its items in lists",
        )
        return None
    if isinstance(node, Scalar):
        size = cursor.integer("batch")
        return None if size is None else Batching(size=size)
    assert isinstance(node, Map)
    inner = cursor.at(node, "batch")
    size, wait_s = inner.integer("size"), inner.duration("wait")
    stack = inner.boolean("stack", default=False)
    return None if size is None else Batching(size=size, wait_s=wait_s, stack=stack)


def _has_no_lists(stage: Stage) -> str:
    """Why a stage's code cannot get its items in lists; empty if it can, or is not known."""
    match stage.work:
        case Use(operator=operator) if operator.role is Role.SOURCE:
            return f"operator '{operator.name}' is a source and takes no items"
        case Use(operator=operator):
            return f"operator '{operator.name}' takes its items one by one"
        case Program() | Call(module=""):
            return ""  # what does not go with a program is told with it
        case Call(facts=facts) if facts.shape is Shape.STREAM:
            return "a stream function takes the whole stream"
        case _:
            return "" if stage.edges else "a source takes no items"


def _concurrency(cursor: Cursor, stage: Stage) -> int:
    number, entry = cursor.integer("concurrency"), cursor.node.entry("concurrency")
    if number is None or entry is None:
        return DEFAULT_CONCURRENCY
    why = _has_one_in_flight(stage)
    if why:
        cursor.findings.error(
            entry,
            "bad-concurrency",
            f"{why}, so no more than one item is in flight",
            "write it as 'async def', or let 'replicas' work at the same time",
        )
    return number


def _has_one_in_flight(stage: Stage) -> str:
    """Why a stage's worker has one item at a time; empty if it has more, or is not known."""
    match stage.work:
        case Use(operator=operator):
            return f"operator '{operator.name}' is no 'async def' function"
        case Program() | Call(module=""):
            return ""
        case _ if not stage.edges:
            return "a source gives one item after the other"
        case Call(facts=facts) if facts.shape is Shape.STREAM:
            return "a stream function takes one item after the other"
        case Call(facts=facts, attribute=attribute):
            known = facts.shape is not Shape.UNKNOWN and not facts.is_async
            return f"'{facts.name or attribute}' is no 'async def' function" if known else ""


def _judge_async(cursor: Cursor, stage: Stage) -> None:
    """A stream function pulls its items: there is nothing to await them with."""
    call = cursor.get("call")
    if call is None or not isinstance(stage.work, Call):
        return
    facts = stage.work.facts
    if facts.shape is Shape.STREAM and facts.is_async:
        cursor.findings.error(
            call,
            "async-stream",
            f"'{facts.name or stage.work.attribute}' is a stream function, and those are no "
            "'async def'",
            "take '@pipeflow.stream' off: an 'async def' function is called with each item, many "
            "at once",
        )


def _doubt_undecorated(cursor: Cursor, stage: Stage) -> None:
    """A function that is annotated as a stream function, and is not said to be one."""
    call = cursor.get("call")
    if call is None or not isinstance(stage.work, Call) or not stage.edges:
        return
    facts = stage.work.facts
    first = next(iter(facts.parameters), None)
    if facts.shape is Shape.GENERATOR and first and _ITERATOR.match(first.annotation):
        doubt = Problem(
            code="undecorated-stream",
            problem=f"'{facts.name or stage.work.attribute}' takes an iterator, and is called with "
            "each item by itself",
            hint="if it goes through the whole stream, write '@pipeflow.stream' above it",
            severity=Severity.WARNING,
        )
        cursor.findings.add(doubt, call.at, call.length)

"""``on_error``: from one word, or a mapping, to a policy; and what a kind of stage makes of it."""

from __future__ import annotations

from pipeflow.config.cursor import Cursor
from pipeflow.config.nodes import Node, Scalar
from pipeflow.config.stage.whole_stream import operator_without_items, own_without_items
from pipeflow.errors import Location
from pipeflow.spec.language import ERROR_POLICY
from pipeflow.spec.pipeline import Stage
from pipeflow.spec.policies import DEFAULT_BACKOFF_S, Budget, ErrorPolicy, OnError
from pipeflow.spec.program import Program
from pipeflow.values import replace


def read_policy(cursor: Cursor) -> ErrorPolicy | None:
    """What ``on_error`` of a stage or of ``defaults`` says; ``None`` if it says nothing."""
    node = cursor.get("on_error")
    if node is None:
        return None
    inner = cursor.inner("on_error")
    if inner is None:
        return ErrorPolicy(then=OnError(cursor.text("on_error")))
    then = OnError(inner.text("then") or OnError.STOP.value)
    backoff_s = inner.duration("backoff")
    return ErrorPolicy(
        then=then,
        retries=inner.integer("retries") or 0,
        backoff_s=DEFAULT_BACKOFF_S if backoff_s is None else backoff_s,
        budget=_budget(inner, then),
    )


def place_of_policy(cursor: Cursor) -> Location | None:
    """Where ``on_error`` stands: a word at the word, a mapping at its key."""
    node, entry = cursor.get("on_error"), cursor.node.entry("on_error")
    if node is None or entry is None:
        return None
    return node.at if isinstance(node, Scalar) else entry.key_at


def with_on_error(
    cursor: Cursor, stage: Stage, default: ErrorPolicy | None, default_at: Location | None
) -> Stage:
    """The stage with its own policy, or that of ``defaults`` as far as it can have it.

    Args:
        cursor: The stage's mapping.
        stage: The stage so far.
        default: What ``defaults`` says, if anything.
        default_at: Where it says so.
    """
    at, only_stop = place_of_policy(cursor), own_without_items(stage, "a source of your own")
    if at is not None:
        return replace(stage, on_error=_judged(cursor, stage, only_stop), on_error_at=at)
    if default is None or only_stop:
        return stage
    return replace(stage, on_error=_fitting(default, stage), on_error_at=default_at or stage.at)


def _judged(cursor: Cursor, stage: Stage, only_stop: str) -> ErrorPolicy:
    """What a stage says of itself, as far as it can have it; the rest is a finding.

    Args:
        cursor: The stage's mapping; it has ``on_error``.
        stage: The stage so far.
        only_stop: Why it knows only ``stop``; empty if it knows more.
    """
    policy, node = read_policy(cursor), cursor.get("on_error")
    assert policy is not None
    assert node is not None
    inner = cursor.inner("on_error")
    if only_stop and policy.then is not OnError.STOP:
        then = (inner.get("then") if inner else None) or node
        cursor.findings.error(
            then,
            "bad-on-error",
            f"{only_stop} knows only 'on_error: stop', got '{policy.then.value}'",
            "catch the error inside the function, or do the risky part in a stage of its own"
            if not isinstance(stage.work, Program)
            else "mode: item or each tell which item failed; of a whole stream nobody can",
        )
    why = only_stop or operator_without_items(stage)
    retries = inner.node.entry("retries") if inner else None
    if why and policy.retries and retries is not None:
        cursor.findings.error(
            retries,
            "bad-on-error",
            f"{why} has no single items that could be tried again, so no 'retries'",
            "leave 'retries' out, or do the risky part in a stage of its own",
        )
    return _fitting(policy, stage)


def _fitting(policy: ErrorPolicy, stage: Stage) -> ErrorPolicy:
    """The part of a policy that a stage can have."""
    return replace(policy, retries=0) if operator_without_items(stage) else policy


def _budget(cursor: Cursor, then: OnError) -> Budget | None:
    node, entry = cursor.get("budget"), cursor.node.entry("budget")
    if node is None or entry is None:
        return None
    if then is OnError.STOP and not cursor.unread("then", ERROR_POLICY):
        cursor.findings.error(
            entry,
            "bad-on-error",
            "a budget bounds the items that are given up, and with 'then: stop' none is",
            "add 'then: skip' or 'then: dead_letter'",
        )
        return None
    budget = _amount(node)
    if budget is None:
        cursor.findings.error(
            node, "out-of-range", "'budget' must be at most 100%", "budget: 1%, or a number"
        )
    return budget if then is not OnError.STOP else None


def _amount(node: Node) -> Budget | None:
    """A number of items, or a percentage; ``None`` above 100 %."""
    assert isinstance(node, Scalar)
    if isinstance(node.value, str):
        amount = float(node.value.removesuffix("%"))
        return Budget(amount, percent=True) if amount <= 100 else None
    assert isinstance(node.value, int | float)
    return Budget(int(node.value))

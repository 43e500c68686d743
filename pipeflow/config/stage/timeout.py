"""``timeout``: how long an item may take, and what a kind of stage makes of it."""

from __future__ import annotations

from pipeflow.config.cursor import Cursor
from pipeflow.config.stage.whole_stream import operator_without_items, own_without_items
from pipeflow.spec.pipeline import Stage


def read_timeout(cursor: Cursor) -> float | None:
    """What ``timeout`` of a stage or of ``defaults`` says, in seconds; ``None``: nothing."""
    seconds, node = cursor.duration("timeout"), cursor.get("timeout")
    if seconds is None or node is None:
        return None
    if seconds <= 0:
        cursor.findings.error(
            node, "out-of-range", "'timeout' must be longer than 0s", "timeout: 30s"
        )
        return None
    return seconds


def timeout_of(cursor: Cursor, stage: Stage, default: float | None) -> float | None:
    """The bound that holds for a stage: its own, or that of ``defaults`` if it can have one.

    Args:
        cursor: The stage's mapping.
        stage: The stage so far.
        default: What ``defaults`` says.
    """
    own = read_timeout(cursor)
    why = operator_without_items(stage) or own_without_items(stage, "a source")
    entry = cursor.node.entry("timeout")
    if own is not None and why and entry is not None:
        cursor.findings.error(
            entry,
            "bad-timeout",
            f"{why} is not called with single items, so none of them can be timed",
            "leave 'timeout' out, or do what may take too long in a stage of its own",
        )
    if why:
        return None
    return default if own is None and entry is None else own

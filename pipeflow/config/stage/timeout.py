"""``timeout``: how long an item may take, and which stages have single items to be timed."""

from __future__ import annotations

from pipeflow.config.cursor import Cursor
from pipeflow.spec.pipeline import Stage, Use
from pipeflow.spec.program import Program, ProgramMode
from pipeflow.spec.stage_type import Role, Shape


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
    own, why = read_timeout(cursor), _has_no_items(stage)
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


def _has_no_items(stage: Stage) -> str:
    """Why no single item of a stage can be timed; empty if it can."""
    if isinstance(stage.work, Use):
        operator = stage.work.operator
        if operator.role is Role.SOURCE:
            return f"'{operator.name}' is a source: it"
        if operator.shape is Shape.STREAM:
            return f"'{operator.name}' takes the whole stream: it"
        return ""
    if isinstance(stage.work, Program):
        return "a program for the whole stream" if stage.work.mode is ProgramMode.STREAM else ""
    if stage.work.facts.shape is Shape.STREAM:
        return "a stream function"
    if not stage.work.module:
        return ""  # it is not known because of a mistake
    return "" if stage.edges else "a source"

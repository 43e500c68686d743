"""Which stages have no single items that could be timed or tried again: they see a whole stream."""

from __future__ import annotations

from pipeflow.spec.pipeline import Stage, Use
from pipeflow.spec.program import Program, ProgramMode
from pipeflow.spec.shapes import Role, Shape


def operator_without_items(stage: Stage) -> str:
    """What the operator of a stage is, as the subject of a sentence; empty if it has items."""
    if not isinstance(stage.work, Use):
        return ""
    operator = stage.work.operator
    if operator.role is Role.SOURCE:
        return f"'{operator.name}' is a source: it"
    if operator.shape is Shape.STREAM:
        return f"'{operator.name}' takes the whole stream: it"
    return ""


def own_without_items(stage: Stage, source: str) -> str:
    """What the user's own code or program in a stage is, likewise.

    Args:
        stage: The stage.
        source: What a source is called.
    """
    if isinstance(stage.work, Use):
        return ""
    if isinstance(stage.work, Program):
        return "a program for the whole stream" if stage.work.mode is ProgramMode.STREAM else ""
    if not stage.work.module:
        return ""  # it is not known because of a mistake
    if stage.work.facts.shape is Shape.STREAM:
        return "a stream function"
    return "" if stage.edges else source

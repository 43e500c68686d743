"""null: takes items and does nothing."""

from __future__ import annotations

from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator


@operator(
    name="null",
    role=Role.SINK,
    summary="Takes every item and does nothing with it.",
    details="For measuring, and for ports that must be read but whose items nobody wants.",
    may_drop=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 1000

  nowhere:
    use: "null"
    inputs: numbers
""",
)
def null(item: object) -> None:
    """Do nothing."""

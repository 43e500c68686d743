"""map: an expression for each item."""

from __future__ import annotations

from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression


@operator(
    name="map",
    role=Role.OPERATOR,
    summary="Gives the value of an expression for each item.",
    details="An expression that gives `None` passes nothing on.",
    options=(
        Option(
            name="expr",
            types=(OptionType.EXPRESSION,),
            default=REQUIRED,
            description="What to pass on.",
            examples=("item * 2", 'item["name"].strip()'),
        ),
    ),
    one_to_one=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 5

  squares:
    use: map
    inputs: numbers
    with:
      expr: "item * item"

  show:
    use: print
    inputs: squares
""",
)
class Map:
    """Holds the compiled expression."""

    def __init__(self, expr: Expression) -> None:
        self._expr = expr

    def __call__(self, item: Any) -> Any:
        return self._expr(item)

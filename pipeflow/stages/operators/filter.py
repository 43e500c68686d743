"""filter: passes on the items for which an expression holds."""

from __future__ import annotations

from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression


@operator(
    name="filter",
    role=Role.OPERATOR,
    summary="Passes on the items for which an expression is true.",
    options=(
        Option(
            name="where",
            types=(OptionType.EXPRESSION,),
            default=REQUIRED,
            description="True, in Python's sense, for the items to keep.",
            examples=("item > 0", 'item["user"] == params.user'),
        ),
    ),
    one_to_one=True,
    may_drop=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 10

  even:
    use: filter
    inputs: numbers
    with:
      where: "item % 2 == 0"

  show:
    use: print
    inputs: even
""",
)
class Filter:
    """Holds the compiled expression."""

    def __init__(self, where: Expression) -> None:
        self._where = where

    def __call__(self, item: Any) -> Any:
        return item if self._where(item) else None

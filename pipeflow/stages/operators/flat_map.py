"""flat_map: any number of results for each item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression
from pipeflow.stages.members import members_of


@operator(
    name="flat_map",
    role=Role.OPERATOR,
    summary="Gives any number of results for each item: the members of an expression's value.",
    details=(
        "The value is a list, a generator, a set, an array or anything else that can be gone "
        "through; each of its members is passed on as an item of its own, members that are `None` "
        "are not. `None` itself passes nothing on. A text or a mapping is refused: to pass on its "
        "characters or keys, write `list(...)`."
    ),
    options=(
        Option(
            name="expr",
            types=(OptionType.EXPRESSION,),
            default=REQUIRED,
            description="What to go through.",
            examples=("item.split()", 'item["tags"]', '(row for row in item if row["ok"])'),
        ),
    ),
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 3

  letters:
    use: flat_map
    inputs: numbers
    with:
      expr: '["a", "b", "c"][item:]'

  show:
    use: print
    inputs: letters
""",
)
class FlatMap:
    """Holds the compiled expression."""

    def __init__(self, expr: Expression) -> None:
        self._expr = expr

    def __call__(self, item: Any) -> Iterator[Any] | None:
        return members_of(self._expr(item))

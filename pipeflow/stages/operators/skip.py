"""skip: all but the first items."""

from __future__ import annotations

from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator


@operator(
    name="skip",
    role=Role.OPERATOR,
    summary="Leaves the first items out and passes on the rest.",
    options=(
        Option(
            name="n",
            types=(OptionType.INTEGER,),
            default=REQUIRED,
            description="How many to leave out.",
            unit="items",
            minimum=0,
            examples=(1,),
        ),
    ),
    keeps_state=True,
    one_to_one=True,
    may_drop=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 6

  later:
    use: skip
    inputs: numbers
    with:
      n: 3

  show:
    use: print
    inputs: later
""",
)
class Skip:
    """Counts down."""

    def __init__(self, n: int) -> None:
        self._left = n

    def __call__(self, item: Any) -> Any:
        if self._left:
            self._left -= 1
            return None
        return item

"""route: each item to the port whose expression holds for it."""

from __future__ import annotations

from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.ports import UNMATCHED
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression
from pipeflow.stages.work import Routed


@operator(
    name="route",
    role=Role.OPERATOR,
    summary="Sends each item to an output port: the first one whose expression is true.",
    details=(
        "The ports are read by their names: `inputs: by-size.small`. What no expression is true "
        "for leaves by `unmatched`, and goes no further if nobody reads that; a warning then says "
        "how many. There is no `out`."
    ),
    options=(
        Option(
            name="to",
            types=(OptionType.EXPRESSIONS,),
            default=REQUIRED,
            description=(
                "Name of a port to the expression that is true, in Python's sense, for its items; "
                "asked in this order."
            ),
            examples=({"small": "item < 10", "large": "item >= 1000"},),
        ),
    ),
    one_to_one=True,
    may_drop=True,
    ports=(UNMATCHED,),
    ports_by="to",
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 6

  kinds:
    use: route
    inputs: numbers
    with:
      to:
        small: "item < 2"
        even: "item % 2 == 0"

  show:
    use: print
    inputs: kinds.small

  odd:
    use: 'null'
    inputs: kinds.unmatched

  save:
    use: jsonl.write
    inputs: kinds.even
    with:
      path: out/even.jsonl
""",
)
class Route:
    """Holds the ports in their order."""

    def __init__(self, to: dict[str, Expression]) -> None:
        self._to = tuple(to.items())

    def __call__(self, item: Any) -> Routed:
        for port, holds in self._to:
            if holds(item):
                return Routed(port, item)
        return Routed(UNMATCHED, item)

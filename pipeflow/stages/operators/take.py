"""take: the first items, then an early end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.author import stream
from pipeflow.stages.declare import operator


@operator(
    name="take",
    role=Role.OPERATOR,
    summary="Passes on the first items, then ends: what only fed it ends too.",
    options=(
        Option(
            name="n",
            types=(OptionType.INTEGER,),
            default=REQUIRED,
            description="How many.",
            unit="items",
            minimum=0,
            examples=(10,),
        ),
    ),
    keeps_state=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 1000000

  first:
    use: take
    inputs: numbers
    with:
      n: 3

  show:
    use: print
    inputs: first
""",
)
@stream
def take(items: Iterator[Any], n: int) -> Iterator[Any]:
    """The first ``n`` items. It never asks for one more, which might be long in coming."""
    if n == 0:
        return
    for number, item in enumerate(items, 1):
        yield item
        if number == n:
            return

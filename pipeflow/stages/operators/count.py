"""count: how many items there were."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression


@operator(
    name="count",
    role=Role.OPERATOR,
    summary="Counts the items, in all or by a value, and gives the result at the end.",
    details=(
        "Without `by` it gives one number. With it, one "
        '`{"value": ..., "count": ...}` for each value, in the order of first appearance. '
        "Of several replicas each gives its own."
    ),
    options=(
        Option(
            name="by",
            types=(OptionType.EXPRESSION,),
            default=None,
            description="The value to count by; it must be hashable, as text and numbers are.",
            examples=("item.suffix", 'item["user"]'),
        ),
    ),
    keeps_state=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 10

  count:
    use: count
    inputs: numbers
    with:
      by: '"even" if item % 2 == 0 else "odd"'

  show:
    use: print
    inputs: count
""",
)
class Count:
    """Keeps one number for each value."""

    def __init__(self, by: Expression | None) -> None:
        self._by = by
        self._all = 0
        self._counts: dict[Hashable, int] = {}

    def __call__(self, item: Any) -> None:
        if self._by is None:
            self._all += 1
        else:
            value = self._by(item)
            self._counts[value] = self._counts.get(value, 0) + 1

    def finish(self) -> Iterator[Any]:
        """The counts."""
        if self._by is None:
            yield self._all
        for value, count in self._counts.items():
            yield {"value": value, "count": count}

"""top: the values that come most often, or whose sums are largest."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import Misuse
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression


def _judge(given: Mapping[str, object]) -> Sequence[Misuse]:
    """What is counted already has its values and its numbers."""
    if not given.get("counts") or (given.get("by") is None and given.get("value") is None):
        return []
    problem = "parameter 'counts' goes with neither 'by' nor 'value'"
    return [Misuse("counts", problem, "its items have both already: [value, how often]")]


@operator(
    name="top",
    role=Role.OPERATOR,
    summary="Counts equal items and gives those with the largest counts at the end.",
    details=(
        'Each result is `{"rank": 1, "value": ..., "count": ...}`, the largest first; ties go by '
        "the text of the value. Memory grows with the number of different values."
    ),
    options=(
        Option(
            name="n",
            types=(OptionType.INTEGER,),
            default=REQUIRED,
            description="How many results.",
            unit="items",
            minimum=1,
            examples=(20,),
        ),
        Option(
            name="by",
            types=(OptionType.EXPRESSION,),
            default=None,
            description="The value to count; the item itself when left out.",
            examples=('item["user"]',),
        ),
        Option(
            name="value",
            types=(OptionType.EXPRESSION,),
            default=None,
            description="A number to add up for each value, instead of 1 an item.",
            examples=('item["bytes"]',),
        ),
        Option(
            name="counts",
            types=(OptionType.BOOLEAN,),
            default=False,
            description=(
                "The items are counts already, as `Counter` makes them: mappings from value to "
                "number, which are added up. Goes with neither `by` nor `value`."
            ),
        ),
    ),
    keeps_state=True,
    judge=_judge,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 100

  digits:
    use: top
    inputs: numbers
    with:
      n: 3
      by: "item % 7"

  show:
    use: print
    inputs: digits
    with:
      format: table
""",
)
class Top:
    """Keeps a sum for each value."""

    def __init__(
        self, n: int, by: Expression | None, value: Expression | None, counts: bool
    ) -> None:
        self._n = n
        self._by = by
        self._value = value
        self._counts = counts
        self._sums: dict[Hashable, Any] = {}

    def __call__(self, item: Any) -> None:
        if self._counts:
            self._add_all(item)
            return
        # Both first: an item that fails must leave no trace.
        value = item if self._by is None else self._by(item)
        amount = 1 if self._value is None else self._value(item)
        self._sums[value] = self._sums.get(value, 0) + amount

    def finish(self) -> Iterator[dict[str, Any]]:
        """The largest, in order."""
        largest = heapq.nsmallest(self._n, self._sums.items(), key=_order)
        for rank, (value, total) in enumerate(largest, 1):
            yield {"rank": rank, "value": value, "count": total}

    def _add_all(self, counts: Any) -> None:
        if not isinstance(counts, Mapping):
            raise TypeError(
                f"with counts: true an item maps values to numbers, but this is "
                f"a {type(counts).__name__}"
            )
        sums = {value: self._sums.get(value, 0) + amount for value, amount in counts.items()}
        self._sums.update(sums)


def _order(entry: tuple[Hashable, Any]) -> tuple[Any, str, str]:
    """Largest first, then by the value's text, and by its type where 1 and "1" look alike."""
    value, total = entry
    return -total, str(value), type(value).__name__

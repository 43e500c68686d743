"""reduce: all items folded into one value."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterator
from typing import Any, Final

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression

#: What there is before the first item, if nothing is given.
_NOTHING: Final = object()


@operator(
    name="reduce",
    role=Role.OPERATOR,
    summary="Folds the items into one value, and gives it at the end.",
    details=(
        "`expr` is worked out for each item and gives the new `acc`. Without `start` the first "
        "item is the first `acc`, and of no items there is no result. With `by` there is one value "
        'for each key, given as `{"key": ..., "value": ...}` in the order of first appearance. '
        "Of several replicas each gives its own. For sums, means and the like `group` is plainer."
    ),
    options=(
        Option(
            name="expr",
            types=(OptionType.EXPRESSION,),
            default=REQUIRED,
            description="The new value: `acc` is the one so far.",
            names=("acc", "item"),
            examples=("acc + item", "max(acc, item)", '{**acc, item["name"]: item}'),
        ),
        Option(
            name="start",
            types=(OptionType.ANY,),
            default=None,
            description="The value before the first item; the first item itself when left out.",
            examples=(0, [], {}),
        ),
        Option(
            name="by",
            types=(OptionType.EXPRESSION,),
            default=None,
            description="Fold the items of each key by themselves; a key is hashable, as text is.",
            examples=('item["user"]',),
        ),
        Option(
            name="running",
            types=(OptionType.BOOLEAN,),
            default=False,
            description="Give the value after each item instead, with the item's id.",
        ),
    ),
    keeps_state=True,
    example="""
stages:
  numbers:
    use: range
    with:
      start: 1
      stop: 6

  product:
    use: reduce
    inputs: numbers
    with:
      expr: "acc * item"

  show:
    use: print
    inputs: product
""",
)
class Reduce:
    """Keeps one value for each key."""

    def __init__(self, expr: Expression, start: Any, by: Expression | None, running: bool) -> None:
        self._expr = expr
        self._start = _NOTHING if start is None else start
        self._by = by
        self._running = running
        self._values: dict[Hashable, Any] = {}
        if by is None and start is not None:
            self._values[None] = copy.deepcopy(start)

    def __call__(self, item: Any) -> Any:
        key = None if self._by is None else self._by(item)
        before = self._values.get(key, _NOTHING)
        if before is _NOTHING:
            before = copy.deepcopy(self._start) if self._start is not _NOTHING else _NOTHING
        value = item if before is _NOTHING else self._expr(before, item)
        self._values[key] = value
        return self._result(key, value) if self._running else None

    def finish(self) -> Iterator[Any]:
        """The value of each key."""
        if not self._running:
            for key, value in self._values.items():
                yield self._result(key, value)

    def _result(self, key: Hashable, value: Any) -> Any:
        return value if self._by is None else {"key": key, "value": value}

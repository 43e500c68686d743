"""batch: items in lists."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator


@operator(
    name="batch",
    role=Role.OPERATOR,
    summary="Gathers items in lists of one size; the last may be shorter.",
    details=(
        "A list that is full has the id of the item that filled it. To call a function of your own "
        "with many items at once no operator is needed: the stage's `batch` does that."
    ),
    options=(
        Option(
            name="size",
            types=(OptionType.INTEGER,),
            default=REQUIRED,
            description="Length of the lists.",
            unit="items",
            minimum=1,
            examples=(100,),
        ),
        Option(
            name="wait",
            types=(OptionType.DURATION,),
            default=None,
            description=(
                "Give a shorter list when so much time has passed since its first item came. "
                "Of several replicas each does so when its next item comes."
            ),
            examples=("500ms",),
        ),
    ),
    keeps_state=True,
    gives="list",
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 8

  threes:
    use: batch
    inputs: numbers
    with:
      size: 3

  show:
    use: print
    inputs: threes
""",
)
class Batch:
    """Keeps the list that is being filled.

    Attributes:
        timed: Whether it is to be woken.
        now: Seconds; never goes back.
    """

    now = staticmethod(time.monotonic)

    def __init__(self, size: int, wait: float | None) -> None:
        self._size = size
        self._wait = wait
        self._items: list[Any] = []
        self._until = 0.0
        self.timed = wait is not None

    def __call__(self, item: Any) -> list[Any] | None:
        items = self._items
        items.append(item)
        if len(items) >= self._size:
            return self._take()
        if self._wait is not None:
            if len(items) == 1:
                self._until = self.now() + self._wait
            elif self._until <= self.now():
                return self._take()
        return None

    def due(self) -> float | None:
        """When the list must leave, as ``now`` tells it; ``None``: there is none."""
        return self._until if self._items else None

    def tick(self) -> Iterator[list[Any]]:
        """The list, which is due."""
        yield self._take()

    def finish(self) -> Iterator[list[Any]]:
        """What is left."""
        if self._items:
            yield self._take()

    def _take(self) -> list[Any]:
        items, self._items = self._items, []
        return items

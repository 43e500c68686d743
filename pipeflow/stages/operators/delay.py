"""delay: items later than they came."""

from __future__ import annotations

import time as clock
from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression
from pipeflow.stages.seconds import PER_SECOND, microseconds
from pipeflow.stages.sources.waiting import rest


@operator(
    name="delay",
    role=Role.OPERATOR,
    summary="Waits with each item, and passes it on.",
    details=(
        "Without `time` it waits so long with every item, one after the other, as a slow stage "
        "would. With `time` each item leaves so long after the time that it bears, and at once "
        "when that has passed. When the run is drained (Ctrl-C) nothing waits any more."
    ),
    options=(
        Option(
            name="by",
            types=(OptionType.DURATION,),
            default=REQUIRED,
            description="How long.",
            examples=("500ms",),
        ),
        Option(
            name="time",
            types=(OptionType.EXPRESSION,),
            default=None,
            description="The time to count from, in seconds since 1970 or as a datetime.",
            examples=('item["time"]',),
        ),
    ),
    one_to_one=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 3

  later:
    use: delay
    inputs: numbers
    with:
      by: 10ms

  show:
    use: print
    inputs: later
""",
)
class Delay:
    """Keeps nothing.

    Attributes:
        now: Seconds since 1970.
        rest: Waits so many seconds.
    """

    now = staticmethod(clock.time)
    rest = staticmethod(rest)

    def __init__(self, by: float, time: Expression | None) -> None:
        self._by = by
        self._time = time

    def __call__(self, item: Any) -> Any:
        wait = self._by
        if self._time is not None:
            wait += microseconds(self._time(item)) / PER_SECOND - self.now()
        if wait > 0:
            self.rest(wait)
        return item

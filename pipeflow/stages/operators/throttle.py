"""throttle: so many items a second and no more."""

from __future__ import annotations

import time
from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.context import current
from pipeflow.stages.declare import operator
from pipeflow.stages.sources.waiting import rest


@operator(
    name="throttle",
    role=Role.OPERATOR,
    summary="Passes on so many items a second at most; what comes faster waits.",
    details=(
        "What waits fills the edges, and so makes those before it wait. Several replicas share the "
        "rate evenly. When the run is drained (Ctrl-C) nothing waits any more."
    ),
    options=(
        Option(
            name="rate",
            types=(OptionType.NUMBER,),
            default=REQUIRED,
            description="Items a second, more than 0; `0.1` is one in ten seconds.",
            unit="items per second",
            minimum=0.0001,
            examples=(100,),
        ),
        Option(
            name="burst",
            types=(OptionType.INTEGER,),
            default=1,
            description="How many may pass at once after a time in which fewer came.",
            unit="items",
            minimum=1,
            examples=(10,),
        ),
    ),
    one_to_one=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 5

  slowly:
    use: throttle
    inputs: numbers
    with:
      rate: 100

  show:
    use: print
    inputs: slowly
""",
)
class Throttle:
    """Knows when the next item would be due if none had ever been late.

    Attributes:
        now: Seconds; never goes back.
        rest: Waits so many seconds.
    """

    now = staticmethod(time.monotonic)
    rest = staticmethod(rest)

    def __init__(self, rate: float, burst: int) -> None:
        context = current()
        self._gap = (context.replicas if context else 1) / rate
        self._ahead = self._gap * (burst - 1)
        self._due = self.now() - self._ahead

    def __call__(self, item: Any) -> Any:
        wait = self._due - self.now()
        if wait > 0:
            self.rest(wait)
        self._due = max(self._due, self.now() - self._ahead) + self._gap
        return item

"""timer: a number each time an interval has passed."""

from __future__ import annotations

from collections.abc import Iterator

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.sources.waiting import ticks


@operator(
    name="timer",
    role=Role.SOURCE,
    gives="int",
    summary="Gives 0, 1, 2, ... one number each time an interval has passed.",
    details=(
        "The first number comes at once. The times are multiples of the interval from there on, so "
        "they do not drift; those that pass while the readers are busy are left out, not made up "
        "for. Ctrl-C ends it at once, in the middle of an interval too."
    ),
    options=(
        Option(
            name="every",
            types=(OptionType.DURATION,),
            default=REQUIRED,
            description="The interval; at least 1 ms.",
            minimum=0.001,
            examples=("500ms", "10s"),
        ),
        Option(
            name="count",
            types=(OptionType.INTEGER,),
            default=None,
            description="How many numbers to give; without it, numbers without end.",
            unit="items",
            minimum=0,
            examples=(10,),
        ),
    ),
    single=True,
    example="""
stages:
  tick:
    use: timer
    with:
      every: 10ms
      count: 3

  show:
    use: print
    inputs: tick
""",
)
class Timer:
    """Counts the intervals that it has kept to."""

    def __init__(self, every: float, count: int | None) -> None:
        self._every_s, self._count = every, count

    def __call__(self) -> Iterator[int]:
        return ticks(self._every_s, self._count)

    def total(self) -> int | None:
        """How many there will be."""
        return self._count

"""Operators of an example plug-in."""

from __future__ import annotations

from collections.abc import Iterator

from acme_things.things import thing
from pipeflow.plugins import REQUIRED, Option, OptionType, Role, operator

START = Option(
    name="start",
    types=(OptionType.INTEGER,),
    default=REQUIRED,
    description="The first number.",
    minimum=0,
    examples=(10,),
)


@operator(
    name="acme/countdown",
    role=Role.SOURCE,
    summary="Counts down to zero.",
    options=(START,),
    single=True,
    gives="int",
    example="""
stages:
  count:
    use: acme/countdown
    with:
      start: 3

  show:
    use: print
    inputs: count
""",
)
class Countdown:
    """Counts as it is asked."""

    def __init__(self, start: int) -> None:
        self._start = start

    def __call__(self) -> Iterator[int]:
        yield from range(self._start, -1, -1)


__all__ = ["Countdown", "thing"]

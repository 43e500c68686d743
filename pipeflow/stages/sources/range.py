"""range: whole numbers in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import Misuse
from pipeflow.stages.declare import operator


def _judge(given: Mapping[str, object]) -> Sequence[Misuse]:
    """It goes somewhere."""
    return (
        [Misuse("step", "parameter 'step' may not be 0", "1, or -1 to count down")]
        if given.get("step") == 0
        else []
    )


@operator(
    name="range",
    role=Role.SOURCE,
    gives="int",
    summary="Whole numbers from `start` to just before `stop`, as Python's `range`.",
    options=(
        Option(
            name="start",
            types=(OptionType.INTEGER,),
            default=0,
            description="The first number.",
        ),
        Option(
            name="stop",
            types=(OptionType.INTEGER,),
            default=REQUIRED,
            description="The end, itself not among the numbers.",
            examples=(10,),
        ),
        Option(
            name="step",
            types=(OptionType.INTEGER,),
            default=1,
            description="The distance between two numbers; negative to count down, never 0.",
        ),
    ),
    single=True,
    judge=_judge,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 5

  show:
    use: print
    inputs: numbers
""",
)
def numbers(start: int, stop: int, step: int) -> range:
    """The numbers; a ``range`` also tells how many there are."""
    return range(start, stop, step)

"""random: numbers or arrays drawn from a distribution, the same in every run with one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import Misuse
from pipeflow.stages.author import rng
from pipeflow.stages.declare import operator

if TYPE_CHECKING:
    import numpy as np

#: Numbers that are drawn at a time; one by one each costs a microsecond.
_DRAWN_AT_ONCE: Final = 1000


def _judge(given: Mapping[str, object]) -> Sequence[Misuse]:
    """There is something between the bounds, and what is whole has whole ones."""
    kind, low, high = given.get("kind", "uniform"), given.get("low", 0), given.get("high", 1)
    if wrong := _wrong_axis(given.get("shape")):
        return wrong
    if kind == "normal" or not (isinstance(low, int | float) and isinstance(high, int | float)):
        return []
    which = "high" if "high" in given else "low"
    if high < low or (high == low and kind == "uniform"):
        text = f"parameter 'high' is {high:g}, and 'low' {low:g}: nothing is between"
        return [Misuse(which, text, "'low' is less than 'high'")]
    if kind == "integer" and not (float(low).is_integer() and float(high).is_integer()):
        text = "parameters 'low' and 'high' of whole numbers are whole numbers"
        return [Misuse(which if float(low).is_integer() else "low", text, "low: 1, high: 6")]
    return []


@operator(
    name="random",
    role=Role.SOURCE,
    summary="Random numbers or arrays; a run with the same `--seed` gives the same ones.",
    details="They depend on the seed and the name of the stage, and not on the executor.",
    options=(
        Option(
            name="count",
            types=(OptionType.INTEGER,),
            default=None,
            description="How many items to give; without it, items without end.",
            unit="items",
            minimum=0,
            examples=(1000,),
        ),
        Option(
            name="kind",
            types=(OptionType.STRING,),
            default="uniform",
            description="What to draw from.",
            choices=("uniform", "normal", "integer"),
            choice_docs=(
                "numbers from `low` to just below `high`, all as likely",
                "the bell curve around `mean`, as wide as `deviation`",
                "whole numbers from `low` to `high`, both among them",
            ),
        ),
        Option(
            name="low",
            types=(OptionType.NUMBER,),
            default=0,
            description="The least number, of `uniform` and `integer`.",
        ),
        Option(
            name="high",
            types=(OptionType.NUMBER,),
            default=1,
            description="The greatest number, of `uniform` and `integer`.",
        ),
        Option(
            name="mean",
            types=(OptionType.NUMBER,),
            default=0,
            description="The middle of `normal`.",
        ),
        Option(
            name="deviation",
            types=(OptionType.NUMBER,),
            default=1,
            description="The standard deviation of `normal`.",
            minimum=0,
        ),
        Option(
            name="shape",
            types=(OptionType.LIST,),
            default=None,
            description="Give numpy arrays of this shape, slowest axis first, and not numbers.",
            examples=([480, 640],),
        ),
    ),
    single=True,
    judge=_judge,
    example="""
stages:
  dice:
    use: random
    with:
      kind: integer
      low: 1
      high: 6
      count: 4

  show:
    use: print
    inputs: dice
""",
)
class Random:
    """Draws from one generator, which is made before the first item."""

    def __init__(
        self,
        count: int | None,
        kind: str,
        low: float,
        high: float,
        mean: float,
        deviation: float,
        shape: list[Any] | None,
    ) -> None:
        self._count, self._kind = count, kind
        self._low, self._high, self._mean, self._deviation = low, high, mean, deviation
        self._shape = None if shape is None else tuple(shape)

    def __call__(self) -> Iterator[Any]:
        draw = self._drawer(rng())
        left = self._count
        at_once = _DRAWN_AT_ONCE if self._shape is None else 1
        while left is None or left > 0:
            drawn = at_once if left is None else min(at_once, left)
            if self._shape is None:
                yield from draw((drawn,)).tolist()
            else:
                yield draw(self._shape)
            left = None if left is None else left - drawn

    def total(self) -> int | None:
        """How many there will be."""
        return self._count

    def _drawer(
        self, generator: np.random.Generator
    ) -> Callable[[tuple[int, ...]], np.ndarray[Any, Any]]:
        match self._kind:
            case "normal":
                return lambda shape: generator.normal(self._mean, self._deviation, shape)
            case "integer":
                low, high = int(self._low), int(self._high)
                return lambda shape: generator.integers(low, high, shape, endpoint=True)
            case _:
                return lambda shape: generator.uniform(self._low, self._high, shape)


def _wrong_axis(shape: object) -> list[Misuse]:
    for length in shape if isinstance(shape, list) else ():
        if not isinstance(length, int) or isinstance(length, bool) or length < 0:
            text = f"parameter 'shape' is a list of whole numbers, and has {length!r}"
            return [Misuse("shape", text, "shape: [480, 640]")]
    return []

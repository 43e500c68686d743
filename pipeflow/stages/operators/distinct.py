"""distinct: each value once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression


@operator(
    name="distinct",
    role=Role.OPERATOR,
    summary="Passes on the first item of each value, and none of its repetitions.",
    details=(
        "Items are compared as a whole, or by `by`; mappings and lists too, by what is in them. "
        "Memory grows with the number of different values, unless `within` bounds it."
    ),
    options=(
        Option(
            name="by",
            types=(OptionType.EXPRESSION,),
            default=None,
            description="The value to compare; the whole item when left out.",
            examples=('item["id"]', '(item["user"], item["day"])'),
        ),
        Option(
            name="within",
            types=(OptionType.INTEGER,),
            default=None,
            description=(
                "How many different values to remember: those seen last. What comes again after so "
                "many others passes once more. All are remembered when left out."
            ),
            unit="values",
            minimum=1,
            examples=(100000,),
        ),
    ),
    keeps_state=True,
    one_to_one=True,
    may_drop=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 10

  remainders:
    use: distinct
    inputs: numbers
    with:
      by: "item % 4"

  show:
    use: print
    inputs: remainders
""",
)
class Distinct:
    """Remembers what was seen; the order of the dict is that of the last sight."""

    def __init__(self, by: Expression | None, within: int | None) -> None:
        self._by = by
        self._within = within
        self._seen: dict[Hashable, None] = {}

    def __call__(self, item: Any) -> Any:
        value = item if self._by is None else self._by(item)
        key = as_key(value)
        seen = self._seen
        if self._within is None:
            before = len(seen)
            seen[key] = None
            return item if len(seen) > before else None
        known = key in seen
        if known:
            del seen[key]
        elif len(seen) == self._within:
            del seen[next(iter(seen))]
        seen[key] = None
        return None if known else item


def as_key(value: Any) -> Hashable:
    """Something that can be looked up, equal where the values are.

    Raises:
        TypeError: The value is neither hashable nor made of mappings, lists and sets of what is.
    """
    match value:
        case str() | int():  # nearly all keys
            return value
        case Mapping():
            return (dict, frozenset((name, as_key(each)) for name, each in value.items()))
        case list():
            return (list, *map(as_key, value))
        case tuple():
            return tuple(map(as_key, value))
        case set():
            return frozenset(value)
        case _:
            pass
    try:
        hash(value)
    except TypeError:
        raise TypeError(
            f"a value of type {type(value).__name__} cannot be compared with what came before; "
            "give `by` an expression for a text, a number, or a tuple or list of these"
        ) from None
    key: Hashable = value
    return key

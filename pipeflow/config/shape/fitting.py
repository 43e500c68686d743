"""A value that would fit a setting, for the hint below one that does not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from pipeflow.spec.options import Option, OptionType

_NUMBERS: Final = frozenset({OptionType.INTEGER, OptionType.NUMBER})

#: For options without an example of their own.
_EXAMPLES: Final[Mapping[OptionType, object]] = {
    OptionType.EXPRESSION: """'item["id"]'""",
    OptionType.EXPRESSIONS: {"name": """'item["id"]'"""},
    OptionType.PATH: "data/file",
}


def fitting(option: Option, value: object) -> str:
    """``replicas: 1``, as near to the value that does not fit as is known; may be empty.

    Args:
        option: The setting.
        value: What stands there.
    """
    found = next(_candidates(option, value), None)
    return "" if found is None else f"{option.name}: {_spelled(found)}"


def _candidates(option: Option, value: object) -> Iterator[object]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if option.minimum is not None and value < option.minimum:
            yield _whole(option.minimum)
        if option.maximum is not None and value > option.maximum:
            yield _whole(option.maximum)
    yield from (one for one in option.examples if isinstance(one, str | int | float))
    if isinstance(option.default, str | int | float):
        yield option.default
    yield from option.choices
    if _NUMBERS.intersection(option.types):
        yield 1 if option.minimum is None else max(1, _whole(option.minimum))
    if OptionType.BOOLEAN in option.types:
        yield True
    yield from option.examples
    yield from (example for kind, example in _EXAMPLES.items() if kind in option.types)


def _whole(bound: float) -> float:
    return int(bound) if float(bound).is_integer() else bound


def _spelled(value: object) -> str:
    match value:
        case str():
            return value
        case list() | tuple():
            return f"[{', '.join(map(_spelled, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}: {_spelled(each)}' for key, each in value.items())}}}"
        case _:
            return json.dumps(value)

"""Comparing: what came, held against what a test expects; pure but for the user's ``each``.

Items are compared as they would stand in a file: paths, dates and enumerations as text, arrays,
tuples and sets as lists, dataclasses as mappings.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pipeflow.errors import Location
from pipeflow.spec.pipeline import Expected
from pipeflow.stages.expression import compile_expression
from pipeflow.stages.rendering import json_text
from pipeflow.values import dataclass

#: Lines of a difference that are shown.
_MOST_LINES: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that came otherwise than expected.

    Attributes:
        at: Where the file expects it.
        length: How many characters to underline.
        problem: What is wrong, on one line.
        lines: What more there is to see: ``-`` was expected, ``+`` came.
    """

    at: Location
    length: int = 1
    problem: str
    lines: tuple[str, ...] = ()


def as_written(item: object) -> Any:
    """An item as it would stand in a file."""
    return json.loads(json_text(item, lenient=True))


def differences(
    expected: Expected, came: Sequence[object], parameters: Mapping[str, object], verb: str
) -> list[Difference]:
    """Hold what came against one expectation.

    Args:
        expected: What the file says.
        came: The items, in their order.
        parameters: ``params`` of the run, for ``each``.
        verb: How they came: ``"emitted"``, ``"was reached by"``.
    """
    written = [as_written(item) for item in came]
    if expected.items is not None:
        return list(_exact(expected, written, verb))
    return [
        *_count(expected, written, verb),
        *_contains(expected, written, verb),
        *_each(expected, came, parameters),
    ]


def same(one: Any, other: Any) -> bool:
    """Whether two values of a file are the same: ``1`` is ``1.0``, and not ``true``."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case (bool(), _) | (_, bool()):
            return one is other
        case float(), float() if math.isnan(one):
            return math.isnan(other)
        case _:
            return bool(one == other)


def _exact(expected: Expected, came: Sequence[Any], verb: str) -> Iterator[Difference]:
    wanted = [as_written(item) for item in expected.items or ()]
    if same(wanted, came):
        return
    if len(wanted) == len(came):
        number = sum(not same(*pair) for pair in zip(wanted, came, strict=True))
        verb_of_some = "is" if number == 1 else "are"
        problem = (
            f"'{expected.port}': {number} of {_items(len(came))} {verb_of_some} not as expected"
        )
    else:
        problem = f"'{expected.port}' {verb} {_items(len(came))}, expected {len(wanted)}"
    yield Difference(
        at=expected.value_at,
        length=expected.value_length,
        problem=problem,
        lines=_diff(wanted, came),
    )


def _count(expected: Expected, came: Sequence[Any], verb: str) -> Iterator[Difference]:
    if expected.count is not None and expected.count != len(came):
        yield Difference(
            at=_part(expected, "count"),
            length=len(str(expected.count)),
            problem=f"'{expected.port}' {verb} {_items(len(came))}, expected {expected.count}",
            lines=_shown(came),
        )


def _contains(expected: Expected, came: Sequence[Any], verb: str) -> Iterator[Difference]:
    left = list(came)
    missing = []
    for item in map(as_written, expected.contains):
        place = next((index for index, other in enumerate(left) if same(item, other)), None)
        if place is None:
            missing.append(item)
        else:
            del left[place]
    if missing:
        yield Difference(
            at=_part(expected, "contains"),
            problem=f"'{expected.port}' {verb} {_items(len(came))}, "
            f"and {_items(len(missing))} that should be among them did not come",
            lines=_cut([*(f"- {_line(item)}" for item in missing), *_shown(left)]),
        )


def _each(
    expected: Expected, came: Sequence[object], parameters: Mapping[str, object]
) -> Iterator[Difference]:
    if not expected.each:
        return
    holds = compile_expression(expected.each, parameters)
    lines, failed = [], 0
    for item in came:
        try:
            reason = "" if holds(item) else "does not hold for"
        except Exception as error:  # the expression is the user's code: a boundary
            reason = f"raised {type(error).__name__}: {error} for"
        if reason:
            failed += 1
            lines.append(f"{reason} {_line(as_written(item))}")
    if failed:
        yield Difference(
            at=_part(expected, "each"),
            length=len(expected.each),
            problem=f"'{expected.port}': 'each' does not hold for {failed} of {_items(len(came))}",
            lines=_cut(lines),
        )


def _part(expected: Expected, key: str) -> Location:
    return expected.part_at.get(key, expected.value_at)


def _diff(wanted: Sequence[Any], came: Sequence[Any]) -> tuple[str, ...]:
    """Item by item, one a line."""
    # ``1`` and ``1.0`` are the same here, so they must not differ as lines.
    left, right = ([_line(item) for item in items] for items in (wanted, came))
    for index, pair in enumerate(zip(wanted, came, strict=False)):
        if same(*pair):
            right[index] = left[index]
    lines = difflib.ndiff(left, right, linejunk=None, charjunk=None)
    return _cut([line for line in lines if not line.startswith("?")])


def _shown(came: Sequence[Any]) -> tuple[str, ...]:
    return _cut([f"+ {_line(item)}" for item in came])


def _cut(lines: Sequence[str]) -> tuple[str, ...]:
    if len(lines) <= _MOST_LINES:
        return tuple(lines)
    return (*lines[:_MOST_LINES], f"… and {len(lines) - _MOST_LINES} more lines")


def _line(item: Any) -> str:
    return json.dumps(item, ensure_ascii=False)


def _items(number: int) -> str:
    return f"{number} item" if number == 1 else f"{number} items"

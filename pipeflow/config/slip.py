"""Slip: a syntax error in our words, and which value to blank so that reading can go on."""

from __future__ import annotations

import re
from typing import Final

from pipeflow.config.lines import Lines
from pipeflow.errors import Finding
from pipeflow.values import dataclass

#: What may stand before a value on its line: dashes of lists, then a key.
_BEFORE_VALUE: Final = re.compile(
    r" *(?:- +)*(?:(?:\"[^\"]*\"|'[^']*'|[^\s\"'\[\]{}#&*!|>%@`:-][^\s:]*|-[^\s:]+) *: +|(?<=- ))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """A syntax error.

    Attributes:
        finding: What to tell people.
        value: Start and end, as indices, of a value that holds the whole slip; ``None`` when
            the slip reaches further than one value on one line.
    """

    finding: Finding
    value: tuple[int, int] | None = None


def rest_of_value(lines: Lines, index: int) -> tuple[int, int] | None:
    """The value on the line of ``index`` in which it lies, if the value ends on that line."""
    number = lines.number(index)
    line = lines.line(number)
    start = lines.start(number)
    before = _BEFORE_VALUE.match(line)
    if before is None or start + before.end() > index or before.end() >= len(line.rstrip()):
        return None
    value = line[before.end() :]
    # Brackets that close on another line would be torn apart.
    if value.count("{") != value.count("}") or value.count("[") != value.count("]"):
        return None
    return start + before.end(), start + len(line.rstrip())


def shortened(text: str, most: int = 60) -> str:
    """The beginning of a long text."""
    return text if len(text) <= most else text[: most - 3] + "..."

"""Slips of indentation: a key that stands neither beside its neighbours nor below its parent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pipeflow.config.lines import Lines, indentation
from pipeflow.config.slip import Slip, shortened
from pipeflow.errors import Finding

_KEY_ALONE: Final = re.compile(r" *(?:- +)*(?:\"[^\"]*\"|'[^']*'|[^\s:]+) *")
_NO_SPACE: Final = re.compile(r" *(?:- +)*([^\s:{}\[\]'\"#]+):(\S.*)")
_HAS_KEY: Final = re.compile(r" *(?:- +)*(?:\"[^\"]*\"|'[^']*'|[^\s#][^#]*?) *:(?:\s|$)")


def key_slip(lines: Lines, number: int, column: int) -> Slip | None:
    """What is wrong when the text before a ``:`` is a key that should not stand there.

    ``column``: of the colon, counted from 0. ``None`` when the colon lies inside a value.
    """
    line = lines.line(number)
    if not _KEY_ALONE.fullmatch(line[:column]):
        return None
    above = _line_above(lines, number)
    if above is None:
        return None
    text = lines.line(above)
    if not _HAS_KEY.match(text):
        return _not_a_key(lines, above, text)
    if indentation(text) == indentation(line):
        return None
    return _indented(lines, number, above)


def indent_slip(lines: Lines, number: int, problem: str) -> Slip | None:
    """What is wrong with a line that fits no level above it."""
    own = _margin(lines.line(number))
    for above in range(number - 1, 0, -1):
        text = lines.line(above)
        if _is_empty(text):
            continue
        if any(level == own for level, _ in _levels(lines, above)):
            break  # it stands at a level that there is: that is not what is wrong
        too_deep = "block mapping start" in problem and indentation(text) < own
        if too_deep or (_margin(text) != own and indentation(text) > own):
            return _indented(lines, number, above)
        break
    if "'-'" in problem or "'?'" in problem:
        at = lines.at(lines.start(number) + own)
        finding = Finding(
            at=at,
            code="list-beside-keys",
            problem='list items ("-") and keys stand at the same level',
            hint="indent the one that belongs to the other, or remove the dash",
        )
        return Slip(finding=finding)
    return None


def _indented(lines: Lines, number: int, neighbour: int) -> Slip:
    own = _margin(lines.line(number))
    levels = list(_levels(lines, neighbour))
    away = min(abs(level - own) for level, _ in levels)
    # Of two that are as near, the inner one comes first: a line is pushed out as often as in.
    (beside, line), *others = [one for one in levels if abs(one[0] - own) == away]
    # "key" or "keys": one line above may be all there is, but the plural is never wrong.
    problem = f"indented by {own}, but the keys beside it by {beside} (line {line})"
    hint = f"begin the line with {beside} spaces" if beside else "begin the line with the key"
    if others and others[0][0]:
        hint += f", or with {others[0][0]} as line {others[0][1]}"
    at = lines.at(lines.start(number) + own)
    return Slip(finding=Finding(at=at, code="indentation", problem=problem, hint=hint))


def _levels(lines: Lines, number: int) -> Iterator[tuple[int, int]]:
    """The indentation of a line and of those around it, inner ones first, each with its line."""
    level = indentation(lines.line(number))
    yield level, number
    for above in range(number - 1, 0, -1):
        text = lines.line(above)
        if not _is_empty(text) and indentation(text) < level:
            level = indentation(text)
            yield level, above


def _not_a_key(lines: Lines, number: int, text: str) -> Slip:
    start = lines.start(number)
    if found := _NO_SPACE.match(text):
        finding = Finding(
            at=lines.at(start + found.end(1)),
            code="missing-space",
            problem='missing space after ":"',
            hint=f"{found[1]}: {shortened(found[2].rstrip())}",
        )
        return Slip(finding=finding)
    word = text.strip()
    finding = Finding(
        at=lines.at(start + _margin(text)),
        code="missing-colon",
        problem=f'no ":" behind "{shortened(word)}"',
        hint="key: value",
        length=len(word),
    )
    return Slip(finding=finding)


def _line_above(lines: Lines, number: int) -> int | None:
    return next((n for n in range(number - 1, 0, -1) if not _is_empty(lines.line(n))), None)


def _is_empty(line: str) -> bool:
    stripped = line.strip()
    return not stripped or stripped.startswith("#")


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip(" "))

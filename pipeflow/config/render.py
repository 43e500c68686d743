"""Findings as people and programs read them: text with line and caret, or JSON."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

from pipeflow.errors import Finding, Location, Severity

#: Columns of a source line that are shown; the place of the finding is always among them.
_WIDEST: Final = 160

_TAB: Final = 4

_COMMENT: Final = re.compile(r"\s+#.*")

_BOLD: Final = "\x1b[1m"
_RED: Final = "\x1b[1;31m"
_YELLOW: Final = "\x1b[1;33m"
_CYAN: Final = "\x1b[36m"
_PLAIN: Final = "\x1b[0m"


def render_text(
    findings: Sequence[Finding],
    sources: Mapping[str, str],
    *,
    color: bool = False,
) -> str:
    """The findings, each with its line and a caret; ends in a line break unless there are none.

    Args:
        findings: In the order in which they are to be shown.
        sources: File name to its text.
        color: Whether escape sequences for colours may be used.
    """
    if not findings:
        return ""
    return "".join(_block(finding, sources, color=color) + "\n" for finding in findings)


def render_json(findings: Sequence[Finding]) -> str:
    """The findings as a JSON list; every one, in the order given."""
    return json.dumps([finding_json(finding) for finding in findings], indent=2) + "\n"


def finding_json(finding: Finding) -> dict[str, object]:
    """One finding, in the form that all commands give it."""
    return {
        "path": finding.at.file,
        "line": finding.at.line,
        "column": finding.at.column,
        "length": finding.length,
        "severity": finding.severity.value,
        "code": finding.code,
        "message": finding.problem,
        "hint": finding.hint,
        **_included(finding),
    }


def _included(finding: Finding) -> Mapping[str, object]:
    """The places that led to the finding's file, the nearest first; nothing for most findings."""
    places = [
        {"path": place.file, "line": place.line, "column": place.column}
        for place in finding.at.includes()
    ]
    return {"included": places} if places else {}


def visible(text: str) -> str:
    """The text with control and direction characters spelled out: no terminal obeys them."""
    return "".join(
        character if not _is_hidden(character) else _spelled(character) for character in text
    )


def _block(finding: Finding, sources: Mapping[str, str], *, color: bool) -> str:
    hue = _RED if finding.severity is Severity.ERROR else _YELLOW
    place = _painted(visible(str(finding.at)), _BOLD, color=color)
    label = _painted(f"{finding.severity.value}[{finding.code}]", hue, color=color)
    lines = [f"{place}: {label}: {visible(finding.problem)}"]
    lines += _excerpt(finding, sources.get(finding.at.file, ""), hue, color=color)
    if finding.hint:
        lines.append(f"  {_painted('hint', _CYAN, color=color)}: {visible(finding.hint)}")
    for at in finding.at.includes():
        line = _line_at(at, sources.get(at.file, ""))
        shown = f" | {_expanded(line)}" if line else ""
        lines.append(f"  included at {_painted(visible(str(at)), _BOLD, color=color)}{shown}")
    return "\n".join(lines)


def _line_at(at: Location, source: str) -> str:
    """The line of a place, as far as it is worth showing."""
    lines = source.split("\n")
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    return _COMMENT.sub("", line).strip()[:_WIDEST]


def _excerpt(finding: Finding, source: str, hue: str, *, color: bool) -> list[str]:
    """The line of a finding and a caret under it; nothing where the file has no such line."""
    lines = source.split("\n")
    number = finding.at.line
    if not source or not 1 <= number <= len(lines):
        return []
    line = lines[number - 1].rstrip("\r")
    if not line.strip():
        return []
    start = min(max(finding.at.column - 1, 0), len(line))
    before, under = line[:start], line[start : start + finding.length]
    cut = max(0, len(before) - _WIDEST // 2)
    dots = "..." if cut else ""
    shown = dots + line[cut : cut + _WIDEST].rstrip()
    gutter = f"{number:>5} | "
    pad = " " * (len(dots) + _width(before[cut:]))
    caret = "^" * max(1, min(_width(under), _WIDEST))
    return [
        gutter + _expanded(shown),
        " " * (len(gutter) - 2) + "| " + pad + _painted(caret, hue, color=color),
    ]


def _expanded(text: str) -> str:
    return "".join(" " * _TAB if character == "\t" else visible(character) for character in text)


def _width(text: str) -> int:
    """Terminal columns that a text takes, as ``_expanded`` shows it."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if character == "\t":
        return _TAB
    if _is_hidden(character):
        return len(_spelled(character))
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _is_hidden(character: str) -> bool:
    """Control characters, and those that turn the direction of text or cannot be encoded."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _spelled(character: str) -> str:
    point = ord(character)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"


def _painted(text: str, paint: str, *, color: bool) -> str:
    return f"{paint}{text}{_PLAIN}" if color else text

"""Updating: what came, written into the text of a file in place of what was expected; pure.

Only the characters of an expectation are touched: comments, layout and all else stay as they are.
``contains`` and ``each`` say what must hold, so they are left to their author.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml

from pipeflow.config.lines import Lines
from pipeflow.config.scalars import resolve
from pipeflow.errors import Location
from pipeflow.spec.pipeline import Expected
from pipeflow.testing.comparing import as_written, same
from pipeflow.values import dataclass

#: Columns that a list in brackets may reach.
_WIDEST: Final = 100

#: A text that is surely itself without quotes, in brackets too.
_PLAIN: Final = re.compile(r"[A-Za-z_/.][\w/.-]*( [\w/.-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Characters that others take the place of.

    Attributes:
        start: Index of the first.
        end: Index behind the last.
        text: What takes their place.
    """

    start: int
    end: int
    text: str


def updated(file: str, text: str, seen: Sequence[tuple[Expected, Sequence[object]]]) -> str:
    """The text of a file in which what came is expected.

    What stands in another file, or came in by a reference, is left as it is.

    Args:
        file: The file, as the places of expectations name it.
        text: What it holds.
        seen: Expectations that did not hold, each with what came.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        return text
    lines = Lines(file, text)
    edits = {
        edit.start: edit
        for expected, came in seen
        if expected.value_at.file == file
        for edit in _edits(expected, [as_written(item) for item in came], root, lines)
    }
    for start in sorted(edits, reverse=True):
        edit = edits[start]
        text = text[:start] + edit.text + text[edit.end :]
    return text


def _edits(expected: Expected, came: list[Any], root: yaml.Node, lines: Lines) -> Iterator[Edit]:
    if expected.items is not None:
        if not same(as_written(list(expected.items)), came):
            start = _index(expected.value_at, lines)
            found = _find(root, start, yaml.SequenceNode)
            if found is not None:
                yield _list_edit(expected, came, *found, lines)
    elif expected.count is not None and expected.count != len(came):
        start = _index(expected.part_at["count"], lines)
        found = _find(root, start, yaml.ScalarNode)
        if found is not None and found[0].value.isdecimal():
            yield Edit(start=start, end=found[0].end_mark.index, text=str(len(came)))


def _index(at: Location, lines: Lines) -> int:
    return lines.start(at.line) + at.column - 1


def _find(
    node: yaml.Node, start: int, kind: type[yaml.Node], *, braces: bool = False
) -> tuple[yaml.Node, bool] | None:
    """The node of a kind that begins there, and whether it lies in braces or brackets."""
    if isinstance(node, kind) and node.start_mark.index == start:
        return node, braces
    if isinstance(node, yaml.CollectionNode):
        inside = braces or bool(node.flow_style)
        for child in _children(node):
            found = _find(child, start, kind, braces=inside)
            if found is not None:
                return found
    return None


def _children(node: yaml.CollectionNode) -> Iterator[yaml.Node]:
    for child in node.value:
        if isinstance(node, yaml.MappingNode):
            yield from child
        else:
            yield child


def _list_edit(
    expected: Expected, came: list[Any], node: yaml.Node, braces: bool, lines: Lines
) -> Edit:
    """A list that was in brackets stays so while it fits on its line; a longer one is a column."""
    start, text = node.start_mark.index, lines.text
    end = _end(node, text)
    flow = f"[{', '.join(map(yaml_text, came))}]"
    column = node.start_mark.column
    if braces or not came:
        return Edit(start=start, end=end, text=flow)
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        return Edit(start=start, end=end, text=_column(came, column, text))
    if column + len(flow) <= _WIDEST and "\n" not in text[start:end]:
        return Edit(start=start, end=end, text=flow)
    before = text[:start].rstrip(" ")
    indent = expected.at.column + 1
    first = _line_end(text) + " " * indent
    return Edit(start=len(before), end=end, text=first + _column(came, indent, text))


def _column(came: list[Any], indent: int, text: str) -> str:
    return (_line_end(text) + " " * indent).join(f"- {yaml_text(item)}" for item in came)


def _line_end(text: str) -> str:
    """As the lines of the file end."""
    return "\r\n" if "\r\n" in text else "\n"


def _end(node: yaml.Node, text: str) -> int:
    """Where a node ends; a list in a column ends with its last item, not where the next begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        *_, last = _children(node)
        return _end(last, text)
    end: int = node.end_mark.index
    return len(text[:end].rstrip())


def yaml_text(value: Any) -> str:
    """A value on one line, such that it means the same when the file is read."""
    match value:
        case dict():
            pairs = (f"{_text(str(key))}: {yaml_text(each)}" for key, each in value.items())
            return "{" + ", ".join(pairs) + "}"
        case list():
            return "[" + ", ".join(map(yaml_text, value)) + "]"
        case str():
            # A ``$`` that begins a reference, or is doubled, is written twice.
            return _text(re.sub(r"\$(?=[{$])", "$$", value))
        case float() if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
            return ".nan" if value != value else (".inf" if value > 0 else "-.inf")  # noqa: PLR0124
        case _:
            return json.dumps(value)


def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and isinstance(resolve(value), str):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(char) for char in quoted)


def _escaped(char: str) -> str:
    """A character as YAML spells it; unlike JSON it has no halves of pairs."""
    number = ord(char)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

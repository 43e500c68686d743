"""Inserting: a further test in the text of a file, behind those that it has; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from pipeflow.errors import UsageError


def inserted(text: str, body: Sequence[str]) -> str:
    """The text with a test behind those that it has.

    Raises:
        UsageError: The file is written in braces, or its tests are.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise UsageError(
            "the file is written in braces: a test can be added to the block style only"
        )
    tests = next((value for key, value in root.value if key.value == "tests"), None)
    if tests is None:
        lines = ["", "tests:", *(f"  {line}" for line in body)]
        return text.rstrip() + end_of_line + "".join(line + end_of_line for line in lines)
    if isinstance(tests, yaml.MappingNode) and not tests.flow_style and tests.value:
        indent, last = tests.value[0][0].start_mark.column, tests.value[-1][1]
        place = _line_behind(text, _end(last, text))
    elif isinstance(tests, yaml.ScalarNode) and not tests.value:
        indent, place = 2, _line_behind(text, tests.start_mark.index)
    else:
        raise UsageError(
            "'tests' is written in braces: a test can be added to the block style only"
        )
    before, after = text[:place], text[place:]
    if not before.endswith("\n"):
        before += end_of_line
    added = "".join(" " * indent + line + end_of_line for line in body)
    # Tests that stand apart from each other stay so.
    apart = re.search(r"\n[ \t]*\r?\n", text[tests.start_mark.index : place].rstrip())
    return before + (end_of_line if apart else "") + added + after


def _end(node: yaml.Node, text: str) -> int:
    """Where a node ends: behind the last value in it, not where the next begins."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1], text)
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1], text)
    end: int = node.end_mark.index
    return len(text[:end].rstrip())


def _line_behind(text: str, index: int) -> int:
    """Where the line after a place begins."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1

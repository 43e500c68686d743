"""Python expressions in a pipeline file: their syntax, without ever running them."""

from __future__ import annotations

import warnings

from pipeflow.config.nodes import Scalar
from pipeflow.config.problem import Problem
from pipeflow.errors import Location


def check_expression(key: str, node: Scalar) -> tuple[Problem, Location, int] | None:
    """What is wrong with an expression, where, and for how many characters; ``None`` if nothing."""
    text = str(node.value) if isinstance(node.value, str) else node.text
    if node.comment and not node.quoted:
        whole = f"{text} {node.comment}"
        problem = Problem(
            code="cut-expression",
            problem=f"the expression of '{key}' ends before \" #\": "
            "the rest of the line was read as a comment",
            hint=f"{_quoted(key, whole)}, or without the comment {_quoted(key, text)}",
        )
        return problem, node.at, node.length
    if not text.strip():
        return (
            Problem(code="bad-expression", problem=f"the expression of '{key}' is empty"),
            node.at,
            node.length,
        )
    try:
        with warnings.catch_warnings():
            # "is" with a literal and the like: a doubt of Python's, shown when the stage loads.
            warnings.simplefilter("ignore")
            compile(text.strip(), "<expression>", "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return _syntax(key, node, text, error)
    return None


def _syntax(key: str, node: Scalar, text: str, error: Exception) -> tuple[Problem, Location, int]:
    reason = error.msg if isinstance(error, SyntaxError) and error.msg else str(error)
    hint = "it is Python over 'item', as in " + _quoted(key, 'item["user"] == 3')
    if "=" in text and "cannot assign" in reason:
        hint = "compare with '=='"
    problem = Problem(
        code="bad-expression",
        problem=f"the expression of '{key}' is no Python: {reason}",
        hint=hint,
    )
    at, length = node.at, node.length
    offset = error.offset if isinstance(error, SyntaxError) else None
    on_one_line = "\n" not in text and len(text) + 2 * node.quoted == node.length
    if offset and on_one_line and offset <= len(text):
        shift = offset - 1 + int(node.quoted) + (len(text) - len(text.lstrip()))
        at, length = Location(at.file, at.line, at.column + shift), 1
    return problem, at, length


def _quoted(key: str, text: str) -> str:
    """The line as it should be: single quotes, so that those of Python can stay double."""
    return f"{key}: '" + text.replace("'", "''") + "'"

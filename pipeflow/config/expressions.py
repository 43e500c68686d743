"""Python expressions in a pipeline file: their syntax, without ever running them."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Sequence
from typing import Final

from pipeflow.config.nodes import Scalar
from pipeflow.config.problem import Problem
from pipeflow.errors import Location, Severity
from pipeflow.suggest import did_you_mean
from pipeflow.values import replace

#: What an expression sees beside the builtins and what it is over.
NAMES: Final = ("params", "math", "re", "json", "datetime")
#: What most expressions are over.
ITEM: Final = ("item",)

#: How YAML and JSON write what Python writes otherwise.
_IN_YAML: Final = {"true": "True", "false": "False", "null": "None"}
_KNOWN: Final = frozenset({*NAMES, *dir(builtins)})
_REFERENCE: Final = re.compile(r"(?<!\$)\$\{[^{}]*\}")
_IN_PYTHON: Final = "an expression reads params.NAME; what else it needs comes by a param"


def check_expression(
    key: str, node: Scalar, over: Sequence[str] = ITEM
) -> tuple[Problem, Location, int] | None:
    """What is wrong with an expression, where, and for how many characters; ``None`` if nothing.

    Args:
        key: What it is the value of.
        node: The value.
        over: The names that it is over.
    """
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
            Problem(
                code="bad-expression",
                problem=f"the expression of '{key}' is empty",
                hint=f"Python over 'item', in quotes: {_quoted(key, 'item[0]')}",
            ),
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
    doubt = _doubt(key, text, over)
    return None if doubt is None else (doubt, node.at, node.length)


def _doubt(key: str, text: str, over: Sequence[str]) -> Problem | None:
    """What can hardly be meant, though Python takes it."""
    reference = _REFERENCE.search(text)
    if reference is not None:
        return Problem(
            code="reference-in-expression",
            problem=f"{reference[0]} is not filled in inside the expression of '{key}'",
            hint=_IN_PYTHON,
            severity=Severity.WARNING,
        )
    unknown = _first_unknown(text, over)
    if unknown is None:
        return None
    names = (*over, *NAMES)
    near = _IN_YAML.get(unknown.id) or did_you_mean(unknown.id, names)
    return Problem(
        code="unknown-name",
        problem=f"the expression of '{key}' names '{unknown.id}', which is not there",
        hint=(f"did you mean '{near}'? " if near else "")
        + f"there are {', '.join(names)} and the builtins",
        severity=Severity.WARNING,
    )


def _first_unknown(text: str, over: Sequence[str]) -> ast.Name | None:
    """The first name that is neither given to every expression nor made in this one."""
    inside = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    names = [one for one in inside if isinstance(one, ast.Name)]
    made = {one.id for one in names if isinstance(one.ctx, ast.Store)}
    made |= {one.arg for one in inside if isinstance(one, ast.arg)}
    unknown = [one for one in names if one.id not in made | _KNOWN.union(over)]
    return min(unknown, key=lambda one: (one.lineno, one.col_offset), default=None)


def _syntax(key: str, node: Scalar, text: str, error: Exception) -> tuple[Problem, Location, int]:
    reason = error.msg if isinstance(error, SyntaxError) and error.msg else str(error)
    hint = "it is Python over 'item', as in " + _quoted(key, 'item["user"] == 3')
    if "=" in text and "cannot assign" in reason:
        hint = "compare with '=='"
    elif _REFERENCE.search(text):
        hint = f"${{…}} is not filled in here: {_IN_PYTHON}"
    line = error.lineno if isinstance(error, SyntaxError) else None
    if line and "\n" in text.strip():
        reason += f", in its line {line}: {text.strip().splitlines()[line - 1].strip()}"
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
        at, length = replace(at, column=at.column + shift), 1
    return problem, at, length


def _quoted(key: str, text: str) -> str:
    """The line as it should be: single quotes, so that those of Python can stay double."""
    return f"{key}: '" + text.replace("'", "''") + "'"

"""EXPR: Python expressions over ``item``, compiled once and called for each item."""

from __future__ import annotations

import ast
import datetime as dt
import json
import linecache
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, Final

#: A compiled expression: takes the item, or whatever else it is said to be over.
Expression = Callable[..., Any]

FILENAME: Final = "<expression>"
#: What an expression sees beside ``item``, ``params`` and the builtins.
MODULES: Final[Mapping[str, object]] = {
    "math": math,
    "re": re,
    "json": json,
    "datetime": dt,
}


class Params:
    """The pipeline's ``params`` as an expression sees them: ``params.width``, ``params["width"]``.

    It has no methods of its own, so that a parameter may have any name.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = dict(values)

    def __getattr__(self, name: str) -> object:
        try:
            return self._values[name]
        except KeyError:
            known = ", ".join(sorted(self._values)) or "none"
            raise AttributeError(
                f"params has no {name!r}; the pipeline's params are: {known}"
                " (secret ones are kept from expressions: hand them over by `with`)"
            ) from None

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"params({self._values!r})"


def compile_expression(
    text: str, params: Mapping[str, object], over: Sequence[str] = ("item",)
) -> Expression:
    """Compile an expression into a function of the item.

    Args:
        text: The expression.
        params: The pipeline's ``params``.
        over: The names of what the function takes, in its order.

    Raises:
        SyntaxError: It is not one Python expression.
    """
    names = {**MODULES, "params": Params(params)}
    function: Expression = eval(_lambda(text, over), names)  # noqa: S307 - a pipeline file is a program
    return function


def _lambda(text: str, over: Sequence[str]) -> CodeType:
    """The code of ``lambda item: TEXT``, made from the tree: text could break out of brackets."""
    source = text.strip()
    try:
        # Compiled as it stands first, which refuses what only a function may hold, as ``yield``.
        compile(source, FILENAME, "eval")
        tree = ast.parse(source, FILENAME, "eval")
        taken = ast.arguments(
            posonlyargs=[],
            args=[ast.arg(name) for name in over],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        tree.body = ast.copy_location(ast.Lambda(args=taken, body=tree.body), tree.body)
        return compile(ast.fix_missing_locations(tree), _file_of(source), "eval")
    except ValueError as error:
        # Python 3.11 says so of a NUL character.
        raise SyntaxError(str(error)) from None


def _file_of(source: str) -> str:
    """A name that tracebacks find the expression by, so that they show what failed in it."""
    lines = [f"{line}\n" for line in source.splitlines()]  # without the ends carets go astray
    number, name = 1, FILENAME
    while (known := linecache.getlines(name)) and known != lines:
        number += 1
        name = f"<expression {number}>"
    # Without a time of change an entry is never compared with a file.
    linecache.cache[name] = (len(source), None, lines, name)
    return name

"""Where a module binds a name: definitions, assignments, imports, also under ``if`` and ``try``."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeAlias

from pipeflow.values import dataclass

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Binding:
    """One statement that binds a name.

    Attributes:
        name: The name.
        statement: What binds it.
        conditional: It stands under ``if``, ``try``, ``for``, ``while``, ``with`` or ``match``.
    """

    name: str
    statement: ast.stmt
    conditional: bool = False


def bindings(body: Iterable[ast.stmt], *, conditional: bool = False) -> Iterator[Binding]:
    """Every name bound at the level of a module or class, in the order of the file."""
    for statement in body:
        for name in _names(statement):
            yield Binding(name, statement, conditional)
        for inner in _inner_bodies(statement):
            yield from bindings(inner, conditional=True)


@lru_cache(maxsize=256)
def bound_in(tree: ast.Module) -> dict[str, tuple[Binding, ...]]:
    """All that a module binds: name to its bindings in the order of the file."""
    names: dict[str, tuple[Binding, ...]] = {}
    for one in bindings(tree.body):
        names[one.name] = (*names.get(one.name, ()), one)
    return names


@lru_cache(maxsize=256)
def binds_in_the_dark(tree: ast.Module) -> bool:
    """Whether the module may have names that its source does not spell out.

    ``__getattr__``, ``globals()``, ``exec``, ``setattr`` and ``global`` in functions do that.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="globals" | "exec" | "vars" | "locals" | "setattr")):
                return True
            case ast.Global():
                return True
            case ast.Attribute(value=ast.Name(id="sys"), attr="modules"):
                return True
            case _:
                pass
    return any(found.name == "__getattr__" for found in bindings(tree.body))


def star_imports(tree: ast.Module) -> tuple[ast.ImportFrom, ...]:
    """All ``from x import *`` of a module."""
    return tuple(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    )


@lru_cache(maxsize=256)
def imported_names(tree: ast.Module) -> dict[str, str]:
    """Local name to what it stands for, of all imports: ``{"pf": "pipeflow"}``."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                names[alias.asname or alias.name] = f"{module}.{alias.name}"
    return names


def dotted(node: ast.expr, imported: dict[str, str]) -> str:
    """A name or attribute as a dotted name, its first part resolved; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([imported.get(node.id, node.id), *reversed(parts)])


def _names(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.Import():
            for alias in statement.names:
                yield alias.asname or alias.name.split(".")[0]
        case ast.ImportFrom():
            yield from (alias.asname or alias.name for alias in statement.names)
        case ast.Assign():
            for target in statement.targets:
                yield from _stored(target)
            yield from _walrus(statement.value)
        case ast.AnnAssign():
            if statement.value is not None:
                yield from _stored(statement.target)
        case ast.For() | ast.AsyncFor():
            yield from _stored(statement.target)
        case ast.With() | ast.AsyncWith():
            for item in statement.items:
                if item.optional_vars is not None:
                    yield from _stored(item.optional_vars)
        case ast.If() | ast.While():
            yield from _walrus(statement.test)
        case ast.Expr():
            yield from _walrus(statement.value)
        case ast.Match():
            for case in statement.cases:
                yield from _captures(case.pattern)
        case _ if type(statement).__name__ == "TypeAlias":
            # Python 3.12 and later.
            yield from _stored(getattr(statement, "name"))  # noqa: B009 - 3.11 has no such node


def _stored(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _walrus(expression: ast.expr) -> Iterator[str]:
    for node in ast.walk(expression):
        if isinstance(node, ast.NamedExpr):
            yield node.target.id


def _captures(pattern: ast.pattern) -> Iterator[str]:
    for node in ast.walk(pattern):
        if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name


def _inner_bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    match statement:
        case ast.If() | ast.For() | ast.AsyncFor() | ast.While():
            yield statement.body
            yield statement.orelse
        case ast.With() | ast.AsyncWith():
            yield statement.body
        case ast.Try() | ast.TryStar():
            yield statement.body
            for handler in statement.handlers:
                yield handler.body
            yield statement.orelse
            yield statement.finalbody
        case ast.Match():
            for case in statement.cases:
                yield case.body
        case _:
            pass

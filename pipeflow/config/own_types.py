"""Annotations that name classes of the user's own, spelled out so that values can be judged.

An enumeration becomes ``Literal[...]`` of its names and values; a dataclass becomes a call with its
fields, ``Box(width=int, height=NotRequired[int])``. What cannot be told for sure stays a name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from pipeflow.config.definitions import dotted
from pipeflow.config.own_module import OwnClass, OwnModule, find_class
from pipeflow.config.own_names import resolved
from pipeflow.config.signature import dataclass_fields
from pipeflow.spec.stage_type import CallFacts
from pipeflow.values import replace

_ENUMS: Final = frozenset({"enum.Enum", "enum.IntEnum", "enum.StrEnum"})
_DATACLASS: Final = frozenset({"dataclasses.dataclass"})
#: A dataclass inside a dataclass, and so on.
_DEEPEST: Final = 3


def spelled_out(facts: CallFacts, module: OwnModule) -> CallFacts:
    """The facts, each annotation with its meaning: classes of the user's own spelled out."""
    parameters = tuple(
        replace(one, meaning=_meaning(one.annotation, module, 0)) for one in facts.parameters
    )
    return resolved(replace(facts, parameters=parameters), module)


def _meaning(annotation: str, module: OwnModule, depth: int) -> str:
    if not annotation or depth > _DEEPEST:
        return ""
    try:
        tree = ast.parse(annotation.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return ast.unparse(_SpellOut(module, depth).visit(tree))


class _SpellOut(ast.NodeTransformer):
    """Replaces names of enumerations and dataclasses; leaves literals and attributes alone."""

    def __init__(self, module: OwnModule, depth: int) -> None:
        self._module = module
        self._depth = depth

    def visit_Name(self, node: ast.Name) -> ast.expr:
        found = find_class(node.id, self._module)
        if found is None:
            return node
        return _enumeration(found) or _record(found, self._depth) or node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "Literal":
            return node
        node.slice = self.visit(node.slice)
        return node


def _enumeration(found: OwnClass) -> ast.expr | None:
    """``Literal`` of values, then of names; ``None`` if it is none, or computes its members."""
    node, imported = found.node, found.module.place.imported
    bases = [dotted(base, imported) for base in node.bases]
    # class Color(str, Enum) is common, and its values stay what they are.
    if not bases or bases[-1] not in _ENUMS or {*bases[:-1]} - {"str", "int"} or node.keywords:
        return None
    members = list(_members(node))
    if not members or None in members:
        return None
    values = [value for _, value in filter(None, members)]
    names = [ast.Constant(name) for name, _ in filter(None, members)]
    listed = ast.Tuple(elts=[*values, *names], ctx=ast.Load())
    return ast.Subscript(value=ast.Name("Enum"), slice=listed, ctx=ast.Load())


def _members(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr] | None]:
    """Name and constant of each member; ``None`` for what may make others."""
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant() as value):
                yield name, value
            case ast.Expr(value=ast.Constant()):
                pass  # a docstring
            case ast.FunctionDef(name=name) if name not in {"_missing_", "__new__", "__init__"}:
                pass
            case _:
                yield None


def _record(found: OwnClass, depth: int) -> ast.expr | None:
    node, module = found.node, found.module
    decorators = {
        dotted(d.func if isinstance(d, ast.Call) else d, module.place.imported)
        for d in node.decorator_list
    }
    own_init = any(isinstance(one, ast.FunctionDef) and one.name == "__init__" for one in node.body)
    if decorators != _DATACLASS or node.bases or own_init or "InitVar" in ast.unparse(node):
        return None
    keywords = []
    for field in dataclass_fields(node):
        text = _meaning(field.annotation, module, depth + 1) or field.annotation
        value = ast.parse(text if field.required else f"NotRequired[{text}]", mode="eval").body
        keywords.append(ast.keyword(arg=field.name, value=value))
    return ast.Call(func=ast.Name(node.name), args=[], keywords=keywords)

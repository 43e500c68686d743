"""What a plug-in's operator says of itself, read from its source: its code is not run for that.

A declaration made of plain values, as ``@operator(name=..., options=(Option(...),))`` is, can be
read like one of our own. Of what is computed, or not declared, only the docstring is known.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Final

from pipeflow.spec.options import Option
from pipeflow.spec.shapes import Role, Shape
from pipeflow.spec.stage_type import StageType
from pipeflow.stages.declare import Declaration, operator
from pipeflow.values import replace

#: A name may be imported from module to module; no further than this.
_MOST_IMPORTS: Final = 8

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class _Computed(Exception):
    """A value that is known only when the code runs."""


def plugin_type(name: str, code: str, origin: str) -> StageType:
    """An operator of a plug-in, as the planner and the manual know it.

    Args:
        name: Its name: ``acme/thing``.
        code: ``module:attribute``.
        origin: The package that brings it.
    """
    unknown = StageType(name=name, role=Role.OPERATOR, shape=Shape.UNKNOWN, origin=origin)
    module, _, attribute = code.partition(":")
    found = _defined(module, attribute.strip(), _MOST_IMPORTS)
    if found is None:
        return unknown
    source, definition = found
    summary = (ast.get_docstring(definition) or "").partition("\n\n")[0].replace("\n", " ")
    try:
        declaration = _declared(source, definition)
    except (_Computed, TypeError):
        declaration = None
    if declaration is None:
        return replace(unknown, summary=summary)
    return replace(declaration, name=name).stage_type(origin=origin)


def _declared(source: _Source, definition: Definition) -> Declaration | None:
    """What its decorator says; ``None``: it has none of ours.

    Raises:
        _Computed: It says something that is no plain value.
        TypeError: It says something that cannot be said.
    """
    shape = _shape(source, definition)
    for decorator in definition.decorator_list:
        if isinstance(decorator, ast.Call) and source.means(decorator.func, operator):
            said = {
                each.arg or "": source.value(each.value)
                for each in decorator.keywords
                if each.arg != "judge"  # it is code: the worker asks it
            }
            return Declaration(**{"details": "", **said, "shape": shape})
    return None


def _shape(source: _Source, definition: Definition) -> Shape:
    if isinstance(definition, ast.ClassDef):
        return Shape.CLASS
    if isinstance(definition, ast.AsyncFunctionDef):
        return Shape.ASYNC
    from pipeflow.stages.author import stream

    if any(source.means(each, stream) for each in definition.decorator_list):
        return Shape.STREAM
    yields = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own(definition))
    return Shape.GENERATOR if yields else Shape.FUNCTION


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """What is in a function, without the functions in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _own(child)


def _defined(module: str, attribute: str, left: int) -> tuple[_Source, Definition] | None:
    """Where an attribute of a module is defined, through as many imports as are left."""
    source = _read(module)
    if source is None:
        return None
    found = source.names.get(attribute)
    if isinstance(found, Definition):
        return source, found
    if isinstance(found, str) and left:
        other, _, name = found.partition(":")
        return _defined(other, name, left - 1) if name else None
    return None


class _Source:
    """A module, as text.

    Attributes:
        names: What its own names stand for: a definition, a value, or ``module:name`` of an import.
    """

    def __init__(self, tree: ast.Module, package: str) -> None:
        self.names: dict[str, ast.AST | str] = {}
        for node in tree.body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    self.names[node.name] = node
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.names[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self.names[name] = value
                case ast.Import(names=imported):
                    for one in imported:
                        self.names[one.asname or one.name] = one.name
                case ast.ImportFrom(module=origin, names=imported, level=level):
                    base = _absolute(origin or "", level, package)
                    for one in imported:
                        self.names[one.asname or one.name] = f"{base}:{one.name}"
                case _:
                    pass  # nothing that has a name, or one that only running it would tell

    def means(self, node: ast.AST, wanted: object) -> bool:
        """Whether an expression stands for an object of ours."""
        try:
            return self.value(node) is wanted
        except _Computed:
            return False

    def value(self, node: ast.AST | str) -> Any:
        """What an expression stands for.

        Raises:
            _Computed: Only running the code would tell.
        """
        match node:
            case str():
                return _ours(node)
            case ast.Constant(value=value):
                return value
            case ast.Tuple(elts=parts):
                return tuple(self.value(part) for part in parts)
            case ast.List(elts=parts):
                return [self.value(part) for part in parts]
            case ast.Dict(keys=keys, values=values) if None not in keys:
                pairs = zip(keys, values, strict=True)
                return {self.value(key): self.value(value) for key, value in pairs if key}
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._number(operand)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._text(left) + self._text(right)
            case ast.Name(id=name) if name in self.names:
                return self.value(self.names[name])
            case ast.Attribute(value=owner, attr=name):
                return self._attribute(owner, name)
            case ast.Call(func=function, args=[], keywords=keywords) if self.means(
                function, Option
            ):
                return Option(**{each.arg or "": self.value(each.value) for each in keywords})
        raise _Computed

    def _attribute(self, owner: ast.expr, name: str) -> Any:
        dotted = ast.unparse(owner)
        if isinstance(self.names.get(dotted), str) and ":" not in str(self.names[dotted]):
            return _ours(f"{self.names[dotted]}:{name}")
        try:
            return getattr(self.value(owner), name)
        except AttributeError:
            raise _Computed from None

    def _number(self, node: ast.expr) -> int | float:
        value = self.value(node)
        if isinstance(value, int | float):
            return value
        raise _Computed

    def _text(self, node: ast.expr) -> str:
        value = self.value(node)
        if isinstance(value, str):
            return value
        raise _Computed


def _ours(name: str) -> Any:
    """An object of pipeflow itself, which may be imported."""
    module, _, attribute = name.partition(":")
    if module.partition(".")[0] != "pipeflow" or not attribute:
        raise _Computed
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        raise _Computed from None


def _read(module: str) -> _Source | None:
    """The source of an installed module; ``None``: there is none that can be read."""
    first, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    name = first
    for part in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        # Not importlib.util.find_spec: that would run the package that it is in.
        spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    try:
        return _Source(ast.parse(Path(spec.origin).read_bytes()), package)
    except (OSError, SyntaxError, ValueError):
        return None


def _absolute(module: str, level: int, package: str) -> str:
    """The whole name of a module that another one imports relative to its package."""
    if not level:
        return module
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *([module] if module else [])])

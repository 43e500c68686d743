"""Annotations with the user's own classes resolved, so that two modules can be compared.

A class of the user's becomes ``Own['module:Class', 'module:Base', ...]``: itself, then all that it
inherits from. A name that an import brings is what was imported; what cannot be told is ``Any``.
"""

from __future__ import annotations

import ast
import builtins

from pipeflow.config.definitions import bound_in
from pipeflow.config.own_module import OwnClass, OwnModule, find_class, lineage
from pipeflow.spec.stage_type import CallFacts, Parameter
from pipeflow.values import replace


def resolved(facts: CallFacts, module: OwnModule) -> CallFacts:
    """The facts, with what items are: of the parameters that may take them, and of the results."""
    return replace(
        facts,
        parameters=tuple(_resolved(one, module) for one in facts.parameters),
        item_parameters=tuple(_resolved(one, module) for one in facts.item_parameters),
        returns_resolved=_names(facts.returns, module),
    )


def _resolved(parameter: Parameter, module: OwnModule) -> Parameter:
    return replace(parameter, resolved=_names(parameter.annotation, module))


def _names(annotation: str, module: OwnModule) -> str:
    if not annotation:
        return ""
    try:
        tree = ast.parse(annotation.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""  # nothing is known of it then
    return ast.unparse(_Names(module).visit(tree))


def _own(found: OwnClass) -> ast.expr:
    bases, whole = lineage(found.node, found.module)
    line = (found, *bases)
    # A protocol, or a class that others are registered with, is more than what inherits from it.
    open_to_others = any(
        one.node.keywords or len(one.node.bases) > (one is not line[-1]) for one in line
    )
    if not whole or open_to_others:
        return ast.Name("Any")
    names = [ast.Constant(f"{one.module.name}:{one.node.name}") for one in line]
    inside = ast.Tuple(elts=list(names), ctx=ast.Load())
    return ast.Subscript(value=ast.Name("Own"), slice=inside, ctx=ast.Load())


class _Names(ast.NodeTransformer):
    def __init__(self, module: OwnModule) -> None:
        self._module = module

    def visit_Name(self, node: ast.Name) -> ast.expr:
        found = find_class(node.id, self._module)
        if found is not None:
            return _own(found)
        imported = self._module.place.imported.get(node.id)
        if imported is not None:
            return ast.Name(imported.rpartition(".")[2])
        if node.id in bound_in(self._module.tree):
            return ast.Name("Any")  # an alias, a TypeVar
        return node if hasattr(builtins, node.id) else ast.Name("Any")

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, str):
            return node
        return ast.parse(_names(node.value, self._module) or "Any", mode="eval").body

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "Literal":
            return node
        node.slice = self.visit(node.slice)
        node.value = self.visit(node.value)
        return node

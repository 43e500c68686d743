"""An annotation in words for people, and what to write where a value does not fit it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pipeflow.config.nodes import Node, Scalar
from pipeflow.config.scalars import TRUTHS, resolve
from pipeflow.suggest import did_you_mean

#: What a list in a file may be for, by the last name of an annotation.
LISTS: Final = frozenset(
    {
        "list", "List", "Sequence", "MutableSequence", "Iterable", "Collection",
        "set", "Set", "frozenset", "FrozenSet", "AbstractSet", "MutableSet",
    }
)  # fmt: skip
TUPLES: Final = frozenset({"tuple", "Tuple"})
#: What a mapping in a file may be for.
MAPPINGS: Final = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})

_SPOKEN: Final[Mapping[str, str]] = {
    "timedelta": "a duration such as 50ms, 2s, 5m",
    "datetime": "a date and time such as 2024-05-01T12:30",
    "date": "a date such as 2024-05-01",
    "time": "a time such as 12:30",
    "bool": "true or false",
}
_TEXTS: Final = frozenset({"str", "Path", "PurePath", "PathLike"})
_NUMBERS: Final = frozenset({"int", "float", "complex", "Decimal"})
_SPOKEN_LISTS: Final = frozenset(
    {"list", "List", "Sequence", "Iterable", "Collection", "set", "frozenset"}
)


def words(tree: ast.expr) -> str:
    """What an annotation asks for: ``a list of int``, ``one of 'a', 'b'``."""
    match tree:
        case ast.Name() | ast.Attribute():
            name = last_name(tree)
            return _SPOKEN.get(name, name)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return f"{words(left)} or {words(right)}"
        case ast.Constant(value=None):
            return "null"
        case ast.Call(func=ast.Name(id=name), keywords=fields):
            shown = (f"{one.arg}=..." if is_optional(one.value) else one.arg for one in fields)
            return f"{name}({', '.join(map(str, shown))})"
        case ast.Subscript(value=base, slice=inside):
            return _generic(tree, last_name(base), members(inside))
        case ast.Constant(value=str() as forward):
            # It was parsed before, or nothing would be known of it.
            return words(ast.parse(forward.strip(), mode="eval").body)
        case _:
            return ast.unparse(tree)


def _generic(tree: ast.expr, name: str, arguments: Sequence[ast.expr]) -> str:
    match name:
        case "Enum":
            # Values first, then as many names: people write either, and know one.
            return "one of " + ", ".join(map(ast.unparse, arguments[: len(arguments) // 2]))
        case "Literal":
            return "one of " + ", ".join(map(ast.unparse, arguments))
        case "Optional":
            return f"{words(arguments[0])} or null"
        case "Annotated":
            return words(arguments[0])
        case "Union":
            return " or ".join(map(words, arguments))
        case "list" | "List":
            return f"a list of {words(arguments[0])}"
        case _:
            return ast.unparse(tree)


def mended(node: Node, tree: ast.expr) -> str:
    """What to write in place of a value that does not fit; empty where that cannot be told."""
    if not isinstance(node, Scalar) or node.from_text:
        return ""
    name = last_name(tree.value if isinstance(tree, ast.Subscript) else tree)
    value, text = node.value, node.text
    if isinstance(value, str):
        return _mended_text(value, node, name, tree)
    if value is None:
        return "leave it out for the default" if not text else ""
    if name in _SPOKEN_LISTS:
        return f"write [{text}]"
    if name in _TEXTS:
        return f'write "{text}" in quotes'
    if name == "timedelta" and not isinstance(value, bool):
        return f"write {text}s, {text}ms or {text}m"
    if name == "int" and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if name == "bool" and value in {0, 1}:
        return f"write {str(bool(value)).lower()}"
    return ""


def _mended_text(value: str, node: Scalar, name: str, tree: ast.expr) -> str:
    if name in _SPOKEN_LISTS:
        return f"write [{value}]"
    if name in _NUMBERS | {"bool"}:
        if node.quoted and isinstance(resolve(value), bool if name == "bool" else int | float):
            return "remove the quotes"
        if name == "bool" and value.lower() in TRUTHS:
            return f"write {TRUTHS[value.lower()]}"
    if name in {"Literal", "Enum"} and isinstance(tree, ast.Subscript):
        near = did_you_mean(value, list(_choices(members(tree.slice))))
        return f"did you mean '{near}'?" if near else ""
    return ""


def _choices(arguments: Sequence[ast.expr]) -> Iterator[str]:
    for argument in arguments:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def is_optional(kind: ast.expr) -> bool:
    """Whether a field need not be given."""
    return isinstance(kind, ast.Subscript) and last_name(kind.value) == "NotRequired"


def members(inside: ast.expr) -> Sequence[ast.expr]:
    """What stands in the brackets of ``Union[int, str]``."""
    return inside.elts if isinstance(inside, ast.Tuple) else [inside]


def last_name(tree: ast.expr) -> str:
    """``Path`` of ``pathlib.Path``."""
    match tree:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case _:
            return ""

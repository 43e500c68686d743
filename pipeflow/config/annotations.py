"""Whether a literal of the file can fit a parameter's annotation, as far as its text tells.

Careful: what is not known for sure fits anything. The worker converts and judges at the end.
"""

from __future__ import annotations

import ast
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final

from pipeflow.config.problem import Problem
from pipeflow.config.units import duration

_LISTS: Final = frozenset(
    {
        "list", "List", "Sequence", "MutableSequence", "Iterable", "Collection",
        "set", "Set", "frozenset", "FrozenSet", "AbstractSet", "MutableSet",
    }
)  # fmt: skip
_TUPLES: Final = frozenset({"tuple", "Tuple"})
_MAPPINGS: Final = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})
_NESTED: Final = 20


def misfit(value: object, annotation: str) -> str | None:
    """What the annotation asks for, in words, if the value surely is not that; else ``None``.

    Args:
        value: Plain: text, number, boolean, ``None``, list, dict.
        annotation: As the source spells it: ``list[int] | None``.
    """
    try:
        tree = ast.parse(annotation.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if value is not None and not isinstance(value, bool | int | float | str | list | dict):
        return None
    return None if _fits(value, tree, 0) else _words(tree)


def _fits(value: object, node: ast.expr, depth: int) -> bool:
    if depth > _NESTED:
        return True
    match node:
        case ast.Constant(value=None):
            return value is None
        case ast.Constant(value=str() as forward):
            return misfit(value, forward) is None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _fits(value, left, depth + 1) or _fits(value, right, depth + 1)
        case ast.Call(keywords=fields):
            return _fits_record(value, fields, depth + 1)
        case ast.Subscript(value=base, slice=inside):
            arguments = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return _fits_generic(value, _last_name(base), arguments, depth + 1)
        case ast.Name() | ast.Attribute():
            return _fits_name(value, _last_name(node), depth)
        case _:
            return True


def _fits_generic(value: object, name: str, arguments: list[ast.expr], depth: int) -> bool:
    match name:
        case "Optional":
            return value is None or _fits(value, arguments[0], depth)
        case "Union":
            return any(_fits(value, one, depth) for one in arguments)
        case "Annotated" | "Final" | "NotRequired" if arguments:
            return _fits(value, arguments[0], depth)
        case "Literal" | "Enum":
            return _fits_literal(value, arguments)
        case _ if name in _LISTS:
            return isinstance(value, list) and all(_fits(one, arguments[0], depth) for one in value)
        case _ if name in _TUPLES:
            return isinstance(value, list) and _fits_tuple(value, arguments, depth)
        case _ if name in _MAPPINGS:
            return isinstance(value, dict) and (
                len(arguments) != 2 or all(_fits(v, arguments[1], depth) for v in value.values())
            )
        case "PathLike":
            return isinstance(value, str)
        case _:
            return True


def _fits_record(value: object, fields: list[ast.keyword], depth: int) -> bool:
    """Whether a mapping gives a dataclass of the user's own its fields."""
    if not isinstance(value, dict):
        return False
    kinds = {field.arg: field.value for field in fields}
    needed = {name for name, kind in kinds.items() if not _is_optional(kind)}
    return (
        value.keys() <= kinds.keys()
        and needed <= value.keys()
        and all(_fits(one, kinds[name], depth) for name, one in value.items())
    )


def _is_optional(kind: ast.expr) -> bool:
    return isinstance(kind, ast.Subscript) and _last_name(kind.value) == "NotRequired"


def _fits_tuple(value: list[object], arguments: list[ast.expr], depth: int) -> bool:
    last = arguments[-1] if arguments else None
    if isinstance(last, ast.Constant) and last.value is Ellipsis:
        return all(_fits(one, arguments[0], depth) for one in value)
    return len(value) == len(arguments) and all(
        _fits(one, kind, depth) for one, kind in zip(value, arguments, strict=True)
    )


def _fits_literal(value: object, arguments: list[ast.expr]) -> bool:
    for argument in arguments:
        if isinstance(argument, ast.UnaryOp) and isinstance(argument.op, ast.USub):
            argument = argument.operand  # noqa: PLW2901 - the sign alone is taken off
            if isinstance(argument, ast.Constant) and value == _negative(argument.value):
                return True
        elif not isinstance(argument, ast.Constant):
            # A member of an Enum, or a name.
            return True
        elif type(argument.value) is type(value) and argument.value == value:
            return True
    return False


def _negative(value: object) -> object:
    return -value if isinstance(value, int | float) else value


def _fits_name(value: object, name: str, depth: int) -> bool:
    if name in _LISTS | _TUPLES:
        return isinstance(value, list)
    if name in _MAPPINGS:
        return isinstance(value, dict)
    fits = _NAMES.get(name)
    return True if fits is None or depth > _NESTED else fits(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_duration(value: object) -> bool:
    return isinstance(value, str) and not isinstance(duration(value), Problem)


def _parsed_by(parse: Callable[[str], object]) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        if not isinstance(value, str):
            return False
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return fits


_NAMES: Final[Mapping[str, Callable[[object], bool]]] = {
    "int": _is_integer,
    "float": _is_number,
    "complex": _is_number,
    "str": _is_text,
    "bool": lambda value: isinstance(value, bool),
    "Path": _is_text,
    "PurePath": _is_text,
    "PathLike": _is_text,
    "None": lambda value: value is None,
    "timedelta": _is_duration,
    "datetime": _parsed_by(dt.datetime.fromisoformat),
    "date": _parsed_by(dt.date.fromisoformat),
}
_SPOKEN: Final[Mapping[str, str]] = {
    "timedelta": "a duration such as 50ms, 2s, 5m",
    "datetime": "a date and time such as 2024-05-01T12:30",
    "date": "a date such as 2024-05-01",
    "bool": "true or false",
}


def _words(node: ast.expr) -> str:
    match node:
        case ast.Name() | ast.Attribute():
            name = _last_name(node)
            return _SPOKEN.get(name, name)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return f"{_words(left)} or {_words(right)}"
        case ast.Constant(value=None):
            return "null"
        case ast.Call(func=ast.Name(id=name), keywords=fields):
            shown = (f"{one.arg}=..." if _is_optional(one.value) else one.arg for one in fields)
            return f"{name}({', '.join(map(str, shown))})"
        case ast.Subscript(value=base, slice=inside) if _last_name(base) == "Enum":
            # Values first, then as many names: people write either, and know one.
            members = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return "one of " + ", ".join(ast.unparse(one) for one in members[: len(members) // 2])
        case ast.Subscript(value=base, slice=inside) if _last_name(base) == "Optional":
            return f"{_words(inside)} or null"
        case ast.Subscript(value=base, slice=ast.Tuple(elts=[first, *_])) if (
            _last_name(base) == "Annotated"
        ):
            return _words(first)
        case ast.Subscript(value=base, slice=ast.Tuple(elts=members)) if (
            _last_name(base) == "Union"
        ):
            return " or ".join(_words(one) for one in members)
        case ast.Subscript(value=base, slice=inside) if _last_name(base) in {"list", "List"}:
            return f"a list of {_words(inside)}"
        case ast.Subscript(value=base, slice=inside) if _last_name(base) == "Literal":
            members = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return "one of " + ", ".join(ast.unparse(one) for one in members)
        case ast.Constant(value=str() as forward):
            # It was parsed before, or nothing would be known of it.
            return _words(ast.parse(forward.strip(), mode="eval").body)
        case _:
            return ast.unparse(node)


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case _:
            return ""

"""What a value of the file is to a parameter's annotation, as far as its text tells.

Careful: what is not known for sure fits anything. The worker converts and judges at the end.
"""

from __future__ import annotations

import ast
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeGuard

from pipeflow.config.annotation_words import (
    LISTS,
    MAPPINGS,
    TUPLES,
    is_optional,
    last_name,
    members,
    mended,
    words,
)
from pipeflow.config.nodes import Map, Node, Scalar, Seq, kind_of, plain
from pipeflow.config.problem import Problem
from pipeflow.config.scalars import reread
from pipeflow.config.units import duration
from pipeflow.errors import Location
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass, replace

#: Annotations that ask for nothing; a text from outside is a number then, if it looks like one.
_ANYTHING: Final = frozenset({"Any", "object"})
_NESTED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A value that surely is not what is asked for: of the parameter, or somewhere inside.

    Attributes:
        at: Where it stands.
        length: How many characters to underline.
        inside: The way to it from the parameter: ``""``, ``"[1]"``, ``".left"``.
        problem: What is wrong: ``expected int, got the text "x"``.
        hint: What to write instead, where that can be told.
        nearly: The parameter's value is of the right kind, and only this in it is wrong.
    """

    at: Location
    length: int
    inside: str = ""
    problem: str
    hint: str = ""
    nearly: bool = False


def fitted(node: Node, annotation: str) -> object:
    """The value as the worker gets it; a ``Misfit`` if it surely does not fit.

    Args:
        node: The value. What came from outside as text, and what stands for a duration or a
            size, is read as the annotation asks.
        annotation: As the source spells it: ``list[int] | None``; empty if there is none.
    """
    tree = _parsed(annotation)
    return _loose(node) if tree is None else _fit(node, tree, 0)


def _parsed(annotation: str) -> ast.expr | None:
    if not annotation.strip():
        return None
    try:
        return ast.parse(annotation.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Nothing is known of it then, as of an annotation that calls a function.
        return ast.Constant(value=...)


def _loose(node: Node) -> object:
    """The value where nothing is asked for: quantities as numbers, texts from outside as YAML."""
    match node:
        case Map():
            return {entry.key: _loose(entry.value) for entry in node.entries}
        case Seq():
            return [_loose(item) for item in node.items]
        case Scalar(quantity=None):
            read = reread(node)
            return read.value if isinstance(read, Scalar) else node.value
        case Scalar():
            return node.quantity


def _fit(node: Node, tree: ast.expr, depth: int) -> object:
    if depth > _NESTED or (isinstance(node, Scalar) and (node.broken or not _is_plain(node.value))):
        return plain(node)
    match tree:
        case ast.Constant(value=None):
            return _scalar(node, tree, lambda value: value is None)
        case ast.Constant(value=str() as forward):
            inner = _parsed(forward)
            return plain(node) if inner is None else _fit(node, inner, depth + 1)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either(node, tree, [left, right], depth + 1)
        case ast.Call(keywords=fields):
            return _record(node, tree, fields, depth + 1)
        case ast.Subscript(value=base, slice=inside):
            return _generic(node, tree, last_name(base), members(inside), depth + 1)
        case ast.Name() | ast.Attribute():
            return _name(node, tree, last_name(tree))
        case _:
            return plain(node)


def _generic(
    node: Node, tree: ast.expr, name: str, arguments: Sequence[ast.expr], depth: int
) -> object:
    match name:
        case "Optional":
            return _either(node, tree, [*arguments[:1], ast.Constant(value=None)], depth)
        case "Union":
            return _either(node, tree, arguments, depth)
        case "Annotated" | "Final" | "NotRequired" if arguments:
            return _fit(node, arguments[0], depth)
        case "Literal" | "Enum":
            return _scalar(node, tree, lambda value: _is_choice(value, arguments))
        case _ if name in LISTS:
            return _list(node, tree, lambda _: arguments[0], depth)
        case _ if name in TUPLES:
            return _tuple(node, tree, arguments, depth)
        case _ if name in MAPPINGS:
            return _mapping(node, tree, arguments, depth)
        case "PathLike":
            return _scalar(node, tree, _is_text)
        case "Callable":
            return _misfit(node, tree)
        case _:
            return plain(node)


def _name(node: Node, tree: ast.expr, name: str) -> object:
    if name in _ANYTHING:
        return _loose(node)
    if name in LISTS | TUPLES:
        return plain(node) if isinstance(node, Seq) else _misfit(node, tree)
    if name in MAPPINGS:
        return plain(node) if isinstance(node, Map) else _misfit(node, tree)
    fits = _NAMES.get(name)
    return plain(node) if fits is None else _scalar(node, tree, fits)


def _scalar(node: Node, tree: ast.expr, fits: Callable[[object], bool]) -> object:
    """The first reading of a scalar that fits."""
    if isinstance(node, Scalar):
        for value in _readings(node):
            if fits(value):
                return value
    return _misfit(node, tree)


def _readings(node: Scalar) -> Iterator[object]:
    yield node.value
    if node.quantity is not None:
        yield node.quantity
    if node.from_text:
        # From outside all comes as text; what it means depends on who asks.
        yield node.text
        again = reread(node)
        if isinstance(again, Scalar):
            yield again.value


def _either(node: Node, tree: ast.expr, kinds: Sequence[ast.expr], depth: int) -> object:
    """The value by the first of several annotations that it fits."""
    # What it is as it stands comes first: ``int | str`` leaves a text from outside a text.
    values: list[object] = []
    for one in [_as_it_stands(node), node]:
        values = [_fit(one, kind, depth) for kind in kinds]
        for value in values:
            if not isinstance(value, Misfit):
                return value
    misfits = [value for value in values if isinstance(value, Misfit)]
    # ``list[int] | None`` and a list: only what is wrong inside it is of interest.
    near = [one for one in misfits if one.nearly]
    if len(near) == 1:
        return near[0]
    hint = next((one.hint for one in misfits if one.hint), "")
    return replace(_misfit(node, tree), hint=hint)


def _as_it_stands(node: Node) -> Node:
    if isinstance(node, Scalar):
        return replace(node, from_text=False, quantity=None)
    return node


def _list(
    node: Node, tree: ast.expr, kind_at: Callable[[int], ast.expr], depth: int
) -> list[object] | Misfit:
    if not isinstance(node, Seq):
        return _misfit(node, tree)
    values: list[object] = []
    for index, item in enumerate(node.items):
        value = _fit(item, kind_at(index), depth)
        if isinstance(value, Misfit):
            return _within(value, f"[{index}]")
        values.append(value)
    return values


def _tuple(node: Node, tree: ast.expr, arguments: Sequence[ast.expr], depth: int) -> object:
    last = arguments[-1] if arguments else None
    if isinstance(last, ast.Constant) and last.value is Ellipsis:
        return _list(node, tree, lambda _: arguments[0], depth)
    if isinstance(node, Seq) and len(node) != len(arguments):
        told = f"expected {words(tree)}, got a list of {len(node)}"
        return Misfit(at=node.at, length=node.length, problem=told, nearly=True)
    return _list(node, tree, lambda index: arguments[index], depth)


def _mapping(node: Node, tree: ast.expr, arguments: Sequence[ast.expr], depth: int) -> object:
    if not isinstance(node, Map):
        return _misfit(node, tree)
    if len(arguments) != 2:
        return plain(node)
    key_kind, value_kind = arguments
    values: dict[str, object] = {}
    for entry in node.entries:
        key = Scalar(
            at=entry.key_at, length=entry.key_length, value=entry.key, text=entry.key, quoted=True
        )
        if isinstance(strange := _fit(key, key_kind, depth), Misfit):
            # The file's keys are text, so there is nothing better to write.
            return replace(strange, problem=f"as key {strange.problem}", hint="", nearly=True)
        value = _fit(entry.value, value_kind, depth)
        if isinstance(value, Misfit):
            return _within(value, f".{entry.key}")
        values[entry.key] = value
    return values


def _record(node: Node, tree: ast.expr, fields: Sequence[ast.keyword], depth: int) -> object:
    """A mapping that gives a dataclass of the user's own its fields."""
    if not isinstance(node, Map):
        return _misfit(node, tree)
    kinds = {str(field.arg): field.value for field in fields}
    name = words(tree).partition("(")[0]
    values: dict[str, object] = {}
    for entry in node.entries:
        if entry.key not in kinds:
            near = did_you_mean(entry.key, kinds)
            return Misfit(
                at=entry.key_at,
                length=entry.key_length,
                problem=f"{name} has no field '{entry.key}'",
                hint=f"did you mean '{near}'?" if near else f"fields: {', '.join(kinds)}",
                nearly=True,
            )
        value = _fit(entry.value, kinds[entry.key], depth)
        if isinstance(value, Misfit):
            return _within(value, f".{entry.key}")
        values[entry.key] = value
    missing = [field for field, kind in kinds.items() if field not in node]
    needed = [f"'{field}'" for field in missing if not is_optional(kinds[field])]
    if needed:
        told = f"{words(tree)} needs {', '.join(needed)}"
        return Misfit(at=node.at, length=node.length, problem=told, nearly=True)
    return values


def _within(misfit: Misfit, step: str) -> Misfit:
    return replace(misfit, inside=step + misfit.inside, nearly=True)


def _misfit(node: Node, tree: ast.expr) -> Misfit:
    secret = isinstance(node, Scalar) and node.secret
    shown = "a secret" if secret else kind_of(node)
    return Misfit(
        at=node.at,
        length=node.length,
        problem=f"expected {words(tree)}, got {shown}",
        hint="" if secret else mended(node, tree),
    )


def _is_plain(value: object) -> bool:
    """Whether it can stand in a file; a Python mapping may hold any object."""
    return value is None or isinstance(value, bool | int | float | str | list | dict)


def _is_choice(value: object, arguments: Sequence[ast.expr]) -> bool:
    for argument in arguments:
        if isinstance(argument, ast.UnaryOp) and isinstance(argument.op, ast.USub):
            number = argument.operand
            if isinstance(number, ast.Constant) and value == _negative(number.value):
                return True
        elif not isinstance(argument, ast.Constant):
            # A member of an Enum, or a name.
            return True
        elif type(argument.value) is type(value) and argument.value == value:
            return True
    return False


def _negative(value: object) -> object:
    return -value if isinstance(value, int | float) else value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _is_duration(value: object) -> bool:
    return _is_text(value) and not isinstance(duration(value), Problem)


def _uuid(text: str) -> object:
    from uuid import UUID  # few files have one, and it loads a lot

    return UUID(text)


def _decimal(text: str) -> object:
    from decimal import Decimal  # likewise

    return Decimal(text)


def _parsed_by(parse: Callable[[str], object]) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        if not _is_text(value):
            return False
        try:
            parse(value)
        except (ValueError, ArithmeticError):
            return False
        return True

    return fits


def _never(_value: object) -> bool:
    """For what no file can hold."""
    return False


_NAMES: Final[Mapping[str, Callable[[object], bool]]] = {
    "int": _is_integer,
    "float": _is_number,
    "complex": _is_number,
    "str": _is_text,
    "bool": lambda value: isinstance(value, bool),
    "bytes": _never,
    "bytearray": _never,
    "Path": _is_text,
    "PurePath": _is_text,
    "PathLike": _is_text,
    "None": lambda value: value is None,
    "timedelta": _is_duration,
    "datetime": _parsed_by(dt.datetime.fromisoformat),
    "date": _parsed_by(dt.date.fromisoformat),
    "time": _parsed_by(dt.time.fromisoformat),
    "UUID": _parsed_by(_uuid),
    "Decimal": lambda value: _is_number(value) or _parsed_by(_decimal)(value),
}

"""An annotation of the user's as JSON Schema: what ``annotations`` judges, as far as schemas can.

Careful like it: what is not known for sure fits anything. A union becomes one flat node.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pipeflow.config.annotation_words import (
    LISTS,
    MAPPINGS,
    TUPLES,
    is_optional,
    last_name,
    members,
    words,
)
from pipeflow.config.schema.nodes import OR_REFERENCE, REFERENCE, Schema, one_of
from pipeflow.config.units import DURATION_PATTERN
from pipeflow.values import dataclass, replace

_DEEPEST: Final = 8
_DECIMAL: Final = (
    r"\s*[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[Ii]nf(?:inity)?|s?NaN)\s*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What an annotation lets in.

    Attributes:
        anything: Nothing is known of it.
        kinds: JSON types of which any value will do.
        pattern: What texts must match; empty: any.
        choices: Values that will do, of types that are not in ``kinds``.
        lists: What a list must be.
        maps: What a mapping must be.
    """

    anything: bool = False
    kinds: frozenset[str] = frozenset()
    pattern: str = ""
    choices: tuple[str | int | bool, ...] = ()
    lists: Schema | None = None
    maps: Schema | None = None


_ANYTHING: Final = _Form(anything=True)


def annotation_schema(annotation: str, title: str = "") -> Schema:
    """The schema of a value for a parameter; empty for what is not known.

    Args:
        annotation: Its kind, enumerations and dataclasses spelled out (``own_types``).
        title: What the value is called.
    """
    tree = _parsed(annotation)
    return {} if tree is None else _node(tree, title, 0)


def _parsed(annotation: str) -> ast.expr | None:
    try:
        return ast.parse(annotation.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # as an annotation that computes something


def _node(tree: ast.expr, title: str, depth: int) -> Schema:
    form = _form(tree, depth)
    if form.anything or depth > _DEEPEST:
        return {}
    message = f"expected {words(tree)}"
    scalars = form.kinds | {_json_type(choice) for choice in form.choices}
    # A reference may become a value of any type; text first, or editors would write a zero.
    types = ["string", *sorted(scalars - {"string"})]
    types += ["array"] * (form.lists is not None) + ["object"] * (form.maps is not None)
    kind: Schema = {"type": types, "errorMessage": message}
    conditions = list(_choices(form, message))
    texts = [choice for choice in form.choices if isinstance(choice, str)]
    if "string" not in form.kinds and not texts:
        kind["pattern"] = REFERENCE
    elif form.pattern and not texts:
        kind["pattern"] = f"^(?:{form.pattern})${OR_REFERENCE}"
    node: Schema = {"title": title} if title else {}
    if form.choices:
        listed = list(form.choices)
        node["anyOf"] = [{"enum": listed}, {"not": {"enum": listed}}]
    if form.lists is None and form.maps is None:
        return {**node, **kind, **({"allOf": conditions} if conditions else {})}
    if form.lists is None and not scalars:
        node["properties"] = {}  # an editor then begins an indented line
    else:
        node.setdefault("anyOf", [{}])
    more = [each for each in (form.lists, form.maps) if each]
    return {**node, "allOf": [{"title": title, **kind}, *conditions, *more]}


def _choices(form: _Form, message: str) -> Sequence[Schema]:
    """What must be one of a few values, for each type by itself."""
    texts = [choice for choice in form.choices if isinstance(choice, str)]
    others = [choice for choice in form.choices if not isinstance(choice, str)]
    found = [one_of(texts, message)] if texts and "string" not in form.kinds else []
    for kind in sorted({_json_type(choice) for choice in others} - form.kinds):
        fitting = [choice for choice in others if _json_type(choice) == kind]
        told = {"enum": fitting, "errorMessage": message}
        found.append({"if": {"type": kind}, "then": told})
    return found


def _json_type(choice: str | int | bool) -> str:
    if isinstance(choice, bool):
        return "boolean"
    return "string" if isinstance(choice, str) else "integer"


def _form(tree: ast.expr, depth: int) -> _Form:
    match tree:
        case ast.Constant(value=None):
            return _Form(kinds=frozenset({"null"}))
        case ast.Constant(value=str() as forward):
            inner = _parsed(forward)
            return _ANYTHING if inner is None else _form(inner, depth)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([left, right], depth)
        case ast.Call(keywords=fields):
            return _Form(maps=_record(tree, fields, depth))
        case ast.Subscript(value=base, slice=inside):
            return _generic(tree, last_name(base), members(inside), depth)
        case ast.Name() | ast.Attribute():
            return _NAMES.get(last_name(tree), lambda: _ANYTHING)()
        case _:
            return _ANYTHING


def _either(kinds: Sequence[ast.expr], depth: int) -> _Form:
    """One form for several annotations; where two speak of lists, nothing is said of these."""
    made = _Form()
    for kind in kinds:
        form = _form(kind, depth)
        if form.anything:
            return _ANYTHING
        texts = [one for one in (made, form) if "string" in one.kinds]
        patterns = [one.pattern for one in texts]
        made = replace(
            made,
            kinds=made.kinds | form.kinds,
            pattern="" if "" in patterns else "|".join(patterns),
            choices=(*made.choices, *(c for c in form.choices if c not in made.choices)),
            lists=form.lists if made.lists is None else (made.lists if form.lists is None else {}),
            maps=form.maps if made.maps is None else (made.maps if form.maps is None else {}),
        )
    return made


def _generic(tree: ast.expr, name: str, arguments: Sequence[ast.expr], depth: int) -> _Form:
    match name:
        case "Optional":
            return _either([*arguments[:1], ast.Constant(value=None)], depth)
        case "Union":
            return _either(arguments, depth)
        case "Annotated" | "Final" | "NotRequired" if arguments:
            return _form(arguments[0], depth)
        case "Literal" | "Enum":
            return _listed(arguments)
        case _ if name in LISTS:
            return _Form(lists={"items": _node(arguments[0], "", depth + 1)})
        case _ if name in TUPLES:
            return _Form(lists=_tuple(arguments, depth, f"expected {words(tree)}"))
        case _ if name in MAPPINGS and len(arguments) == 2:
            values = _node(arguments[1], "", depth + 1)
            return _Form(maps={"additionalProperties": values})
        case "PathLike":
            return _Form(kinds=frozenset({"string"}))
        case _:
            return _ANYTHING


def _listed(arguments: Sequence[ast.expr]) -> _Form:
    choices: list[str | int | bool] = []
    for argument in arguments:
        match argument:
            case ast.Constant(value=str() | int() as value):
                choices.append(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
                choices.append(-value)
            case _:
                return _ANYTHING  # a member of an Enum, or a name
    # An enumeration may have a member whose value is its name.
    return _Form(choices=tuple(dict.fromkeys(choices)))


def _tuple(arguments: Sequence[ast.expr], depth: int, message: str) -> Schema:
    last = arguments[-1] if arguments else None
    if isinstance(last, ast.Constant) and last.value is Ellipsis:
        return {"items": _node(arguments[0], "", depth + 1)}
    count = len(arguments)
    # The message of `minItems` cannot be chosen, that of a type can.
    length = {"type": "array", "minItems": count, "maxItems": count}
    return {
        "items": [_node(argument, "", depth + 1) for argument in arguments],
        "if": {"type": "array", "not": length},
        "then": {"type": "string", "errorMessage": message},
    }


def _record(tree: ast.expr, fields: Sequence[ast.keyword], depth: int) -> Schema:
    """A mapping that gives a dataclass of the user's own its fields."""
    required = [str(field.arg) for field in fields if not is_optional(field.value)]
    made: Schema = {
        "title": words(tree),
        "additionalProperties": False,
        "properties": {
            str(field.arg): _field(str(field.arg), field.value, depth) for field in fields
        },
    }
    return {**made, "required": required} if required else made


def _field(name: str, kind: ast.expr, depth: int) -> Schema:
    inner = (
        members(kind.slice)[0] if isinstance(kind, ast.Subscript) and is_optional(kind) else kind
    )
    about = f"Type: {ast.unparse(inner)}."
    node = _node(inner, name, depth + 1)
    told = {"description": about, "markdownDescription": f"Type: `{ast.unparse(inner)}`."}
    return {"title": name, "anyOf": [{}], **told, **node}


def _texts(pattern: str = "") -> Callable[[], _Form]:
    return lambda: _Form(kinds=frozenset({"string"}), pattern=pattern)


def _of(*kinds: str) -> Callable[[], _Form]:
    return lambda: _Form(kinds=frozenset(kinds))


_NAMES: Final[Mapping[str, Callable[[], _Form]]] = {
    "int": _of("integer"),
    "float": _of("number"),
    "complex": _of("number"),
    "str": _texts(),
    "bool": _of("boolean"),
    "Path": _texts(),
    "PurePath": _texts(),
    "PathLike": _texts(),
    "None": _of("null"),
    "timedelta": _texts(DURATION_PATTERN),
    "datetime": _texts(),
    "date": _texts(),
    "time": _texts(),
    "UUID": _texts(),
    "Decimal": lambda: _Form(kinds=frozenset({"number", "string"}), pattern=_DECIMAL),
    **{name: (lambda: _Form(lists={})) for name in LISTS | TUPLES},
    **{name: (lambda: _Form(maps={})) for name in MAPPINGS},
}

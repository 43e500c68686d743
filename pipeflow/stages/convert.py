"""From YAML values to what a function's annotations ask for.

YAML gives text, numbers, booleans, null, lists and mappings; a function may want a ``Path``, an
``Enum`` or a dataclass. Values that are no YAML data (objects of ``shared``) pass as they are, and
so does everything under an annotation that cannot be resolved.
"""

from __future__ import annotations

import datetime as dt
import inspect
import os
import re
import types
import typing
from collections import abc
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from pipeflow.spec.durations import seconds
from pipeflow.stages.rare_types import is_decimal_type, is_uuid_type
from pipeflow.suggest import did_you_mean

if TYPE_CHECKING:
    from decimal import Decimal

_PLAIN: Final = (str, bool, int, float, list, dict, type(None))
_LISTS: Final = (list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable)
_SETS: Final = (set, abc.Set, abc.MutableSet)
_MAPPINGS: Final = (dict, abc.Mapping, abc.MutableMapping)
#: The modules in front of the names of an annotation.
_MODULES: Final = r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])"
_WORDS: Final[Mapping[type, str]] = {
    str: "text",
    bool: "boolean",
    int: "whole number",
    float: "number",
    list: "list",
    dict: "mapping",
}


class Misfit(ValueError):
    """A value is not what the annotation asks for."""


def convert(value: object, annotation: Any, name: str) -> Any:
    """Turn a YAML value into the annotated type.

    Args:
        value: As the pipeline file has it, filled in.
        annotation: A resolved type; ``Any`` leaves the value alone.
        name: What to call it in an error: ``width``, ``box.left``, ``sizes[2]``.

    Raises:
        ValueError: It does not fit; the text names the parameter and both types.
    """
    annotation = _bare(annotation)
    if annotation in {Any, object} or isinstance(annotation, str | typing.TypeVar):
        return value
    if annotation in {None, type(None)}:
        return None if value is None else _refuse(value, "null", name)
    origin = typing.get_origin(annotation)
    if origin in {typing.Union, types.UnionType}:
        return _union(value, annotation, name)
    if origin is typing.Literal:
        return _literal(value, typing.get_args(annotation), name)
    if type(value) not in _PLAIN:
        return value
    kind = origin or annotation
    if is_uuid_type(kind):
        return _parsed(kind, "UUID")(value, name)
    if is_decimal_type(kind):
        return _decimal(value, kind, name)
    if kind in _SCALARS:
        return _SCALARS[kind](value, name)
    if kind in {*_LISTS, *_SETS, *_MAPPINGS, tuple, frozenset}:
        return _container(value, kind, typing.get_args(annotation), name)
    return _instance(value, kind, name) if isinstance(kind, type) else value


def hints_of(function: Callable[..., Any], names: abc.Iterable[str]) -> dict[str, Any]:
    """The resolved annotations of some parameters; those that cannot be resolved are left out.

    Each is resolved alone: an array type that is imported for type checkers only must not hide
    that another parameter is a ``Path``.
    """
    function = inspect.unwrap(function)
    annotations: Mapping[str, Any] = getattr(function, "__annotations__", None) or {}
    scope = getattr(function, "__globals__", {})
    hints = {}
    for name in names:
        if name not in annotations:
            continue
        alone = types.SimpleNamespace(__annotations__={name: annotations[name]})
        try:
            hints[name] = typing.get_type_hints(alone, scope, include_extras=False)[name]
        except Exception:  # noqa: S112 - the boundary to annotations, which may be any expression
            continue
    return hints


def type_name(annotation: Any) -> str:
    """An annotation as people write it: ``list[int]``, ``Path``."""
    if annotation in {None, type(None)}:
        return "None"
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    # "pathlib.Path | None": the modules only make it longer.
    return re.sub(_MODULES, "", str(annotation))


def _bare(annotation: Any) -> Any:
    """The type inside ``Annotated``, ``Final``, ``NewType`` and ``type X = ...``."""
    while True:
        if typing.get_origin(annotation) in {typing.Annotated, typing.Final, typing.ClassVar}:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def _refuse(value: object, wanted: str, name: str) -> typing.NoReturn:
    raise Misfit(f"parameter {name!r} takes {wanted}, but got {_shown(value)}")


def _shown(value: object) -> str:
    if value is None:
        return "null"
    text = repr(value)
    short = text if len(text) <= 60 else text[:57] + "..."
    return f"the {_WORDS.get(type(value), type(value).__name__)} {short}"


def _union(value: object, annotation: Any, name: str) -> Any:
    members = [_bare(member) for member in typing.get_args(annotation)]
    # The member that the value already is comes first: int | str leaves "8" a text, and
    # Path | str leaves text a text.
    exact = [member for member in members if member is type(value)]
    for member in [*exact, *members]:
        try:
            return convert(value, member, name)
        except Misfit:
            continue
    return _refuse(value, type_name(annotation), name)


def _literal(value: object, choices: tuple[Any, ...], name: str) -> Any:
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
        if isinstance(choice, Enum) and value in {choice.value, choice.name}:
            return choice
    return _refuse(value, "one of " + ", ".join(map(repr, choices)), name)


def _text(value: object, name: str) -> str:
    return value if isinstance(value, str) else _refuse(value, "str", name)


def _boolean(value: object, name: str) -> bool:
    return value if isinstance(value, bool) else _refuse(value, "bool (true or false)", name)


def _integer(value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _refuse(value, "int", name)


def _number(value: object, name: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return _refuse(value, "float", name)


def _complex(value: object, name: str) -> complex:
    return complex(_number(value, name))


def _path(value: object, name: str) -> Path:
    return Path(value) if isinstance(value, str) else _refuse(value, "Path", name)


def _timedelta(value: object, name: str) -> dt.timedelta:
    # Numbers are seconds: a param of type duration arrives so. validate refuses a bare one.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return dt.timedelta(seconds=value)
    span = seconds(value) if isinstance(value, str) else None
    if span is None:
        _refuse(value, "timedelta (as 50ms, 2s, 5m or 1h)", name)
    return dt.timedelta(seconds=span)


def _parsed(parse: Callable[[str], Any], wanted: str) -> Callable[[object, str], Any]:
    """A conversion by a function that takes text and complains with ValueError."""

    def scalar(value: object, name: str) -> Any:
        if isinstance(value, str):
            try:
                return parse(value)
            except (ValueError, ArithmeticError):
                pass  # told below, in our words
        return _refuse(value, wanted, name)

    return scalar


def _decimal(value: object, kind: type[Decimal], name: str) -> Decimal:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return kind(str(value))
    result: Decimal = _parsed(kind, "Decimal")(value, name)
    return result


_SCALARS: Final[Mapping[Any, Callable[[object, str], Any]]] = {
    str: _text,
    bool: _boolean,
    int: _integer,
    float: _number,
    complex: _complex,
    Path: _path,
    PurePath: _path,
    os.PathLike: _path,
    dt.timedelta: _timedelta,
    dt.datetime: _parsed(dt.datetime.fromisoformat, "datetime (as 2024-05-01T12:30)"),
    dt.date: _parsed(dt.date.fromisoformat, "date (as 2024-05-01)"),
    dt.time: _parsed(dt.time.fromisoformat, "time (as 12:30)"),
    re.Pattern: _parsed(lambda text: re.compile(text), "re.Pattern"),
}


def _container(value: object, kind: Any, inner: tuple[Any, ...], name: str) -> Any:
    if kind in _MAPPINGS:
        if not isinstance(value, dict):
            _refuse(value, "dict (a mapping)", name)
        return _mapping(value, inner, name)
    if not isinstance(value, list):
        _refuse(value, f"{kind.__name__.lower()} (a list)", name)
    if kind is tuple:
        return _tuple(value, inner, name)
    member = inner[0] if inner else Any
    items = [convert(each, member, f"{name}[{i}]") for i, each in enumerate(value)]
    if kind in _LISTS:
        return items
    try:
        return frozenset(items) if kind is frozenset else set(items)
    except TypeError as error:
        raise Misfit(f"parameter {name!r} takes a set, but its list holds an {error}") from None


def _mapping(value: dict[Any, Any], inner: tuple[Any, ...], name: str) -> dict[Any, Any]:
    key_type, value_type = inner or (Any, Any)
    return {
        convert(key, key_type, f"{name} (key)"): convert(each, value_type, f"{name}.{key}")
        for key, each in value.items()
    }


def _tuple(value: list[Any], inner: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    if not inner:
        return tuple(value)
    kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
    if len(kinds) != len(value):
        _refuse(value, f"a tuple of {len(kinds)}", name)
    pairs = zip(value, kinds, strict=True)
    return tuple(convert(each, kind, f"{name}[{i}]") for i, (each, kind) in enumerate(pairs))


def _instance(value: object, kind: type, name: str) -> Any:
    if issubclass(kind, Enum):
        return _enum(value, kind, name)
    import dataclasses  # slow to load; whoever has one has loaded it

    if dataclasses.is_dataclass(kind):
        return _dataclass(value, kind, name)
    if typing.is_typeddict(kind):
        if not isinstance(value, dict):
            _refuse(value, kind.__name__, name)
        hints = hints_of(kind, value)
        return {
            key: convert(each, hints.get(key, Any), f"{name}.{key}") for key, each in value.items()
        }
    if getattr(kind, "_is_protocol", False):
        return value  # what a Protocol asks for shows when it is used
    return value if isinstance(value, kind) else _refuse(value, kind.__name__, name)


def _enum(value: object, kind: type[Enum], name: str) -> Enum:
    for member in kind:
        if type(member.value) is type(value) and member.value == value:
            return member
    if isinstance(value, str) and value in kind.__members__:
        return kind.__members__[value]
    names = ", ".join(str(member.value) for member in kind)
    return _refuse(value, f"{kind.__name__} (one of {names})", name)


def _dataclass(value: object, kind: type, name: str) -> Any:
    if not isinstance(value, dict):
        _refuse(value, f"{kind.__name__} (a mapping)", name)
    import dataclasses

    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for key in value:
        if key not in fields:
            near = did_you_mean(str(key), fields)
            hint = f"; did you mean {near!r}?" if near else ""
            raise Misfit(f"parameter {name!r}: {kind.__name__} has no field {key!r}{hint}")
    missing = [
        field.name
        for field in fields.values()
        if field.name not in value
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise Misfit(f"parameter {name!r}: {kind.__name__} needs {', '.join(missing)}")
    init = kind.__init__  # type: ignore[misc]  # of this very class, not of an instance
    hints = hints_of(init, value)
    return kind(
        **{key: convert(each, hints.get(key, Any), f"{name}.{key}") for key, each in value.items()}
    )

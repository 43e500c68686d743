"""``dataclass`` as the standard library spells it, made in a tenth of the time.

The standard one writes up to six methods of each class as text and compiles them while the module
is loaded: 0.3 ms a class. ``pipeflow run`` loads 150 of them, and that was a quarter of its start.
Here what is alike in all classes are functions that all classes share, and ``__init__`` is compiled
when some values of a class have been made: of most classes a run makes one, or none.

Type checkers see the standard one, and ``dataclasses`` takes these classes for its own. What
pipeflow does not use is not here: ``ClassVar``, ``InitVar``, ``repr=False`` and the like. Nothing
else of ours is imported here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final, TypeVar

__all__ = ["complete", "dataclass", "field", "replace"]

_Value = TypeVar("_Value")

_NONE: Final = object()  #: stands for what was not given

#: So many values of a class are made before its ``__init__`` is compiled, which takes as long as
#: making twenty. Of most classes a run makes fewer.
_FEW: Final = 8

#: Classes whose ``__init__`` is not compiled yet; a set that keeps its order.
_incomplete: dict[type, None] = {}


def complete(*packages: str) -> None:
    """Compile what is left of the classes of these packages, or of all.

    Before a fork, of what all copies will make: so that it is done once for all.
    """
    beginnings = tuple(f"{name}." for name in packages)
    for cls in list(_incomplete):
        if not packages or f"{cls.__module__}.".startswith(beginnings):
            _complete(cls)


def _dataclass(
    cls: type | None = None,
    /,
    *,
    frozen: bool = False,
    slots: bool = False,
    kw_only: bool = False,
    order: bool = False,
    eq: bool = True,
) -> Any:
    if cls is None:
        return lambda it: _dataclass(
            it, frozen=frozen, slots=slots, kw_only=kw_only, order=order, eq=eq
        )
    facts = _Facts(_fields(cls, kw_only=kw_only), frozen=frozen)
    own = vars(cls)
    methods = {
        "__repr__": _repr,
        "__match_args__": tuple(facts.positional()),
        "__dataclass_fields__": _StandardFields(),
        **(_FROZEN if frozen else {}),
        **(_ORDER if order else {}),
    }
    if eq and "__eq__" not in own:
        methods |= {"__eq__": _eq, "__hash__": _hash if frozen else None}
    body = {name: method for name, method in methods.items() if own.get(name) is None}
    body["__values__"] = facts  # our own mark
    made = _with_slots(cls, facts.fields, body) if slots else _with(cls, body)
    if "__init__" not in own:
        made.__init__ = _first_init(made, facts)  # type: ignore[misc]  # what this is about
        _incomplete[made] = None
    return made


def _field(
    *,
    default: object = _NONE,
    default_factory: Callable[[], object] | None = None,
    init: bool = True,
    compare: bool = True,
) -> Any:
    return _Field(default=default, default_factory=default_factory, init=init, compare=compare)


def _replace(value: _Value, /, **changes: Any) -> _Value:
    facts: _Facts = value.__values__  # type: ignore[attr-defined]  # our own mark
    for name, each in facts.fields.items():
        if each.init and name not in changes:
            changes[name] = getattr(value, name)
    return type(value)(**changes)


# What the rest of pipeflow sees; a type checker knows the standard ones best.
if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:
    dataclass, field, replace = _dataclass, _field, _replace


class _Field:
    """What is known of one attribute."""

    __slots__ = ("compare", "default", "default_factory", "init", "kw_only")

    def __init__(
        self,
        *,
        default: object,
        default_factory: Callable[[], object] | None,
        init: bool,
        compare: bool,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.compare = compare
        self.kw_only = False


class _Facts:
    """What is known of one class.

    Attributes:
        fields: By name; those of its bases first.
        frozen: Whether its values cannot be changed.
        values: Gives all attributes of a value.
        compared: Gives those by which it is compared.
    """

    __slots__ = ("compared", "fields", "frozen", "values")

    def __init__(self, fields: dict[str, _Field], *, frozen: bool) -> None:
        self.fields = fields
        self.frozen = frozen
        self.values = _getter(list(fields))
        self.compared = _getter([name for name, each in fields.items() if each.compare])

    def positional(self) -> list[str]:
        return [name for name, each in self.fields.items() if each.init and not each.kw_only]


class _StandardFields:
    """Gives ``dataclasses`` the fields as it knows them, should it ever ask."""

    def __get__(self, _value: object, owner: Any) -> Mapping[str, object]:
        import dataclasses  # which loads a lot: that it is not loaded is the point of this module

        described: list[tuple[str, Any, Any]] = []
        for name, each in owner.__values__.fields.items():
            settings = {"init": each.init, "compare": each.compare, "kw_only": each.kw_only}
            if each.default is not _NONE:
                settings["default"] = each.default
            elif each.default_factory is not None:
                settings["default_factory"] = each.default_factory
            described.append((name, Any, dataclasses.field(**settings)))
        twin: Any = dataclasses.make_dataclass(owner.__name__, described)
        fields: Mapping[str, object] = twin.__dataclass_fields__
        owner.__dataclass_fields__ = fields
        return fields


def _fields(cls: type, *, kw_only: bool) -> dict[str, _Field]:
    """The fields of a class, those of its bases first; the class itself keeps plain defaults."""
    fields: dict[str, _Field] = {}
    for base in cls.__mro__[:0:-1]:
        facts = vars(base).get("__values__")
        fields |= facts.fields if facts is not None else {}
    for name in cls.__annotations__:
        given = vars(cls).get(name, _NONE)
        if isinstance(given, _Field):
            each = given
            delattr(cls, name)
        else:
            each = _Field(default=given, default_factory=None, init=True, compare=True)
        if each.default is not _NONE:
            if type(each.default).__hash__ is None:
                raise ValueError(f"{cls.__qualname__}.{name}: all values would share one default")
            setattr(cls, name, each.default)
        each.kw_only = kw_only
        fields[name] = each
    return fields


def _with(cls: type, methods: Mapping[str, object]) -> type:
    for name, method in methods.items():
        setattr(cls, name, method)
    return cls


def _with_slots(cls: type, fields: Mapping[str, _Field], methods: Mapping[str, object]) -> type:
    """The class once more: slots cannot be added to one that exists.

    It is born with its methods: to give it each of them afterwards takes as long again.
    """
    own = cls.__annotations__
    left_out = {*own, "__dict__", "__weakref__"}
    body = {name: value for name, value in vars(cls).items() if name not in left_out}
    body |= methods
    body["__slots__"] = tuple(name for name in fields if name in own)
    body["__qualname__"] = cls.__qualname__
    return type(cls)(cls.__name__, cls.__bases__, body)


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[object, ...]]:
    """A function that gives these attributes of a value."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda value: tuple([getattr(value, name) for name in names])


def _first_init(cls: Any, facts: _Facts) -> Callable[..., None]:
    """Makes the first few values by what all classes share; then makes way for the real one."""
    made = 0

    def first(self: object, /, *args: object, **kwargs: object) -> None:
        nonlocal made
        made += 1
        attributes = _attributes(facts, args, kwargs) if made <= _FEW else None
        if attributes is None:
            _complete(cls)
            cls.__init__(self, *args, **kwargs)
            return
        put = object.__setattr__ if facts.frozen else setattr
        for name, value in attributes.items():
            put(self, name, value)
        if hasattr(cls, "__post_init__"):
            self.__post_init__()  # type: ignore[attr-defined]  # as just seen

    return first


def _attributes(
    facts: _Facts, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> dict[str, object] | None:
    """What a value gets of a call; ``None`` if it does not fit: the real one says so best."""
    places = facts.positional() if args else []
    given = {**dict(zip(places, args, strict=False)), **kwargs}
    if len(given) < len(args) + len(kwargs):
        return None  # too many, or one of them twice
    found = dict[str, object]()
    for name, each in facts.fields.items():
        if not each.init:
            continue
        if name in given:
            found[name] = given.pop(name)
        elif each.default_factory is not None:
            found[name] = each.default_factory()
        elif each.default is not _NONE:
            found[name] = each.default
        else:
            return None
    return None if given else found


def _complete(cls: Any) -> None:
    cls.__init__ = _init(cls, cls.__values__)
    _incomplete.pop(cls, None)  # another thread may have been as fast


def _init(cls: Any, facts: _Facts) -> Callable[..., None]:
    """Write and compile an ``__init__``, as the standard library does."""
    known: dict[str, Any] = {"_none": _NONE, "_set": object.__setattr__}
    in_order, by_name, body = ["self"], list[str](), list[str]()
    for name, each in facts.fields.items():
        if not each.init:
            continue
        parameter = value = name
        if each.default_factory is not None:
            known[f"_make_{name}"] = each.default_factory
            parameter = f"{name}=_none"
            value = f"_make_{name}() if {name} is _none else {name}"
        elif each.default is not _NONE:
            known[f"_default_{name}"] = each.default
            parameter = f"{name}=_default_{name}"
        (by_name if each.kw_only else in_order).append(parameter)
        # A frozen value refuses to be set; this is the way around it.
        body.append(f"_set(self, {name!r}, {value})" if facts.frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join([*in_order, "*", *by_name] if by_name else in_order)
    text = f"def __init__({parameters}):\n " + "\n ".join(body or ["pass"])
    exec(text, known)  # noqa: S102 - it has the names of our own attributes in it, and nothing else
    init: Callable[..., None] = known["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


# What all classes share; ``self`` is a value of any of them.


@recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__values__.fields)
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    of = self.__values__.compared
    return of(self) == of(other)


def _hash(self: Any) -> int:
    return hash(self.__values__.compared(self))


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        of = self.__values__.compared
        return compare(of(self), of(other))

    return method


def _refuse(self: Any, name: str, *_: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"{type(self).__qualname__}.{name} cannot be changed")


def _get_state(self: Any) -> list[object]:
    return list(self.__values__.values(self))


def _set_state(self: Any, state: Sequence[object]) -> None:
    for name, value in zip(self.__values__.fields, state, strict=True):
        object.__setattr__(self, name, value)


_ORDER: Final = {
    name: _ordered(getattr(operator, name)) for name in ("__lt__", "__le__", "__gt__", "__ge__")
}
_FROZEN: Final = {
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__getstate__": _get_state,
    "__setstate__": _set_state,
}

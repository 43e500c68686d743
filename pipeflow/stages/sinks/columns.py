"""Columns: which columns a Parquet file has, and of which types, as its rows tell.

The first row names them. Types may widen (whole numbers to numbers) until they are settled, when
the first rows are packed; from then on a row that does not fit is an error of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pipeflow.stages.rendering import plain

_INT64: Final = range(-(2**63), 2**63)
#: What ``types`` may say besides Arrow's own names.
_WORDS: Final[Mapping[str, str]] = {
    "integer": "int64",
    "number": "float64",
    "boolean": "bool",
    "string": "string",
}


def types_of(arrow: Any, given: Mapping[str, object]) -> dict[str, Any]:
    """Arrow's types, by the words of the parameter ``types``.

    Raises:
        ValueError: A word is none.
    """
    types = {}
    for name, word in given.items():
        try:
            types[str(name)] = arrow.type_for_alias(_WORDS.get(str(word), str(word)))
        except ValueError:
            words = ", ".join(_WORDS)
            raise ValueError(
                f"parameter 'types': {name} is one of {words}, or a type of Arrow as "
                f"'timestamp[us]', not {word!r}"
            ) from None
    return types


class Columns:
    """What is known of the columns so far.

    Attributes:
        names: In their order; ``None``: the first row will tell.

    Args:
        arrow: The module ``pyarrow``.
        names: As the stage says.
        types: Column to Arrow's type, as the stage says.
    """

    def __init__(self, arrow: Any, names: Iterable[str] | None, types: Mapping[str, Any]) -> None:
        self._arrow = arrow
        self.names = None if names is None else list(names)
        self._types: dict[str, Any] = dict(types)
        self._declared = frozenset(types)
        self._settled = False
        #: Classes of values that fit without a look at the value.
        self._quick: dict[str, type] = {}

    def fit(self, rows: Iterable[object]) -> list[dict[str, Any]]:
        """The rows of one item with values that Arrow takes; learns the columns' types from them.

        Raises:
            TypeError: One is no row.
            ValueError: One does not fit; nothing was learned of any.
        """
        before = self.names, dict(self._types), dict(self._quick)
        try:
            return [self._row(row) for row in rows]
        except (TypeError, ValueError):
            self.names, self._types, self._quick = before
            raise

    def settle(self) -> Any:
        """The schema; from now on it stays."""
        self._settled = True
        arrow = self._arrow
        null = arrow.null()
        return arrow.schema([(name, self._types.get(name, null)) for name in self.names or ()])

    def take_over(self, schema: Any) -> None:
        """Learn from a table; what the stage says itself stays."""
        if self.names is None:
            self.names = list(schema.names)
        for name in self.names:
            if name in schema.names:
                self._types.setdefault(name, schema.field(name).type)

    def _row(self, item: object) -> dict[str, Any]:
        if not isinstance(item, Mapping):
            raise TypeError(f"a row is a dict, not {type(item).__name__}")
        row = item if isinstance(item, dict) else dict(item)
        if self.names is None:
            self.names = [str(key) for key in row]
        changed: dict[str, Any] = {}
        for key, value in row.items():
            kind = type(value)
            if kind is self._quick.get(key) and (kind is not int or value in _INT64):
                continue
            if value is None and key in self._types:
                continue
            name = str(key)
            if name not in self.names:
                raise ValueError(f"{name!r} is none of the columns {', '.join(self.names)}")
            changed[name] = self._value(name, value)
        if not changed:
            return row
        return {str(key): value for key, value in row.items()} | changed

    def _value(self, name: str, value: Any) -> Any:
        """A value as Arrow takes it, after a look at its type."""
        if value is None:
            return None
        if name in self._declared:
            self._check_declared(name, value)
            return value
        value, found = self._inferred(name, value)
        known = self._types.get(name)
        wider = found if known is None else self._widened(known, found)
        if wider is None or (self._settled and wider != known):
            raise ValueError(f"column {name!r} holds {known or 'nothing'}, and this is {value!r}")
        if isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
            raise ValueError(f"column {name!r}: {value} is too large for 64 bits")
        self._types[name] = wider
        if type(value) in _PLAINEST and wider == found:
            self._quick[name] = type(value)
        elif wider != known:
            self._quick.pop(name, None)
        return value

    def _check_declared(self, name: str, value: Any) -> None:
        kind = self._types[name]
        whole = self._arrow.types.is_integer(kind)
        if whole and isinstance(value, float) and not value.is_integer():
            raise ValueError(f"column {name!r} holds {kind}, and this is {value!r}")
        try:
            self._arrow.array([value], type=kind)
        except (self._arrow.ArrowException, OverflowError, TypeError) as error:
            raise ValueError(f"column {name!r}: {error}") from None

    def _inferred(self, name: str, value: Any) -> tuple[Any, Any]:
        """A value, or the nearest that Arrow knows, with its type."""
        if getattr(value, "ndim", 0) > 1:
            value = value.tolist()  # Arrow takes arrays of one axis only
        try:
            return value, self._arrow.infer_type([value])
        except (self._arrow.ArrowException, TypeError):
            pass  # Arrow has no form for it: JSON may have one
        try:
            nearest = plain(value)
            return nearest, self._arrow.infer_type([nearest])
        except (self._arrow.ArrowException, TypeError) as error:
            raise ValueError(f"column {name!r}: {error}") from None

    def _widened(self, known: Any, found: Any) -> Any:
        """A type that takes in two; ``None``: there is none."""
        if known == found:
            return known
        one, other = (self._arrow.schema([("x", kind)]) for kind in (known, found))
        try:
            both = self._arrow.unify_schemas([one, other], promote_options="permissive")
        except self._arrow.ArrowException:
            return None
        return both.field("x").type


#: What needs no second look once a column is known to hold it.
_PLAINEST: Final = frozenset({str, int, float, bool, bytes})

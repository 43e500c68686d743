"""Items as text: JSON lines, CSV fields and what ``print`` shows."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Final

from pipeflow.stages.rare_types import is_uuid

#: Elements of an array that are worth showing; numpy's own threshold.
LONG_ARRAY: Final = 1000


def json_text(item: object, *, lenient: bool = False) -> str:
    """An item as one line of JSON.

    Paths, dates, UUIDs and the like become text, numpy scalars numbers, arrays and sets lists,
    dataclasses and mappings objects, bytes text.

    Args:
        item: What to write.
        lenient: Objects that JSON has no form for, and long arrays, become their ``repr``; where
            something must be shown whatever it is.

    Raises:
        TypeError: It holds such an object.
    """
    encoder = _LENIENT if lenient else _STRICT
    try:
        return encoder.encode(item)
    except TypeError:
        # Keys are what ``default`` is not asked about. Most items have plain ones, and it costs
        # much to look.
        return encoder.encode(_with_text_keys(item, encoder.default))


def utf8(text: str) -> bytes:
    """Text as UTF-8; halves of surrogate pairs, which it has no bytes for, as JSON escapes them."""
    return text.encode("utf-8", "backslashreplace")


def plain(value: Any) -> object:
    """A value that JSON has no form for, in the nearest one that it has.

    Raises:
        TypeError: There is none.
    """
    match value:
        case Mapping():
            return dict(value)
        case PurePath() | Decimal() | Fraction() | complex():
            return str(value)
        case _ if is_uuid(value):
            return str(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return value.total_seconds()
        case Enum():
            return value.value
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "backslashreplace")
        case set() | frozenset():
            return _sorted(value)
        case _:
            return _by_looks(value)


def _by_looks(value: Any) -> object:
    """What is known by its attributes, not by its class."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: getattr(value, name) for name in names}
    # numpy's scalars and arrays, pandas' series: known by their method, so nothing is imported.
    if callable(to_list := getattr(value, "tolist", None)):
        result: object = to_list()
        return result if type(result) is not type(value) else str(value)
    kind = type(value)
    raise TypeError(
        f"an object of type {kind.__module__}.{kind.__qualname__} cannot be written as JSON: "
        "pass on a dict, a list, text or numbers"
    )


def _sorted(values: Iterable[Any]) -> list[Any]:
    """The members of a set in an order that is the same in every process."""
    members = list(values)
    try:
        return sorted(members)
    except TypeError:
        return sorted(members, key=lambda member: (type(member).__name__, repr(member)))


def _lenient(value: Any) -> object:
    if getattr(value, "size", 0) > LONG_ARRAY and hasattr(value, "dtype"):
        return repr(value)
    try:
        return plain(value)
    except TypeError:
        return repr(value)


class _Encoder:
    """A ``json.JSONEncoder`` that does not make its inner one anew for each item: twice as fast.

    Attributes:
        default: What is asked about objects that JSON does not know.
    """

    def __init__(self, default: Callable[[Any], object]) -> None:
        self.default = default
        self._slow = json.JSONEncoder(ensure_ascii=False, default=default)
        self._quick = self._make()

    def encode(self, item: object) -> str:
        """See ``JSONEncoder.encode``."""
        if self._quick is None:
            return self._slow.encode(item)
        try:
            return "".join(self._quick(item, 0))
        except BaseException:
            # It keeps what it was in the midst of, and would take it for a circle the next time.
            self._quick = self._make()
            raise

    def _make(self) -> Callable[[object, int], Iterable[str]] | None:
        make: Any = getattr(json.encoder, "c_make_encoder", None)
        if make is None:
            return None  # a Python without the part that is written in C
        text = json.encoder.encode_basestring
        quick: Callable[[object, int], Iterable[str]] = make(
            {}, self.default, text, None, ": ", ", ", False, False, True
        )
        return quick


_STRICT: Final = _Encoder(plain)
_LENIENT: Final = _Encoder(_lenient)


def _with_text_keys(item: Any, default: Callable[[Any], Any]) -> Any:
    """The same data, with every key as JSON wants it; ``default`` as for ``json.dumps``."""
    match item:
        case str() | int() | float() | None:
            return item
        case dict():
            return {_key(k, default): _with_text_keys(v, default) for k, v in item.items()}
        case list() | tuple():
            return [_with_text_keys(each, default) for each in item]
        case _:
            return _with_text_keys(default(item), default)


def _key(key: Any, default: Callable[[Any], Any]) -> str | int | float | None:
    if key is None or isinstance(key, str | int | float):
        return key
    as_plain = _with_text_keys(list(key) if isinstance(key, tuple) else default(key), default)
    if as_plain is None or isinstance(as_plain, str | int | float):
        return as_plain
    return json.dumps(as_plain, ensure_ascii=False)


def field_text(value: object) -> str:
    """A value as one CSV field: null is empty, lists and dicts are JSON."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case dict() | list() | tuple():
            return json_text(value)
        case _:
            simple = plain(value)
            return json_text(simple) if isinstance(simple, dict | list) else field_text(simple)


def aligned(rows: list[Mapping[str, object]]) -> list[str]:
    """Rows as an aligned table: a line of column names, one of dashes, then the rows.

    Columns come in the order in which they first appear; columns of numbers are set right.
    """
    columns: dict[str, None] = {}
    for row in rows:
        columns.update(dict.fromkeys(row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [
        max(_width(text) for text in [column, *(line[i] for line in cells)])
        for i, column in enumerate(columns)
    ]
    right = [all(_is_number(row.get(column)) for row in rows) for column in columns]
    ruler = ["-" * width for width in widths]
    lines = [list(columns), ruler, *cells]
    return [_line(line, widths, right) for line in lines]


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = []
    for text, width, to_right in zip(cells, widths, right, strict=True):
        space = " " * (width - _width(text))
        padded.append(space + text if to_right else text + space)
    return "  ".join(padded).rstrip()


def _cell(value: object) -> str:
    """A value on one line; control characters would break the table, or the terminal."""
    if isinstance(value, dict | list | tuple):
        text = json_text(value, lenient=True)
    else:
        text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _is_number(value: object) -> bool:
    if value is None or hasattr(value, "dtype"):
        return value is None or getattr(value, "shape", None) == ()
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _width(text: str) -> int:
    """Columns that a text takes on a terminal: characters of East Asian scripts take two."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )

"""key_hash: a hash that equal keys share in every process and run, for partitions and joins.

Python's own ``hash`` will not do: it is salted for text, by object for much else. A key is
turned into canonical bytes (equal keys, equal bytes) and those are mixed by blake2b. Keys that
differ may share a hash: then they only share a replica.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from numbers import Number
from pathlib import PurePath, PureWindowsPath
from typing import Any, Final

from pipeflow.stages.rare_types import is_uuid

_NAN: Final = b"nan"
#: So many keys are remembered, and of texts those that are no longer than that.
_KNOWN_MOST: Final = 16384
_KNOWN_LENGTH: Final = 64


def key_hash(key: object) -> int:
    """Hash a key into 64 well mixed bits.

    Keys that are equal in Python hash alike: ``1``, ``1.0``, ``True`` and ``np.int64(1)``; two
    times of the same instant; frozen sets in any order.

    Raises:
        TypeError: Such a value cannot be a key; the text says which can.
    """
    if type(key) is str:  # nearly all keys
        return _number(b"s" + key.encode("utf-8", "surrogatepass"))
    if type(key) is int:
        return _number(b"n" + hash(key).to_bytes(8, "little", signed=True))
    return _number(_canonical(key))


class KnownKeys:
    """The replica of each key; of those that come often it is known without hashing them.

    Args:
        replicas: How many there are.
    """

    def __init__(self, replicas: int) -> None:
        self._replicas = replicas
        self._known: dict[str | int, int] = {}

    def number_of(self, key: object) -> int:
        """Number of the replica that gets a key.

        Raises:
            TypeError: See ``key_hash``.
        """
        kind = type(key)
        # Of these two no key equals one of another replica: 1 and True share a hash.
        if kind is not str and kind is not int:
            return key_hash(key) % self._replicas
        known = self._known
        number = known.get(key)  # type: ignore[call-overload]  # it is one of the two
        if number is None:
            number = key_hash(key) % self._replicas
            if kind is int or len(key) <= _KNOWN_LENGTH:  # type: ignore[arg-type]  # it is text
                if len(known) >= _KNOWN_MOST:
                    known.clear()
                known[key] = number  # type: ignore[index]  # see there
        return number  # type: ignore[no-any-return]  # it is one of ours


def _number(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def _digest(key: object) -> bytes:
    return blake2b(_canonical(key), digest_size=8).digest()


def _canonical(key: Any) -> bytes:
    """The same bytes for equal keys; the first letter tells the kinds apart."""
    match key:
        # str and numbers before Enum: a member of a StrEnum or IntEnum equals its value.
        case str():
            return b"s" + str.encode(key, "utf-8", "surrogatepass")
        case None:
            return b"N"
        case int() | float():  # before Number, which takes long to ask for
            return b"n" + _numeric(key)
        # numpy counts its spans of time among the numbers; they equal Python's timedelta.
        case Number() if not _is_numpy_span(key):
            return b"n" + _numeric(key)
        case bytes():
            return b"b" + bytes(key)
        case tuple():
            return b"(" + b"".join(_digest(part) for part in key)
        case frozenset():
            return b"{" + b"".join(sorted(_digest(part) for part in key))
        case Enum():
            return b"e" + f"{_name(key)}.{key.name}".encode()
        case dt.date() | dt.time() | dt.timedelta():
            return _temporal(key)
        case _ if is_uuid(key):
            return b"u" + key.bytes
        case PureWindowsPath():
            return b"p" + str(key).lower().encode("utf-8", "surrogatepass")
        case PurePath():
            return b"p" + str(key).encode("utf-8", "surrogatepass")
        case _:
            return _other(key)


def _is_numpy_span(key: object) -> bool:
    dtype = getattr(key, "dtype", None)
    return dtype is not None and dtype.kind == "m"


def _numeric(key: Any) -> bytes:
    # Of numbers alone, Python's hash is the same everywhere and for all types that compare equal.
    if key.is_nan() if isinstance(key, Decimal) else key != key:  # noqa: PLR0124 - NaN alone differs
        return _NAN
    return hash(key).to_bytes(8, "little", signed=True)


def _temporal(key: dt.date | dt.time | dt.timedelta) -> bytes:
    match key:
        case dt.datetime():
            since = dt.timedelta(days=key.toordinal() - 1) + _of_day(key)
            # Equality, and so the hash, looks at the first of two equal wall times (PEP 495).
            offset = key.replace(fold=0).utcoffset()
            return b"t" + _span(since) if offset is None else b"i" + _span(since - offset)
        case dt.date():
            # numpy's days equal dates and midnights alike, so all three share a hash.
            return b"t" + _span(dt.timedelta(days=key.toordinal() - 1))
        case dt.time():
            offset = key.replace(fold=0).utcoffset()
            since = _of_day(key)
            return b"c" + _span(since) if offset is None else b"C" + _span(since - offset)
        case dt.timedelta():
            return b"d" + _span(key)


def _of_day(time: dt.datetime | dt.time) -> dt.timedelta:
    return dt.timedelta(
        hours=time.hour,
        minutes=time.minute,
        seconds=time.second,
        microseconds=time.microsecond,
    )


def _span(span: dt.timedelta) -> bytes:
    return f"{span.days} {span.seconds} {span.microseconds}".encode()


def _other(key: Any) -> bytes:
    kind = type(key)
    if kind.__module__ == "numpy" and hasattr(key, "dtype") and key.shape == ():
        return _numpy_scalar(key)
    if dataclasses.is_dataclass(key) and not isinstance(key, type):
        settings = getattr(kind, "__dataclass_params__")  # noqa: B009 - mypy does not know it
        if settings.frozen and settings.eq:
            fields = [field for field in dataclasses.fields(key) if field.compare]
            parts = (_digest(getattr(key, field.name)) for field in fields)
            return b"D" + _name(key).encode() + b"(" + b"".join(parts)
        raise TypeError(f"unhashable key: declare {kind.__name__} with @dataclass(frozen=True)")
    if kind.__hash__ is None:
        instead = "a frozenset" if isinstance(key, set) else "a tuple"
        raise TypeError(f"unhashable key of type {kind.__name__}: use {instead} instead")
    raise TypeError(
        f"a value of type {kind.__name__} cannot be a key: use text, bytes, a number, a bool, "
        "None, a date or time, an Enum, a UUID, a Path, a frozen dataclass, or a tuple or "
        "frozenset of these"
    )


def _numpy_scalar(key: Any) -> bytes:
    if key.dtype.kind == "M":
        # Whatever its unit: it equals the Python value of the same time.
        key = key.astype("datetime64[us]")
    elif key.dtype.kind == "m":
        key = key.astype("timedelta64[us]")
    value = key.item()
    if type(value) is type(key):
        raise TypeError(f"a {type(key).__name__} of numpy cannot be a key")
    return _canonical(value)


def _name(key: object) -> str:
    return f"{type(key).__module__}.{type(key).__qualname__}"

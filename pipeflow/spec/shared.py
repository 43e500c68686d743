"""Shared: state that the stages of a pipeline share, as the file declares it."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from enum import Enum
from typing import Final

from pipeflow.errors import Location
from pipeflow.values import dataclass

#: Element types, each with its size in bytes and the letter by which ``struct`` knows it; complex
#: numbers it does not know, so they are for arrays only.
DTYPES: Final[Mapping[str, tuple[int, str]]] = {
    "bool": (1, "?"),
    "int8": (1, "b"),
    "int16": (2, "h"),
    "int32": (4, "i"),
    "int64": (8, "q"),
    "uint8": (1, "B"),
    "uint16": (2, "H"),
    "uint32": (4, "I"),
    "uint64": (8, "Q"),
    "float16": (2, "e"),
    "float32": (4, "f"),
    "float64": (8, "d"),
    "complex64": (8, ""),
    "complex128": (16, ""),
}

#: Element types of which one value can be shared.
VALUE_DTYPES: Final = tuple(name for name, (_, letter) in DTYPES.items() if letter)


class SharedKind(Enum):
    """The four ways in which stages share state."""

    DICT = "dict"
    LIST = "list"
    VALUE = "value"
    ARRAY = "array"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """One piece of state.

    Attributes:
        name: As the file has it.
        kind: What it is.
        at: Where its name stands.
        dtype: Element type of a value or an array, as numpy spells it.
        shape: Length of each axis of an array, slowest first.
        value: What a value is at the start, and each element of an array.
    """

    name: str
    kind: SharedKind
    at: Location
    dtype: str = "float64"
    shape: tuple[int, ...] = ()
    value: bool | int | float = 0

    @property
    def in_manager(self) -> bool:
        """Whether the manager process keeps it; all else lies in shared memory."""
        return self.kind in {SharedKind.DICT, SharedKind.LIST}

    @property
    def nbytes(self) -> int:
        """Bytes of shared memory that it takes; 0 for what the manager process keeps."""
        return 0 if self.in_manager else math.prod(self.shape) * DTYPES[self.dtype][0]

    def __str__(self) -> str:
        match self.kind:
            case SharedKind.VALUE:
                return f"value of {self.dtype}, {self.value} at the start"
            case SharedKind.ARRAY:
                return f"array of {self.dtype}, {' x '.join(map(str, self.shape)) or 'one element'}"
            case _:
                return str(self.kind.value)


@dataclass(frozen=True, slots=True)
class SharedRef:
    """Stands under ``with`` for a piece of shared state, which only a worker has.

    Attributes:
        name: Of the state.
    """

    name: str

    def __str__(self) -> str:
        return f"${{shared.{self.name}}}"


def misfit(value: object, dtype: str) -> str:
    """Why a value is none of an element type: ``"300 does not fit"``; empty if it is one."""
    letter = DTYPES[dtype][1] or "d"
    if dtype == "bool":
        return "" if isinstance(value, bool) else "it is true or false"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "it is a number"
    if letter not in "efd" and not isinstance(value, int):
        return "it is a whole number"
    try:
        struct.pack(f"={letter}", value)
    except (struct.error, OverflowError):
        return "it does not fit"
    return ""


def names_of(parameters: object) -> frozenset[str]:
    """Names of the shared state that the values under ``with`` refer to, at any depth."""
    match parameters:
        case SharedRef(name):
            return frozenset({name})
        case dict():
            return frozenset().union(*map(names_of, parameters.values()))
        case list() | tuple():
            return frozenset().union(*map(names_of, parameters))
        case _:
            return frozenset()


def renamed(parameters: Mapping[str, object], prefix: str) -> dict[str, object]:
    """The values under ``with``, which refer to state whose names have a prefix now."""
    return {key: _renamed(value, prefix) for key, value in parameters.items()}


def _renamed(value: object, prefix: str) -> object:
    match value:
        case SharedRef(name):
            return SharedRef(prefix + name)
        case dict():
            return {key: _renamed(each, prefix) for key, each in value.items()}
        case list():
            return [_renamed(each, prefix) for each in value]
        case _:
            return value

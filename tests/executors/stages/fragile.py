"""Items that fail, hang or end a process when they are unpickled."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np


class Fragile:
    """Becomes its number when it is loaded, or something happens then.

    Args:
        number: What it becomes.
        how: What happens; empty: nothing.
        notes: A folder; each loading leaves a line in a file of its number's name.
        times: It happens so often.
    """

    def __init__(self, number: int, how: str, notes: str, times: int = 1000) -> None:
        self.given = (number, how, notes, times)

    def __reduce__(self) -> Any:
        return load, self.given


def load(number: int, how: str, notes: str, times: int) -> int:
    file = Path(notes) / str(number)
    with file.open("a") as lines:
        lines.write("loaded\n")
    if how and len(file.read_text().splitlines()) <= times:
        fail(number, how)
    return number


def fail(number: int, how: str) -> None:
    match how:
        case "raise":
            raise ValueError(f"{number} on purpose")
        case "exit":
            os._exit(0)
        case "segfault":
            ctypes.string_at(0)
        case "hang":
            time.sleep(1000)
        case _:
            os.kill(os.getpid(), signal.Signals[how])


def fragile(
    stop: int, at: list[int], how: str, notes: Path, times: int = 1000, size: int = 0
) -> Iterator[Any]:
    """Numbers from 0, some of them fragile; or arrays of the same, some with a fragile beside."""
    notes.mkdir(exist_ok=True)
    for number in range(stop):
        item = Fragile(number, how if number in at else "", str(notes), times)
        yield (item, np.full(size, number, np.float64)) if size else item


def wrapped(item: int, at: list[int], how: str, notes: Path, deep: bool = False) -> Any:
    """The same, one by one; ``deep``: it is not plain, so it travels with others."""
    notes.mkdir(exist_ok=True)
    one = Fragile(item, how if item in at else "", str(notes))
    return iter([one]) if deep else one


def same(item: Any) -> Any:
    return item


def kept(item: Any) -> Any:
    """Of an item with an array the number, and what the array says."""
    number, array = item
    return [number, float(array.sum())]


async def slowly(item: Any) -> Any:
    return item


def doubled(items: list[Any]) -> list[Any]:
    return [2 * item for item in items]


def pair(left: Any, right: Any) -> Any:
    return [left, right]


class Late:
    """A reader that is ready only when a file exists."""

    def __init__(self, awaits: Path) -> None:
        until = time.monotonic() + 60
        while not awaits.exists() and time.monotonic() < until:
            time.sleep(0.005)

    def __call__(self, item: Any) -> Any:
        return item["id"]


def pairs(left: list[Any], right: list[Any]) -> list[Any]:
    return [[*each] for each in zip(left, right, strict=True)]


async def pair_slowly(left: Any, right: Any) -> Any:
    return [left, right]


def deadly_pair(left: int, right: int, at: list[int], how: str) -> Any:
    if left in at:
        fail(left, how)
    return [left, right]


def even(item: int) -> int | None:
    return item if item % 2 == 0 else None


def writable(left: Any, right: Any) -> Any:
    """Whether each may be written, and what they say."""
    return [bool(left.flags.writeable), bool(right.flags.writeable), float((left + right).sum())]


class Colour(Enum):
    RED = 1
    GREEN = 2
    BLUE = 3


@dataclass(frozen=True)
class Place:
    name: str
    colour: Colour


class Text(str):
    """Equals the text."""

    __slots__ = ()


def keyed(item: int, kind: str) -> dict[str, Any]:
    """A number with a key of some kind."""
    colour = Colour(1 + item % 3)
    keys = {
        "colour": colour,
        "place": (Place(f"place {item}", colour), item),
        "text": Text(item),
        "span": frozenset([timedelta(seconds=item)]),
    }
    return {"number": item, "key": keys[kind]}


def numbers_of(left: dict[str, Any], right: dict[str, Any]) -> list[int]:
    return [left["number"], right["number"]]


class Trap:
    """Ends the process that asks for its key."""

    def __init__(self, number: int, armed: bool) -> None:
        self.number, self.armed = number, armed

    @property
    def key(self) -> int:
        if self.armed:
            os._exit(3)
        return self.number


def trap(item: int, at: list[int]) -> Trap:
    return Trap(item, item in at)


def numbers_of_traps(left: Trap, right: Trap) -> list[int]:
    return [left.number, right.number]

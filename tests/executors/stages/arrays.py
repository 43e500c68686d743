"""Stages that do with arrays what a run must stand, or must refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import pipeflow

Array = np.ndarray[Any, Any]


def lent(count: int, length: int) -> Iterator[Array]:
    for number in range(count):
        array = pipeflow.empty(length, np.int64)
        array[:] = number
        yield array


def kinds(length: int) -> Iterator[Any]:
    """One array of each kind that is no plain one."""
    numbers = np.arange(length)
    yield numbers.reshape(2, -1).view(np.matrix)
    yield np.ma.masked_array(numbers, numbers % 3 == 0)
    yield np.array([{"a": 1}, None, "x"], dtype=object)
    yield numbers.view([("x", "i8")]).view(np.recarray)


class Refills:
    """Fills one array again and again, which was sent by then."""

    def __init__(self) -> None:
        self._out: Array | None = None

    def __call__(self, item: Array) -> Array:
        if self._out is None:
            self._out = pipeflow.empty(item.shape, item.dtype)
        np.multiply(item, 2, out=self._out)
        return self._out


class Unlocks:
    """Tells of each array that came, and of the last that was sent, whether it can be written."""

    def __init__(self) -> None:
        self._last = self._row = np.zeros(1)

    def __call__(self, item: Array) -> tuple[Array, list[bool]]:
        can = [unlocked(item), unlocked(item[1:]), unlocked(self._last), unlocked(self._row)]
        self._last = pipeflow.empty(item.shape, item.dtype)
        self._row = self._last[1:]
        self._last[:] = item
        return self._last, can


def unlocked(array: Array) -> bool:
    try:
        array.setflags(write=True)
    except ValueError:
        return False
    return True


async def doubled(item: Array) -> Array:
    result = pipeflow.empty(item.shape, item.dtype)
    np.multiply(item, 2, out=result)
    return result


class Remembers:
    """Keeps the last arrays, and looks at all of them each time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[tuple[int, Array]] = []

    def __call__(self, item: Array) -> list[int]:
        self._kept = [*self._kept, (int(item[0]), item[::-2])][-self._most :]
        return [number for number, array in self._kept if (array != number).any()]


def verdict(item: tuple[Array, list[bool]]) -> list[bool]:
    return item[1]


def forward(item: Any) -> Any:
    return item


def part(item: Array) -> Array:
    return item[5:, np.newaxis].T


def total(item: Array) -> list[int]:
    return [int(item.sum()), item.size]


def written(item: Any) -> list[Any]:
    """Whether an array lets itself be written, and what it is."""
    try:
        item[...] = item.copy()
    except ValueError as error:
        return [type(item).__name__, str(item.dtype), item.tolist()[-1] is not None, str(error)]
    return [type(item).__name__, str(item.dtype), item.tolist()[-1] is not None, "written"]

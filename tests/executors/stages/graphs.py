"""Stages for graphs drawn at random: one arithmetic over numbers, objects and arrays.

An item stands for a value and a mark: ``mark * MODULUS + value``. Stages change the value; only
``mark`` changes the mark, which tells by which inputs of merges an item came.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import pipeflow
from pipeflow.stages.context import current

MODULUS = 10**6


def number_of(item: Any) -> int:
    """What an item stands for; an array must be whole."""
    match item:
        case int():
            return item
        case {"n": n, "data": data}:
            assert (data == n % 251).all(), "another array's bytes"
            return int(n)
        case np.ndarray():
            assert (item == item[0]).all(), "another array's bytes"
            return int(item[0])
        case _:
            raise TypeError(f"no item of ours: {item!r}")


def like(item: Any, number: int) -> Any:
    """An item of the same kind and size that stands for another number."""
    match item:
        case {"data": data}:
            return {"n": number, "data": np.full(len(data), number % 251, dtype=np.uint8)}
        case np.ndarray():
            return np.full(len(item), number, dtype=np.int64)
        case _:
            return number


def changed(item: Any, value: int) -> Any:
    return like(item, number_of(item) // MODULUS * MODULUS + value % MODULUS)


def value_of(item: Any) -> int:
    return number_of(item) % MODULUS


def numbers(stop: int, kind: str, size: int) -> Iterator[Any]:
    model: Any = {
        "number": 0,
        "object": {"n": 0, "data": np.zeros(size, dtype=np.uint8)},
        "array": np.zeros(size, dtype=np.int64),
    }[kind]
    for number in range(stop):
        yield like(model, number)


def affine(item: Any, by: int) -> Any:
    return changed(item, value_of(item) * 3 + by)


def same(item: Any) -> Any:
    return item


def sift(item: Any, by: int) -> Any:
    return None if value_of(item) % 3 == by % 3 else item


def fan(item: Any, by: int) -> Iterator[Any]:
    for step in range((value_of(item) + by) % 4):
        yield changed(item, value_of(item) * 5 + step)


def fail(item: Any, by: int) -> Any:
    if value_of(item) % 5 == by % 5:
        raise ValueError(f"no {value_of(item)}")
    return item


def affine_many(items: list[Any], by: int) -> list[Any]:
    return [affine(item, by) for item in items]


def same_many(items: list[Any]) -> Iterator[Any]:
    yield from items


def sift_many(items: list[Any], by: int) -> list[Any]:
    return [sift(item, by) for item in items]


def fail_many(items: list[Any], by: int) -> list[Any]:
    return [fail(item, by) for item in items]


async def affine_later(item: Any, by: int) -> Any:
    await asyncio.sleep(value_of(item) % 3 / 2000)
    return affine(item, by)


async def same_later(item: Any) -> Any:
    return item


async def sift_later(item: Any, by: int) -> Any:
    await asyncio.sleep(0)
    return sift(item, by)


async def fail_later(item: Any, by: int) -> Any:
    await asyncio.sleep(value_of(item) % 2 / 1000)
    return fail(item, by)


async def affine_many_later(items: list[Any], by: int) -> list[Any]:
    await asyncio.sleep(len(items) % 3 / 2000)
    return affine_many(items, by)


async def same_many_later(items: list[Any]) -> list[Any]:
    return items


async def sift_many_later(items: list[Any], by: int) -> list[Any]:
    return sift_many(items, by)


async def fail_many_later(items: list[Any], by: int) -> list[Any]:
    await asyncio.sleep(0)
    return fail_many(items, by)


async def fan_later(item: Any, by: int) -> AsyncIterator[Any]:
    for each in fan(item, by):
        await asyncio.sleep(0)
        yield each


def fan_and_fail(item: Any, by: int) -> Iterator[Any]:
    for step in range(3):
        if (value_of(item) + step) % 7 == by % 7:
            raise ValueError(f"no {value_of(item)} at {step}")
        yield changed(item, value_of(item) + step)


def split(item: Any) -> Any:
    return pipeflow.to("odd", item) if value_of(item) % 2 else item


def mark(item: Any, label: int) -> Any:
    number = number_of(item)
    marks = number // MODULUS * 4 + label
    return like(item, marks * MODULUS + number % MODULUS)


def salvage(letter: dict[str, Any]) -> Any:
    """What a dead letter holds."""
    assert letter["error"]["message"].startswith("no ")
    return changed(letter["item"], value_of(letter["item"]) + letter["emitted"])


def combine(left: Any, right: Any) -> Any:
    return changed(left, value_of(left) * 7 + value_of(right))


@pipeflow.stream
def running(items: Iterator[Any]) -> Iterator[Any]:
    total = 0
    for item in items:
        total += value_of(item)
        yield changed(item, total)


@pipeflow.stream
def in_pairs(items: Iterator[Any]) -> Iterator[Any]:
    """The sum of each two; at the end what is left over, and how many there were."""
    held, count = None, 0
    for item in items:
        count += 1
        if held is None:
            held = item
        else:
            yield changed(item, value_of(held) + value_of(item))
            held = None
    if held is not None:
        yield held
    yield count


class Sums:
    """Gives every other sum at once, and all that it knows at the end."""

    def __init__(self) -> None:
        self.total = self.count = 0

    def __call__(self, item: Any) -> Any:
        self.total += value_of(item)
        self.count += 1
        return changed(item, self.total) if self.count % 2 else None

    def finish(self) -> Iterator[int]:
        yield self.total % MODULUS
        yield self.count


@dataclass
class Note:
    """A sink that notes id and number of each item, as a line of JSON."""

    path: Path

    def __post_init__(self) -> None:
        self.file = self.path.open("w")

    def __call__(self, item: Any) -> None:
        context = current()
        assert context is not None
        self.file.write(json.dumps([list(context.item_id()), number_of(item)]) + "\n")

    def finish(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()

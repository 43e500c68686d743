"""Stages of every form, for the suites that run over both executors."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import pipeflow
from pipeflow.stages.context import current


def numbers(stop: int) -> Iterator[int]:
    yield from range(stop)


def without_end() -> Iterator[int]:
    yield from itertools.count()


def records(stop: int) -> Iterator[dict[str, Any]]:
    for number in range(stop):
        yield {"n": number, "tags": [number % 3, str(number)]}


def arrays(count: int, size: int) -> Iterator[np.ndarray[Any, Any]]:
    for number in range(count):
        yield np.full(size, number, dtype=np.float64)


def square(item: int) -> int:
    return item * item


async def later(item: int) -> int:
    return item


def forgets_to_await(item: int) -> Any:
    return later(item)


def forgets_to_await_lists(items: list[int]) -> Any:
    return [later(item) for item in items]


def forgets_to_await_a_list(items: list[int]) -> Any:
    return later(items[0])


def forgets_to_await_many(item: int) -> Any:
    yield later(item)


def forgets_to_await_a_part(item: int) -> Any:
    return {"n": [later(item)]}


async def many_later(item: int) -> AsyncIterator[int]:
    yield item


def forgets_to_go_through(item: int) -> Any:
    return many_later(item)


def plus_one(item: int) -> int:
    return item + 1


def keep_even(item: int) -> int | None:
    return item if item % 2 == 0 else None


def fan(item: int) -> Iterator[int]:
    for step in range(item % 4):
        yield item * 10 + step


def sometimes_many(item: int) -> Any:
    """What only shows when it runs: some items have many results."""
    return item if item % 3 == 0 else iter([item, item + 1000, item + 2000, item + 3000])


def fail_on_7(item: int) -> int:
    if item % 10 == 7:
        raise ValueError(f"{item} ends in 7")
    return item


def fail_on_odd(item: int) -> int:
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item


def fail_at(item: int, at: int) -> int:
    if item == at:
        raise RuntimeError(f"cannot do {item}")
    return item


def by_parity(item: int) -> Any:
    return pipeflow.to("odd", item) if item % 2 else item


def total_of(item: np.ndarray[Any, Any]) -> float:
    return float(item.sum())


def doubled(item: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return item * 2


def label(item: int, text: str) -> str:
    return f"{text} {item}"


def write_into(item: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    item[0] = 1
    return item


def a_lock(item: int) -> Any:
    return {"lock": threading.Lock(), "item": item}


def change(item: dict[str, Any], mark: str) -> dict[str, Any]:
    item["mark"] = mark
    item["tags"].append(mark)
    return item


def pair(left: Any, right: Any) -> list[Any]:
    return [left, right]


def refuse_pair(left: Any, right: Any) -> None:
    raise ValueError(f"neither {left} nor {right}")


def draw(item: int) -> float:
    return float(pipeflow.rng().random())


@pipeflow.stream
def running_sum(items: Iterator[int]) -> Iterator[int]:
    total = 0
    for item in items:
        total += item
        yield total


@pipeflow.stream
def first_ones(items: Iterator[int], count: int) -> Iterator[int]:
    for _ in range(count):
        yield next(items)


class Tally:
    """Counts what it gets, and says so at the end."""

    def __init__(self, closed: str = "") -> None:
        self.seen = 0
        self.closed = closed

    def __call__(self, item: Any) -> None:
        self.seen += 1

    def finish(self) -> Iterator[int]:
        yield self.seen

    def close(self) -> None:
        if self.closed:
            with Path(self.closed).open("a") as file:
                file.write("closed\n")


class Held:
    """Keeps every array it gets, and checks them all at the end."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray[Any, Any]] = []

    def __call__(self, item: np.ndarray[Any, Any]) -> None:
        self.arrays.append(item)

    def finish(self) -> Iterator[list[Any]]:
        whole = all((array == number).all() for number, array in enumerate(self.arrays))
        writable = any(array.flags.writeable for array in self.arrays)
        yield [len(self.arrays), whole, writable]


@dataclass
class Point:
    x: int


def point(item: int) -> Point:
    return Point(item)


@dataclass
class Keep:
    """A sink that notes each item with its id, as a line of JSON."""

    path: Path

    def __post_init__(self) -> None:
        self.file = self.path.open("w")

    def __call__(self, item: Any) -> None:
        context = current()
        assert context is not None
        self.file.write(json.dumps([list(context.item_id()), item]) + "\n")

    def finish(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def reused(stop: int) -> Iterator[Any]:
    """Gives out the same objects again and again, changed in between."""
    record: dict[str, Any] = {"n": 0, "row": []}
    for number in range(stop):
        record["n"] = number
        record["row"].append(number)
        yield record


def reused_buffer(stop: int) -> Iterator[Any]:
    """The same with a small array inside a fresh dict."""
    buffer = np.zeros(4)
    for number in range(stop):
        buffer[:] = number
        yield {"buffer": buffer}


def buffer_sum(item: dict[str, Any]) -> float:
    return float(item["buffer"].sum())


def from_30_on(item: int) -> int | None:
    return item if item >= 30 else None


class AddOneAtLast:
    """Changes what it gets, and fails two times of three."""

    def __init__(self) -> None:
        self.tried = 0

    def __call__(self, item: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        item += 1
        self.tried += 1
        if self.tried % 3:
            raise ConnectionError
        return item


class SameAtLast:
    """Passes arrays on, one try of three."""

    def __init__(self) -> None:
        self.tried = 0

    def __call__(self, item: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self.tried += 1
        if self.tried % 3:
            raise ConnectionError
        return item


class DrawAtLast:
    """Draws a number for each item, and fails so many times before it gives one."""

    def __init__(self, times: int) -> None:
        self.times, self.tried = times, 0

    def __call__(self, item: int) -> float:
        drawn = draw(item)
        self.tried += 1
        if self.tried % (self.times + 1):
            raise ConnectionError
        return drawn


class Flaky:
    """Fails so many times for each item that it shall fail on before it answers.

    Args:
        times: How often.
        every: On which items: those that it divides.
        many: Answers by two results, of which the first comes before each failure.
    """

    def __init__(self, times: int, every: int = 1, many: bool = False) -> None:
        self.times, self.every, self.many = times, every, many
        self.tried: dict[int, int] = {}

    def __call__(self, item: int) -> Any:
        return self.two(item) if self.many else self.one(item)

    def one(self, item: int) -> int:
        tried = self.tried[item] = self.tried.get(item, 0) + 1
        if item % self.every == 0 and tried <= self.times:
            raise ConnectionError(f"try {tried} of {item}")
        return item

    def two(self, item: int) -> Iterator[Any]:
        yield item
        yield pipeflow.to("second", self.one(item))


def unlike_on_odd(item: int) -> Any:
    """What cannot be pickled, for odd items."""
    return item if item % 2 == 0 else [lambda: item]


def many_unlike_on_odd(item: int) -> Iterator[Any]:
    yield [item]
    yield pipeflow.to("side", item)
    yield [item] if item % 2 == 0 else [lambda: item]


def as_it_is(item: Any) -> Any:
    return item


class UnlikeAtLast:
    def __call__(self, item: int) -> None:
        pass

    def finish(self) -> Iterator[Any]:
        yield 1
        yield lambda: 1

"""Stages that get lists, and stages that are awaited."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np

import pipeflow


def numbers(stop: int) -> Iterator[int]:
    yield from range(stop)


def halting(first: int, rest_s: float) -> Iterator[int]:
    """So many numbers, a rest, and one more."""
    yield from range(first)
    time.sleep(rest_s)
    yield first


def arrays(count: int, size: int) -> Iterator[np.ndarray[Any, Any]]:
    for number in range(count):
        yield np.full(size, number, dtype=np.float64)


def sized(items: list[int]) -> list[tuple[int, int]]:
    return [(item, len(items)) for item in items]


def stamped(items: list[int]) -> list[tuple[int, float]]:
    return [(item, time.monotonic()) for item in items]


def plus_one(item: int) -> int:
    return item + 1


def refuse_7(items: list[int]) -> list[int]:
    if any(item % 10 == 7 for item in items):
        raise ValueError("ends in 7")
    return items


def shorter(items: list[int]) -> list[int]:
    return items[:-1]


def pairs(left: list[int], right: list[int]) -> list[list[int]]:
    return [[a, b, len(left)] for a, b in zip(left, right, strict=True)]


def means(stack: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    assert stack.ndim == 2
    return np.stack([stack.mean(axis=1), np.full(len(stack), len(stack))], axis=1)


def listed(row: np.ndarray[Any, Any]) -> list[float]:
    return [float(each) for each in row]


class InFlight:
    """Waits a moment for each item, and tells how many waited at once."""

    def __init__(self) -> None:
        self.now = self.most = self.calls = 0

    async def __call__(self, item: int) -> int:
        self.now += 1
        self.calls += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep((item * 7 % 5) / 1000)
        self.now -= 1
        return item

    async def finish(self) -> list[int]:
        await asyncio.sleep(0)
        return [self.most]

    async def close(self) -> None:
        await asyncio.sleep(0)
        pipeflow.log.warning(f"closed after {self.calls}")


async def refuse_7_later(item: int) -> int:
    await asyncio.sleep((item * 7 % 5) / 1000)
    if item % 10 == 7:
        raise ValueError(f"{item} ends in 7")
    return item


async def twice(item: int) -> AsyncIterator[int]:
    for _ in range(2):
        await asyncio.sleep((item * 3 % 4) / 1000)
        yield item


async def random_pair(item: int) -> list[float]:
    first = pipeflow.rng().random()
    await asyncio.sleep((item * 7 % 5) / 1000)
    return [first, pipeflow.rng().random()]


async def stuck_at_3(item: int) -> int:
    await asyncio.sleep(3600 if item == 3 else 0)
    return item


async def feed(stop: int) -> AsyncIterator[int]:
    for number in range(stop):
        await asyncio.sleep(0)
        yield number


async def endless() -> AsyncIterator[int]:
    number = 0
    while True:
        await asyncio.sleep(0.001)
        yield number
        number += 1


def deadly_7(items: list[int]) -> list[int]:
    if 7 in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return items


def slow_7(items: list[int]) -> list[int]:
    if 7 in items:
        time.sleep(3600)
    return items

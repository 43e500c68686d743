"""Sources for joins of named inputs: what one stream of things has to do with another."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pipeflow


def orders(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"id": number, "total": number * 7 % 100}


def payments(count: int, skip: int = 5, shuffle: int = 20) -> Iterator[dict[str, Any]]:
    """All but each so-many-th order is paid, not quite in the order of the orders."""
    rng = random.Random(3)
    paid = [number for number in range(count) if number % skip]
    for number in sorted(paid, key=lambda one: one + rng.random() * shuffle):
        yield {"order": number}


def settle(order: dict[str, Any], payment: dict[str, Any]) -> list[int]:
    return [order["id"], payment["order"], order["total"]]


def settle_lists(order: list[Any], payment: list[Any]) -> list[list[int]]:
    return [[one["id"], other["order"]] for one, other in zip(order, payment, strict=True)]


async def settle_soon(order: dict[str, Any], payment: dict[str, Any]) -> list[int]:
    return [order["id"], payment["order"]]


def refuse_odd(order: dict[str, Any], payment: dict[str, Any]) -> list[int]:
    if order["id"] % 2:
        raise ValueError(f"order {order['id']} is odd")
    return [order["id"], payment["order"]]


def some_without_id(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"id": number} if number % 3 else {"name": "nobody"}


def fixed(item: Any) -> Any:
    return item


def rarely(item: int, every: int) -> int | None:
    return None if item % every else item


def thrice(item: int) -> Iterator[int]:
    yield from (item, item, item)


def slowly(count: int, pause: float) -> Iterator[int]:
    for number in range(count):
        time.sleep(pause)
        yield number


def after(file: str, count: int) -> Iterator[int]:
    """Gives nothing until there is a file."""
    while not Path(file).exists():
        time.sleep(0.005)
    yield from range(count)


def for_ever() -> Iterator[int]:
    """Ends with the run."""
    for number in itertools.count():
        if pipeflow.stopping():
            return
        yield number


def noting(left: Any, right: Any, file: str) -> list[Any]:
    """Lets ``after`` go on."""
    Path(file).touch()
    return [left, right]


def touch(item: Any, file: str) -> Any:
    """Lets ``after`` go on."""
    Path(file).touch()
    return item


def not_before(item: int, first: int) -> int | None:
    return item if item >= first else None


class signal_at:  # noqa: N801 - stages bear the names of functions
    """Interrupts the run at the so-many-th call."""

    def __init__(self, pid: int, count: int) -> None:
        self.pid, self.left = pid, count

    def __call__(self, left: Any, right: Any) -> list[Any]:
        self.left -= 1
        if self.left == 0:
            os.kill(self.pid, signal.SIGINT)
        return [left, right]


class Till:
    """Settles, and says in the end how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, order: dict[str, Any], payment: dict[str, Any]) -> int:
        self.count += 1
        return int(order["id"])

    def finish(self) -> Iterator[int]:
        yield self.count

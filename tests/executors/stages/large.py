"""Items of many sizes, some larger than a pipe."""

from __future__ import annotations

import random
from collections.abc import Iterator


def texts(stop: int) -> Iterator[str]:
    chance = random.Random(1)
    for _ in range(stop):
        yield "x" * chance.choice((10, 1_000, 70_000, 300_000))


def many(text: str) -> Iterator[int]:
    for _ in range(400):
        yield len(text)

"""What the bad pipelines of this folder call; it is only ever read, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

raise RuntimeError("a module of the user was imported by validate")


def load(stop: int = 10) -> Iterator[int]:
    yield from range(stop)


def clean(item: object, threshold: float = 0.5) -> object:
    return item


def scale(item: float, factor: float) -> float:
    return item * factor


def paint(item: object, color: str = "red") -> object:
    return item


def split(item: object) -> object:
    return item


def words(item: str) -> Iterator[str]:
    yield from item.split()


def pair(line: str, word: str) -> tuple[str, str]:
    return line, word


def save(item: object) -> None:
    print(item)


class Count:
    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, item: object) -> None:
        self.seen += 1

    def finish(self) -> Iterator[int]:
        yield self.seen


import pipeflow  # noqa: E402 - the cases name the lines above

LIMIT = 3


@pipeflow.stream
def rolling(items: Iterator[float]) -> Iterator[float]:
    yield from items


@pipeflow.stream
async def drifting(items: object) -> AsyncIterator[object]:
    yield items


def smoothed(items: Iterator[float]) -> Iterator[float]:
    yield from items

"""Stages that share state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def count(item: int, total: Any, heights: Any, seen: Any, letters: Any) -> int:
    with total:
        total.value += 1
    with heights as grid:
        grid.array[item % 4] += 0.5
    with seen:
        seen[item % 3] = seen.get(item % 3, 0) + 1
    letters.append(item)
    return item


class Tell:
    """Tells at the end what the others have left."""

    def __init__(self, total: Any, heights: Any, seen: Any, letters: Any) -> None:
        self._all = total, heights, seen, letters

    def __call__(self, item: int) -> None:
        pass

    def finish(self) -> Iterator[Any]:
        total, heights, seen, letters = self._all
        yield total.value
        yield heights.array.tolist()
        yield sorted(seen.items())
        yield sorted(letters)


def raise_inside(item: int, total: Any) -> int:
    with total:
        total.value += 1
        if item == 3:
            raise ValueError("on purpose")
    return item


def read_only_copy(item: int, seen: Any) -> list[int]:
    """What is read of a dict is a copy."""
    seen["list"] = [1]
    seen["list"].append(2)
    return list(seen["list"])


def whole(item: int, seen: Any, letters: Any) -> Any:
    """The objects themselves as items: they travel as what they hold."""
    seen[str(item)] = item
    letters.append(item)
    return [seen, letters]


def value_itself(item: int, total: Any) -> Any:
    return total


def held(stop: int, total: Any) -> Iterator[int]:
    """A source that yields with the lock in its hands."""
    with total:
        yield from range(stop)


def wants(item: int, total: Any) -> int:
    with total:
        return item

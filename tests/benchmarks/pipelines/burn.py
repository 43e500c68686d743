"""Stages of w6: an item is about a millisecond of Python."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: Items repeat their work after so many, so that what must come out is quickly known.
PERIOD: Final = 4
MASK: Final = 0x7FFFFFFF

#: The item's number and what came out.
Result = tuple[int, int]


def numbers(count: int, folder: Path) -> Iterator[int]:
    first_ns = time.perf_counter_ns()
    yield from range(count)
    (folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))


def burn(item: int, steps: int) -> Result:
    value = item % PERIOD
    for _ in range(steps):
        value = (value * 1103515245 + 12345) & MASK
    return item, value


class Ordered:
    """Sums what came out, and sees that it comes in order."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "sink-0.json"
        self._items = 0
        self._total = 0
        self._wrong = 0
        self._last_ns = 0

    def __call__(self, result: Result) -> None:
        item, value = result
        self._wrong += item != self._items
        self._items += 1
        self._total += value
        self._last_ns = time.perf_counter_ns()

    def finish(self) -> None:
        facts = {
            "last_ns": self._last_ns,
            "items": self._items,
            "total": self._total,
            "wrong": self._wrong,
        }
        self._file.write_text(json.dumps(facts))

"""Stages of w1int: nothing but integers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path


def ints(count: int, folder: Path) -> Iterator[int]:
    first_ns = time.perf_counter_ns()
    yield from range(count)
    (folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))


def add_one(item: int) -> int:
    return item + 1


class Total:
    """Sums what it gets; like w1 it looks at the clock when its input ends."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "sink-0.json"
        self._items = 0
        self._total = 0

    def __call__(self, item: int) -> None:
        self._items += 1
        self._total += item

    def finish(self) -> None:
        facts = {"last_ns": time.perf_counter_ns(), "items": self._items, "total": self._total}
        self._file.write_text(json.dumps(facts))

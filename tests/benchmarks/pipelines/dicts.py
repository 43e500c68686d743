"""Stages of w1: small objects, a new one made at each step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict


class Sample(TypedDict):
    """What travels in w1."""

    id: int
    x: float


def dicts(count: int, folder: Path) -> Iterator[Sample]:
    first_ns = time.perf_counter_ns()
    for i in range(count):
        yield {"id": i, "x": i * 0.5}
    (folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))


def rebuild(item: Sample) -> Sample:
    return {"id": item["id"], "x": item["x"] + 1.0}


class Total:
    """Sums what it gets.

    It looks at the clock when its input ends: a look for each item would be a good part of what
    an item costs here.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "sink-0.json"
        self._items = 0
        self._total = 0.0

    def __call__(self, item: Sample) -> None:
        self._items += 1
        self._total += item["x"]

    def finish(self) -> None:
        facts = {"last_ns": time.perf_counter_ns(), "items": self._items, "total": self._total}
        self._file.write_text(json.dumps(facts))

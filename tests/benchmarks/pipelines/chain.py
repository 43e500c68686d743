"""Stages of w5: numbers pass through a chain, and the sink notes when the first one came."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path


def numbers(count: int, folder: Path) -> Iterator[int]:
    first_ns = time.perf_counter_ns()
    yield from range(count)
    (folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))


def forward(item: int) -> int:
    return item


class Arrivals:
    """Notes when the first and the last item came."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "sink-0.json"
        self._times_ns: list[int] = []
        self._total = 0

    def __call__(self, item: int) -> None:
        self._times_ns.append(time.perf_counter_ns())
        self._total += item

    def finish(self) -> None:
        facts = {
            "arrived_ns": self._times_ns[0],
            "last_ns": self._times_ns[-1],
            "items": len(self._times_ns),
            "total": self._total,
        }
        self._file.write_text(json.dumps(facts))

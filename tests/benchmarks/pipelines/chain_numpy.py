"""The stages of w5 as most people's are: their module imports numpy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np


def numbers(count: int, folder: Path) -> Iterator[np.int64]:
    first_ns = time.perf_counter_ns()
    yield from np.arange(count)
    (folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))


def forward(item: np.int64) -> np.int64:
    return item


class Arrivals:
    """Notes when the first and the last item came."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "sink-0.json"
        self._times_ns: list[int] = []
        self._total = np.int64(0)

    def __call__(self, item: np.int64) -> None:
        self._times_ns.append(time.perf_counter_ns())
        self._total += item

    def finish(self) -> None:
        facts = {
            "arrived_ns": self._times_ns[0],
            "last_ns": self._times_ns[-1],
            "items": len(self._times_ns),
            "total": int(self._total),
        }
        self._file.write_text(json.dumps(facts))

"""Stages of the chaos runs: numbers, a little work on each, sinks that see that all of it comes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def numbers(stop: int, seconds: float) -> Iterator[int]:
    """All of them, as fast as they go, but no faster than in so many seconds."""
    began = time.monotonic()
    for number in range(stop):
        if not number % 1000:
            time.sleep(max(0.0, seconds * number / stop - (time.monotonic() - began)))
        yield number


class Work:
    """Any other class promises that a fresh object can go on where a dead one stopped."""

    def __call__(self, number: int) -> dict[str, int]:
        return {"number": number, "square": number * number}


class Count:
    """Counts what comes, and notes what is out of order, or wrong."""

    def __init__(self, to: Path) -> None:
        self.to = to
        self.last, self.count, self.total, self.wrong = -1, 0, 0, list[Any]()

    def __call__(self, item: dict[str, int]) -> None:
        number = item["number"]
        if number <= self.last or item["square"] != number * number:
            self.wrong.append((self.last, number))
        self.last, self.count, self.total = number, self.count + 1, self.total + number

    def finish(self) -> None:
        told = {"count": self.count, "total": self.total, "wrong": self.wrong[:10]}
        self.to.write_text(json.dumps(told))

"""Stages for looking at their processes' memory: they work, then stay until they are let go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ITEMS: Final = 5_000


def numbers(folder: Path) -> Iterator[int]:
    yield from range(ITEMS)
    # All workers are up and have worked; the one who looks at them opens the other end.
    with (folder / "go").open("rb", buffering=0) as go:
        go.read(1)


def forward(item: int) -> int:
    return item


class Told:
    """Tells through a FIFO when all items have come."""

    def __init__(self, folder: Path) -> None:
        self._due = ITEMS
        self._come = os.open(folder / "come", os.O_RDWR)

    def __call__(self, item: int) -> None:
        self._due -= 1
        if not self._due:
            os.write(self._come, b".")

    def close(self) -> None:
        os.close(self._come)

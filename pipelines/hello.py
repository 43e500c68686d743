"""The stages of hello.yaml: three sources, as plain as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator

PAUSE_S = 0.1  # so that one can see the two take turns


def numbers(stop: int) -> Iterator[int]:
    """Count from 1 to ``stop``."""
    for number in range(1, stop + 1):
        yield number
        time.sleep(PAUSE_S)


def letters(text: str) -> Iterator[str]:
    """Spell a text."""
    for letter in text:
        yield letter
        time.sleep(PAUSE_S)


def mixture() -> Iterator[list[int | str | None]]:
    """Give one item: a list travels as it is, with all that is in it."""
    yield [42, None, "hello"]

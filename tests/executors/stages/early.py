"""Stages of a run that ends early, one replica of a stage before the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pipeflow


def outlasted(item: int, last: int, flag: str, at: int) -> Iterator[int]:
    """Passes items on to the last, which it gives until it is ended; it fails at all behind.

    With item ``at`` it makes a file.
    """
    if item == at:
        Path(flag).touch()
    if item > last:
        raise ValueError(f"{item} comes too late")
    yield item
    while item == last:
        yield item


def after(item: int, at: int, flag: str) -> int:
    """Waits at one item until there is a file."""
    while flag and item == at and not Path(flag).exists():
        time.sleep(0.005)
    return item


def lost(letter: dict[str, Any], flag: str, at: int) -> int:
    """What was in a dead letter; with item ``at`` it makes a file."""
    item: int = letter["item"]
    if item == at:
        Path(flag).touch()
    return item


@pipeflow.stream
def up_to(items: Iterator[int], last: int) -> Iterator[int]:
    """The odd ones as far as ``last``; even ones without end."""
    for item in items:
        yield item
        if item == last:
            return

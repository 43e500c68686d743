"""Stages of a run that ends early, one replica of a stage before the other."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pipeflow
from pipeflow.stages.context import current


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


def stuck(item: int, at: int) -> int:
    """Fails at odd items, and is never done with one."""
    if item == at:
        time.sleep(1000)
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item


@pipeflow.stream
def some(items: Iterator[int], replica: int, count: int) -> Iterator[int]:
    """All items; of one replica so many."""
    context = current()
    assert context is not None
    if context.replica == replica:
        items = itertools.islice(items, count)
    yield from items

"""Stages of a run that ends early, one replica of a stage before the other."""

from __future__ import annotations

import itertools
import os
import select
import time
from collections.abc import Iterator
from typing import Any

import pipeflow
from pipeflow.stages.context import current

#: Longest wait for the other side, in seconds.
DEADLINE_S = 60.0


def outlasted(item: int, last: int, signal: str, at: int) -> Iterator[int]:
    """Passes items on to the last, which it gives until it is ended; it fails at all behind.

    With item ``at`` it gives a signal.
    """
    if item == at:
        give(signal)
    if item > last:
        raise ValueError(f"{item} comes too late")
    yield item
    while item == last:
        yield item


def after(item: int, at: int, signal: str) -> int:
    """Waits at one item for a signal; for an empty name it does not."""
    if signal and item == at:
        await_signal(signal)
    return item


def lost(letter: dict[str, Any], signal: str, at: int) -> int:
    """What was in a dead letter; with item ``at`` it gives a signal."""
    item: int = letter["item"]
    if item == at:
        give(signal)
    return item


def give(signal: str) -> None:
    """Write to a fifo, which the test holds open."""
    fd = os.open(signal, os.O_WRONLY)
    os.write(fd, b"!")
    os.close(fd)


def await_signal(signal: str) -> None:
    """Wait until somebody has written to a fifo.

    Raises:
        TimeoutError: Nobody has.
    """
    fd = os.open(signal, os.O_RDONLY | os.O_NONBLOCK)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(DEADLINE_S * 1000):
            raise TimeoutError(f"nobody has written to {signal} in {DEADLINE_S:.0f} s")
    finally:
        os.close(fd)


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


def three(signal: str) -> Iterator[int]:
    """Three items; it ends when there is a signal."""
    yield from range(3)
    if signal:
        await_signal(signal)


class Pairs:
    """Gives a signal when it is closed."""

    def __init__(self, signal: str) -> None:
        self._signal = signal

    def __call__(self, first: int, second: int) -> int:
        return first + second

    def close(self) -> None:
        give(self._signal)


def endless() -> Iterator[int]:
    """Never ends by itself."""
    yield from itertools.count()


def add(first: int, second: int) -> int:
    """The sum of a pair."""
    return first + second

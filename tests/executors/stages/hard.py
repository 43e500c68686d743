"""Stages that flood, stall, lag and fail, for the suite of what the easy way gets wrong."""

from __future__ import annotations

import faulthandler
import itertools
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeflow.runtime.last_words import WHERE_SIGNAL
from pipeflow.stages.context import current

#: For what will surely come; a test that waits so long has failed.
DEADLINE_S = 20.0


def await_file(path: Path) -> None:
    """Until another stage has made this file."""
    deadline = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        select.select([], [], [], 0.005)


def flood(item: int, count: int) -> Iterator[int]:
    yield from range(count)


def asked(path: Path) -> Iterator[int]:
    """An endless source that notes each time when it is asked for an item."""
    number = 0
    while True:
        with path.open("a") as file:
            file.write("asked\n")
        yield number
        number += 1


def once_there(path: str, count: int) -> Iterator[int]:
    """Waits for a file, then gives its items."""
    await_file(Path(path))
    yield from range(count)


def small_and_large(folder: str, nbytes: int) -> Iterator[bytes]:
    """One item; when that is in the reader's hand, one that no pipe has room for."""
    yield b""
    await_file(Path(folder) / "in hand")
    yield bytes(nbytes)


def held_until(item: bytes, folder: str) -> int:
    """A reader that has the first item in hand until a file is there."""
    if not item:
        (Path(folder) / "in hand").touch()
        await_file(Path(folder) / "go on")
    return len(item)


def be_stuck(item: int, patience_s: float) -> None:
    """A reader that takes one item and no more; it gives the run an end."""
    select.select([], [], [], patience_s)
    raise RuntimeError("stuck for good")


def take_time(item: int, first_s: float) -> None:
    """A reader that is long at its first item."""
    if item == 0:
        select.select([], [], [], first_s)


def first_and_rest(folder: Path, count: int, readers: int = 1) -> Iterator[int]:
    """An item for each reader; when these are in their hands all the others, without waiting."""
    yield from range(readers)
    for replica in range(readers):
        await_file(folder / f"in hand of {replica}")
    yield from range(readers, count)
    (folder / "all sent").touch()


def until_closed(folder: Path) -> Iterator[int]:
    """Numbers without end; says so when it is closed."""
    try:
        yield from itertools.count()
    except GeneratorExit:
        (folder / "closed").touch()
        raise


def asked_too_early(item: int) -> int:
    """As if this process were asked where it is before it can answer."""
    faulthandler.unregister(WHERE_SIGNAL)
    os.kill(os.getpid(), WHERE_SIGNAL)
    return item


def stall_on_first(item: int, folder: Path) -> int:
    """Keep item 0 in hand until all the others have been sent."""
    if item == 0:
        (folder / "in hand of 0").touch()
        await_file(folder / "all sent")
    return item


def stall_on_each(item: int, folder: Path) -> int:
    """Keep every item in hand until all have been sent."""
    context = current()
    assert context is not None
    (folder / f"in hand of {context.replica}").touch()
    await_file(folder / "all sent")
    return item


def texts(count: int, size: int) -> Iterator[str]:
    for number in range(count):
        yield f"{number} ".ljust(size, "x")


def unevenly(item: str, slow_s: float) -> str:
    """The first replica takes a hundred times as long as the others."""
    context = current()
    assert context is not None
    select.select([], [], [], slow_s if context.replica == 0 else slow_s / 100)
    return item


def number_of(item: str) -> int:
    return int(item.split(maxsplit=1)[0])


def same(item: Any) -> Any:
    return item


def users(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"user": ["anna", "bert", ("c", 3), 2.0, None, True, b"d"][number % 7], "n": number}


def where(item: dict[str, Any]) -> list[Any]:
    """Which replica an item meets."""
    context = current()
    assert context is not None
    return [repr(item["user"]), context.replica]


def arrays(count: int, size: int) -> Iterator[np.ndarray[Any, Any]]:
    for number in range(count):
        yield np.full(size, number % 251, dtype=np.uint8)


class Window:
    """Keeps the arrays that came last, and sees that they stay what they were."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.held: list[np.ndarray[Any, Any]] = []
        self.seen = 0

    def __call__(self, item: np.ndarray[Any, Any]) -> None:
        self.held.append(item)
        del self.held[: -self.length]
        self.seen += 1

    def finish(self) -> Iterator[list[int]]:
        first = self.seen - len(self.held)
        whole = sum(
            int((array == (first + place) % 251).all()) for place, array in enumerate(self.held)
        )
        yield [len(self.held), whole]


def fail_at(item: int, at: int, note: Path) -> int:
    if item == at:
        note.write_text(str(time.monotonic()))
        raise RuntimeError(f"cannot do {item}")
    return item


def hold_first(item: int) -> None:
    """Never gives the first item back."""
    select.select([], [], [], 1000.0)


def slowly(item: int) -> None:
    """A little slower than its writers, so that what lies before it is full."""
    until = time.perf_counter() + 20e-6
    while time.perf_counter() < until:
        pass

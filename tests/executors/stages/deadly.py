"""Stages that end their own process at chosen items, or take too long; each item is logged."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import pipeflow


def numbers(stop: int) -> Iterator[int]:
    yield from range(stop)


def arrays(stop: int, size: int) -> Iterator[Any]:
    for number in range(stop):
        yield np.full(size, number, np.float64)


def end_process(how: str) -> None:
    """End it in one of many ways."""
    match how:
        case "exit":
            os._exit(0)
        case "exit 5":
            os._exit(5)
        case "abort":
            os.abort()
        case "segfault":
            ctypes.string_at(0)
        case "hang":
            time.sleep(1000)
        case "native hang":
            # PyDLL keeps the lock of the interpreter: nothing of Python's runs meanwhile.
            ctypes.PyDLL(None).sleep(1000)
        case _:
            os.kill(os.getpid(), signal.Signals[how])


def with_program(item: int, note: Path) -> bool:
    """Start a program with the first item, and die; later say whether it is still there."""
    if item == 0:
        program = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        note.write_text(str(program.pid))
        end_process("SIGKILL")
    return Path(f"/proc/{note.read_text()}").exists()


def thirds(item: int, at: list[int], notes: Path) -> int | None:
    """Every third number, and nothing for the others; some end the process."""
    with (notes / str(item)).open("a") as lines:
        lines.write("tried\n")
    if item in at:
        end_process("SIGKILL")
    return item if item % 3 == 0 else None


def failing_first(item: int, at: list[int], notes: Path, fails: int) -> int:
    """Some items fail so many times before they end the process."""
    file = notes / str(item)
    with file.open("a") as lines:
        lines.write("tried\n")
    if item in at:
        if len(file.read_text().splitlines()) <= fails:
            raise ConnectionError(f"{item} fails")
        end_process("SIGKILL")
    return item


class Deadly:
    """Passes numbers on; ends its process at some of them, at their first tries or at all.

    Args:
        at: The items.
        how: The way.
        times: How many tries of each end so; needs ``notes``.
        notes: A folder; each try leaves a line in a file of its item's name.
        many: Each item gives so many results; its process ends before the last.
    """

    def __init__(
        self, at: list[int], how: str, notes: Path, times: int = 1000, many: int = 0
    ) -> None:
        self.at, self.how, self.notes = frozenset(at), how, notes
        self.times, self.many = times, many
        notes.mkdir(exist_ok=True)

    def __call__(self, item: Any) -> Any:
        number = int(item[0]) if isinstance(item, np.ndarray) else int(item)
        file = self.notes / str(number)
        with file.open("a") as notes:
            notes.write("tried\n")
        tries = len(file.read_text().splitlines())
        if self.many:
            return self._several(item, number, tries)
        if number in self.at and tries <= self.times:
            end_process(self.how)
        return item

    def _several(self, item: Any, number: int, tries: int) -> Iterator[Any]:
        for each in range(self.many):
            if each == self.many - 1 and number in self.at and tries <= self.times:
                end_process(self.how)
            yield (number, each)


class Measured(Deadly):
    """Counts in a metric, and is closed."""

    def __call__(self, item: Any) -> Any:
        pipeflow.metric("seen").add(1)
        return super().__call__(item)

    def close(self) -> None:
        (self.notes / "closed").touch()


class Summing:
    """Keeps state, and dies at an item."""

    def __init__(self, at: int) -> None:
        self.at, self.total = at, 0

    def __call__(self, item: int) -> None:
        if item == self.at:
            time.sleep(1000)
        self.total += item

    def finish(self) -> Iterator[int]:
        yield self.total


def half(array: Any) -> Any:
    """A new array in shared memory."""
    made = pipeflow.empty(array.shape, array.dtype)
    made[:] = array / 2
    if int(array[0]) % 7 == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return made


def kept_whole(array: Any) -> float:
    """Sees that an array is all of one number."""
    assert float(array.min()) == float(array.max())
    return float(array[0])


def pair(left: int, right: int) -> list[int]:
    """Ends its process at a pair in the middle of a row."""
    if left == 1017:
        os.kill(os.getpid(), signal.SIGKILL)
    return [left, right]


def numbers_of(item: int) -> Iterator[int]:
    """Many results, which wait for their reader in all longer than the time limit."""
    for _ in range(5):
        yield item


def slowly(_item: int) -> None:
    """A reader that is slower than its writer may be."""
    time.sleep(0.02)


async def deadly_task(item: int) -> int:
    """Many at a time; some of them end their process, after a while."""
    await asyncio.sleep(0.001 * (item % 3))
    if item % 10 == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return item

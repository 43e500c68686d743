"""The shared memory of a run's state: who holds which lock, then the values and arrays.

    a word a state    the worker that holds its lock, plus 1; 0: nobody
    a word a worker   the state for whose lock its code waits, plus 1; 0: for none
    64-byte lines     each value and array, from the start of a line

The words are for people, for the supervisor and for who takes a lock next: the locks themselves
are the kernel's.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from typing import Final

from pipeflow.runtime.board import Words
from pipeflow.spec.shared import Shared
from pipeflow.stages.shared_state import fill_start

_LINE: Final = 64
_WORD: Final = 8


class StateMemory:
    """One mapping of it.

    Args:
        fd: The memory; stays open.
        shared: All state, by number.
        workers: How many workers there are.
    """

    def __init__(self, fd: int, shared: Sequence[Shared], workers: int) -> None:
        whole = memoryview(mmap.mmap(fd, size_of(shared, workers)))
        words = whole[: _WORD * (len(shared) + workers)].cast("Q")
        self.holders: Words = words[: len(shared)]
        self.waits: Words = words[len(shared) :]
        self.states = tuple(
            whole[start : start + each.nbytes]
            for start, each in zip(_starts(shared, workers), shared, strict=False)
        )


def create(fd: int, shared: Sequence[Shared], workers: int) -> StateMemory:
    """Write what everything is at the start.

    Args:
        fd: Memory of the right size, all zeroes.
        shared: All state, by number.
        workers: How many workers there are.

    Raises:
        OSError: The machine has not so much memory.
    """
    if hasattr(os, "posix_fallocate"):  # else who writes first would be killed for it
        os.posix_fallocate(fd, 0, size_of(shared, workers))
    memory = StateMemory(fd, shared, workers)
    for each, state in zip(shared, memory.states, strict=True):
        if not each.in_manager:
            fill_start(each, state)
    return memory


def size_of(shared: Sequence[Shared], workers: int) -> int:
    """Bytes that all of it takes."""
    return _starts(shared, workers)[-1]


def _starts(shared: Sequence[Shared], workers: int) -> list[int]:
    """Where each one starts, and where all ends."""
    starts = [_lines(_WORD * (len(shared) + workers))]
    for each in shared:
        starts.append(starts[-1] + _lines(each.nbytes))
    return starts


def _lines(nbytes: int) -> int:
    return -(-nbytes // _LINE) * _LINE

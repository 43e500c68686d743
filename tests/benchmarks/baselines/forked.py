"""Processes of a hand-written baseline: forked, joined, and none of them may fail."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Final

FORK: Final = multiprocessing.get_context("fork")


def run_together(*bodies: Callable[[], None]) -> None:
    """Run each body in a process of its own and wait for all; readers are best named first.

    Raises:
        RuntimeError: One of them failed; the others are ended.
    """
    processes = [FORK.Process(target=body) for body in bodies]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join()
            if process.exitcode != 0:
                raise RuntimeError(f"a process of the baseline exited {process.exitcode}")
    finally:
        _end(processes)


def _end(processes: Sequence[multiprocessing.process.BaseProcess]) -> None:
    for process in processes:
        if process.is_alive():
            process.kill()
        process.join()

"""What stages write past Python while they share our process: kept apart from standard output."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def stray_to_stderr(stdout: TextIO, stderr: int | None) -> Iterator[int]:
    """Lead descriptor 1 to standard error for a while, and give another for standard output.

    A program that a stage starts, or a library in C, writes to the descriptor itself, whatever
    ``sys.stdout`` is. In processes of their own, stages have a descriptor of their own; here they
    have ours.

    Args:
        stdout: Our standard output; it has a descriptor.
        stderr: Descriptor of standard error; ``None``: there is none, and stray text is dropped.
    """
    number = stdout.fileno()
    stdout.flush()
    kept = os.dup(number)
    try:
        aside = os.open(os.devnull, os.O_WRONLY) if stderr is None else os.dup(stderr)
        os.dup2(aside, number)
        os.close(aside)
        try:
            yield kept
        finally:
            try:
                stdout.flush()  # what was written to ``sys.__stdout__`` is stray as well
            finally:
                os.dup2(kept, number)
    finally:
        os.close(kept)

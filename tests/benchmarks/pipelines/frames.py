"""Stages of w2: whole frames are filled, doubled, summed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import pipeflow

#: Frame number i is filled with i modulo this: small numbers have exact sums.
PERIOD: Final = 64

Frame = NDArray[np.float32]


def fresh(rows: int, columns: int, frames: int, folder: Path) -> Iterator[Frame]:
    first_ns = time.perf_counter_ns()
    for i in range(frames):
        yield np.full((rows, columns), i % PERIOD, np.float32)
    (folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))


def shared(rows: int, columns: int, frames: int, folder: Path) -> Iterator[Frame]:
    """Do the same in arrays that lie in shared memory from the start."""
    first_ns = time.perf_counter_ns()
    for i in range(frames):
        yield fill(pipeflow.empty((rows, columns), np.float32), i)
    (folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))


def fill(frame: Frame, number: int) -> Frame:
    frame.fill(number % PERIOD)
    return frame


def double(frame: Frame) -> Frame:
    return frame * 2


def double_shared(frame: Frame) -> Frame:
    return double_into(frame, pipeflow.empty(frame.shape, frame.dtype))


def double_into(frame: Frame, out: Frame) -> Frame:
    return np.multiply(frame, 2, out=out)


class Sums:
    """Sums each frame and compares it with the sum that it must have."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "sink-0.json"
        self._facts: dict[str, Any] = {"last_ns": 0, "items": 0, "wrong": 0}

    def __call__(self, frame: Frame) -> None:
        facts = self._facts
        expected = 2 * (facts["items"] % PERIOD) * frame.size
        facts["wrong"] += abs(float(frame.sum()) - expected) > 1e-4 * expected
        facts["items"] += 1
        facts["last_ns"] = time.perf_counter_ns()

    def finish(self) -> None:
        self._file.write_text(json.dumps(self._facts))

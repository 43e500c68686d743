"""Stages of hand and fan4: frames travel, and nobody looks at more than their two ends."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import pipeflow

Frame = NDArray[np.float32]


def private(length: int, frames: int, folder: Path) -> Iterator[Frame]:
    """One array of one's own, yielded again and again."""
    frame = np.zeros(length, np.float32)
    first_ns = time.perf_counter_ns()
    for i in range(frames):
        yield number(frame, i)
    (folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))


def shared(length: int, frames: int, folder: Path) -> Iterator[Frame]:
    """Arrays that lie in shared memory from the start."""
    first_ns = time.perf_counter_ns()
    for i in range(frames):
        yield number(pipeflow.empty((length,), np.float32), i)
    (folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))


def number(frame: Frame, i: int) -> Frame:
    frame[0] = frame[-1] = i
    return frame


def forward(frame: Frame) -> Frame:
    return frame


def copy_into(frame: Frame, out: Frame) -> Frame:
    np.copyto(out, frame)
    return out


class Ends:
    """Compares both ends of each frame with the frame's number."""

    def __init__(self, folder: Path, reader: int) -> None:
        self._file = folder / f"sink-{reader}.json"
        self._wrong = 0
        self._times_ns: list[int] = []

    def __call__(self, frame: Frame) -> None:
        self._wrong += not frame[0] == len(self._times_ns) == frame[-1]
        self._times_ns.append(time.perf_counter_ns())

    def finish(self) -> None:
        times = self._times_ns
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        facts = {
            "last_ns": times[-1],
            "items": len(times),
            "wrong": self._wrong,
            "median_gap_ns": statistics.median(gaps),
        }
        self._file.write_text(json.dumps(facts))

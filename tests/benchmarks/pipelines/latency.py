"""Stages of lat: one item in flight; the sink answers through a FIFO beside the pipeline."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import pipeflow

#: An item of 64 bytes: when it left, and nothing of interest.
STAMP_BYTES: Final = 8
PADDING: Final = bytes(64 - STAMP_BYTES)

Frame = NDArray[np.int64]


def texts(count: int, folder: Path) -> Iterator[bytes]:
    for answers in _one_by_one(count, folder):
        yield time.perf_counter_ns().to_bytes(STAMP_BYTES, "little") + PADDING
        answers.read(1)


def frames(count: int, length: int, folder: Path) -> Iterator[Frame]:
    frame = np.zeros(length, np.int64)
    for answers in _one_by_one(count, folder):
        yield _stamp(frame)
        answers.read(1)


def shared_frames(count: int, length: int, folder: Path) -> Iterator[Frame]:
    for answers in _one_by_one(count, folder):
        yield _stamp(pipeflow.empty((length,), np.int64))
        answers.read(1)


def forward(item: Any) -> Any:
    return item


class _Answering:
    """What both sinks do: note how long an item was on its way, and let the next one come."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "sink-0.json"
        self._took_ns: list[int] = []
        self._answers = os.open(folder / "answers", os.O_RDWR)

    def _took(self, left_ns: int) -> None:
        self._took_ns.append(time.perf_counter_ns() - left_ns)
        os.write(self._answers, b".")

    def finish(self) -> None:
        facts = {
            "last_ns": time.perf_counter_ns(),
            "items": len(self._took_ns),
            "took_ns": self._took_ns,
        }
        self._file.write_text(json.dumps(facts))
        os.close(self._answers)


class Texts(_Answering):
    """Takes texts."""

    def __call__(self, item: bytes) -> None:
        self._took(int.from_bytes(item[:STAMP_BYTES], "little"))


class Frames(_Answering):
    """Takes frames; one whose ends differ is not what was sent."""

    def __call__(self, frame: Frame) -> None:
        self._took(int(frame[0]))
        if frame[0] != frame[-1]:
            raise ValueError(f"a frame begins with {frame[0]} and ends with {frame[-1]}")


def _one_by_one(count: int, folder: Path) -> Iterator[Any]:
    with (folder / "answers").open("rb", buffering=0) as answers:
        first_ns = time.perf_counter_ns()
        for _ in range(count):
            yield answers
    (folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))


def _stamp(frame: Frame) -> Frame:
    frame[0] = frame[-1] = time.perf_counter_ns()
    return frame

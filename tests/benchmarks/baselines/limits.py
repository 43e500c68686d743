"""What the machine can do at most: the same work with nothing between the stages."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from typing import Any

import numpy as np

from tests.benchmarks.baselines.forked import run_together
from tests.benchmarks.jobs import Chain, FrameChain

_END = b"end"


def serial(chain: Chain) -> None:
    """Do a chain in one process: functions called one after the other."""
    (sink,) = (make() for make in chain.sinks)
    step = chain.step
    for item in chain.source():
        sink(item if step is None else step(item))
    sink.finish()


def serial_in_place(chain: FrameChain) -> None:
    """Do a chain of frames in one process and in two arrays that stay."""
    (sink,) = (make() for make in chain.sinks)
    first, last = (np.zeros(chain.shape, chain.dtype) for _ in range(2))
    first_ns = time.perf_counter_ns()
    for i in range(chain.frames):
        chain.fill(first, i)
        chain.step_into(first, last)
        sink(last)
    (chain.folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))
    sink.finish()


def two_apart(chain: Chain) -> None:
    """Do half of it in each of two processes that never talk."""
    run_together(*(partial(serial, half) for half in chain.halves))


def two_apart_in_place(chain: FrameChain) -> None:
    """Do half of it in place in each of two processes that never talk."""
    halves: tuple[Any, ...] = chain.halves
    run_together(*(partial(serial_in_place, half) for half in halves))


def memcpy(chain: FrameChain) -> None:
    """Copy a frame as often as there are frames, then look at it."""
    (sink,) = (make() for make in chain.sinks)
    frame, copy = (np.zeros(chain.shape, chain.dtype) for _ in range(2))
    first_ns = time.perf_counter_ns()
    for i in range(chain.frames):
        chain.fill(frame, i)
        np.copyto(copy, frame)
        sink(copy)
    (chain.folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))
    sink.finish()


def pipe_round_trip(chain: Chain) -> None:
    """Send each item through a pipe of the kernel to a process that sends it back."""
    there, back = os.pipe(), os.pipe()

    def echo() -> None:
        while (data := os.read(there[0], 64)) != _END:
            os.write(back[1], data)

    def ask() -> None:
        (sink,) = (make() for make in chain.sinks)
        for item in chain.source():
            os.write(there[1], item)
            sink(os.read(back[0], 64))
        sink.finish()
        os.write(there[1], _END)

    run_together(echo, ask)

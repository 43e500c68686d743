"""What an expert writes: a block of shared memory with four slots, pipes for slots and credits.

    source ──slot number──> step ──slot number──> sink
           <───credit──────      <───credit──────

Frames have one shape, known before the start. ``copy_in`` makes arrays of its own and copies them
into a slot; ``in_place`` makes them in the slot.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.baselines.forked import FORK, run_together
from tests.benchmarks.jobs import FrameChain, Sink

SLOTS: Final = 4
#: In place of a slot number.
END: Final = -1

Frame = NDArray[Any]


class Ring:
    """Four slots, one writer, some readers who all get every frame.

    Made before the fork; ``close`` is for the one who made it.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str, readers: int) -> None:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._memory = SharedMemory(create=True, size=SLOTS * size)
        self._frames: Frame = np.ndarray((SLOTS, *shape), dtype, self._memory.buf)
        self._numbers = [FORK.Pipe(duplex=False) for _ in range(readers)]
        self._credits_in, self._credits_out = FORK.Pipe(duplex=False)
        self._free = list(range(SLOTS))
        self._owed = [0] * SLOTS  # credits that are still due for a slot

    def take(self) -> int:
        """Give a free slot to the writer, when there is one."""
        while not self._free:
            slot = self._credits_in.recv()
            self._owed[slot] -= 1
            if not self._owed[slot]:
                self._free.append(slot)
        return self._free.pop()

    def frame(self, slot: int) -> Frame:
        """Give the array in a slot."""
        frame: Frame = self._frames[slot]
        return frame

    def send(self, slot: int) -> None:
        """Tell all readers of a filled slot, or of the end."""
        if slot != END:
            self._owed[slot] = len(self._numbers)
        for _, writer in self._numbers:
            writer.send(slot)

    def receive(self, reader: int) -> int:
        """Give the next filled slot, or ``END``."""
        slot: int = self._numbers[reader][0].recv()
        return slot

    def give_back(self, slot: int) -> None:
        """Let the writer have a slot again."""
        self._credits_out.send(slot)

    def close(self) -> None:
        """Let go of the memory."""
        del self._frames
        self._memory.close()
        self._memory.unlink()


def copy_in(chain: FrameChain) -> None:
    """Do a chain whose stages make arrays of their own."""
    _run(chain, _write_copies, _step_copies)


def in_place(chain: FrameChain) -> None:
    """Do a chain whose stages write into slots."""
    _run(chain, _write_in_place, _step_in_place)


def _run(
    chain: FrameChain,
    write: Callable[[FrameChain, Ring], None],
    step: Callable[[FrameChain, Ring, Ring], None],
) -> None:
    last = Ring(chain.shape, chain.dtype, len(chain.sinks))
    first = Ring(chain.shape, chain.dtype, 1) if chain.step is not None else last
    readers = [partial(_read, last, i, make) for i, make in enumerate(chain.sinks)]
    middle = [] if first is last else [partial(step, chain, first, last)]
    try:
        run_together(*readers, *middle, partial(write, chain, first))
    finally:
        for ring in {first, last}:
            ring.close()


def _write_copies(chain: FrameChain, ring: Ring) -> None:
    for made in chain.source():
        slot = ring.take()
        np.copyto(ring.frame(slot), made)
        ring.send(slot)
    ring.send(END)


def _write_in_place(chain: FrameChain, ring: Ring) -> None:
    first_ns = time.perf_counter_ns()
    for i in range(chain.frames):
        slot = ring.take()
        chain.fill(ring.frame(slot), i)
        ring.send(slot)
    (chain.folder / "source.json").write_text(json.dumps({"first_ns": first_ns}))
    ring.send(END)


def _step_copies(chain: FrameChain, first: Ring, last: Ring) -> None:
    assert chain.step is not None
    while (taken := first.receive(0)) != END:
        made = chain.step(first.frame(taken))
        slot = last.take()
        np.copyto(last.frame(slot), made)
        first.give_back(taken)
        last.send(slot)
    last.send(END)


def _step_in_place(chain: FrameChain, first: Ring, last: Ring) -> None:
    while (taken := first.receive(0)) != END:
        slot = last.take()
        chain.step_into(first.frame(taken), last.frame(slot))
        first.give_back(taken)
        last.send(slot)
    last.send(END)


def _read(ring: Ring, reader: int, make_sink: Callable[[], Sink]) -> None:
    sink = make_sink()
    while (slot := ring.receive(reader)) != END:
        sink(ring.frame(slot))
        ring.give_back(slot)
    sink.finish()

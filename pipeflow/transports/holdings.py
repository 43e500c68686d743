"""Who holds which slot: the table in shared memory, and this process's own row of it.

A cell says "held" while it is odd and grows by one at each change. A slot is free when two looks at
its row in a row are alike and all even: then no cell changed between them, so there was a moment
at which nobody held it. One look would not do: a holder may pass the slot on to someone whose
cell was read just before, and let go just before its own is read.
"""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

from pipeflow.transports.base import SlotRef


class HolderTable:
    """One byte for each slot and worker, for the slots of every pool.

    Args:
        map_header: Maps the headers of the arena; called at first use.
        first: Where each pool's table begins, in bytes.
        workers: Cells in a row.
    """

    def __init__(
        self, map_header: Callable[[], mmap.mmap], first: tuple[int, ...], workers: int
    ) -> None:
        self._map_header = map_header
        self._first = first
        self._workers = workers
        self._odd = int.from_bytes(b"\1" * workers, "little")

    @cached_property
    def _memory(self) -> mmap.mmap:
        return self._map_header()

    def cell(self, pool: int, slot: int, worker: int) -> int:
        """The place of a cell, for ``flip``; no two cells have the same."""
        return self._first[pool] + slot * self._workers + worker

    def cells_of(self, worker: int) -> tuple[tuple[int, ...], int]:
        """A worker's cell for slot 0 of each pool, and how far it is to that for the next slot."""
        return tuple(first + worker for first in self._first), self._workers

    def flip(self, cell: int) -> None:
        """Change a cell from free to held or back; only by its worker, or once that died."""
        memory = self._memory
        memory[cell] = (memory[cell] + 1) & 0xFF

    def holders(self, pool: int, slot: int) -> tuple[int, ...]:
        """Numbers of the workers that hold a slot."""
        start = self._first[pool] + slot * self._workers
        row = self._memory[start : start + self._workers]
        return tuple(worker for worker, cell in enumerate(row) if cell & 1)

    def is_lent_out(self, pool: int, slot: int) -> bool:
        """Whether nobody holds a slot, or anybody but its owner does: so it may come back."""
        start = self._first[pool] + slot * self._workers
        row = bytearray(self._memory[start : start + self._workers])
        mine, row[pool] = row[pool] & 1, 0
        return not mine or int.from_bytes(row, "little") & self._odd != 0

    def is_free(self, pool: int, slot: int) -> bool:
        """Whether nobody holds a slot; only its owner may conclude that nobody will."""
        memory, start = self._memory, self._first[pool] + slot * self._workers
        stop = start + self._workers
        row = memory[start:stop]
        if int.from_bytes(row, "little") & self._odd:
            return False
        return row == memory[start:stop]


class Hold(weakref.ref[Any]):
    """One object that keeps a slot: a lease, or an array over it. Its death lets go."""

    __slots__ = ("address", "cell", "ref", "target_id")

    address: int
    cell: int
    ref: SlotRef
    target_id: int


class Lease:
    """A slot of our own, kept until this object dies (and by whoever holds it by then).

    Attributes:
        ref: Where it is; ``ref.nbytes`` is what was asked for.
        memory: Its bytes, to write.
    """

    __slots__ = ("__weakref__", "memory", "ref")

    def __init__(self, ref: SlotRef, memory: memoryview) -> None:
        self.ref, self.memory = ref, memory


class Holdings:
    """All slots that this process keeps, of its own pool and of others.

    Counts the objects that keep a slot; the first sets this worker's cell, the death of the last
    clears it. Objects die at any time, also while the garbage is collected in the middle of a
    method here: a death is queued, and whoever has the lock works the queue off.

    A process that user code forks has copies of all objects, and of the books, but the cell is its
    parent's: it never touches it. What it holds is safe only as long as its parent holds it too.
    """

    def __init__(self, table: HolderTable, worker: int) -> None:
        self._table = table
        self._first, self._step = table.cells_of(worker)
        self._counts: dict[int, int] = {}  # by cell
        self._holds: dict[int, Hold] = {}
        self._dead: deque[Hold] = deque()
        self._lock = threading.Lock()
        self._forks = _forks.count

    def ours(self) -> bool:
        """Whether this is the worker itself, and not a process that user code has forked off."""
        return self._forks == _forks.count

    def keep(self, target: object, ref: SlotRef, *, address: int = 0) -> None:
        """Keep a slot until ``target`` dies.

        Args:
            target: Any object with weak references.
            ref: The slot, and which part of it ``target`` covers.
            address: Where that part is mapped, if arrays over ``target`` are to be found.
        """
        hold = Hold(target, self.mourn)
        pool, slot, _, _ = hold.ref = ref
        hold.address = address
        hold.cell = cell = self._first[pool] + slot * self._step
        hold.target_id = number = id(target)
        counts = self._counts
        with self._lock:
            if cell in counts:
                counts[cell] += 1
            else:
                self._table.flip(cell)
                counts[cell] = 1
            self._holds[number] = hold
        if self._dead:
            self._bury()

    def of(self, target: object) -> Hold | None:
        """The hold that ``target`` itself has on a slot."""
        hold = self._holds.get(id(target))
        return hold if hold is not None and hold() is target else None

    def targets(self) -> list[Any]:
        """All that keeps a slot, of any pool."""
        with self._lock:
            holds = list(self._holds.values())
        return [target for target in (hold() for hold in holds) if target is not None]

    def covering(self, address: int, nbytes: int) -> Hold | None:
        """The hold of something that covers these bytes, by where they are mapped.

        Looks at all of them: for objects that do not say what they lie in.
        """
        with self._lock:
            holds = list(self._holds.values())
        for hold in holds:
            if hold.address and 0 <= address - hold.address <= hold.ref.nbytes - nbytes:
                return hold
        return None

    def pin(self, target: object) -> None:
        """Hold for good, also when this process has ended, what ``target`` holds.

        For buffers that are still on their way when a worker ends: if its cell were cleared, their
        memory could be lent again before their reader holds them.
        """
        hold = self.of(target)
        if hold is not None:
            with self._lock:
                self._counts[hold.cell] += 1

    def mourn(self, hold: Hold) -> None:
        """Take note of a death; called by the interpreter."""
        if self._dead or not self._lock.acquire(False):
            self._dead.append(hold)
        else:  # as most often: nobody else is at work
            try:
                self._forget(hold)
            finally:
                self._lock.release()
        if self._dead:
            self._bury()

    def _bury(self) -> None:
        # Not entered twice: a death in the middle of another is left to the one at work.
        while self._dead and self._lock.acquire(blocking=False):
            try:
                while self._dead:
                    self._forget(self._dead.popleft())
            finally:
                self._lock.release()

    def _forget(self, hold: Hold) -> None:
        if self._forks != _forks.count:
            return
        holds, number = self._holds, hold.target_id
        if holds.get(number) is hold:
            del holds[number]
        counts, cell = self._counts, hold.cell
        if counts[cell] == 1:
            del counts[cell]
            self._table.flip(cell)
        else:
            counts[cell] -= 1


class _Forks:
    """How often this process and those before it were forked; asks no system each time."""

    def __init__(self) -> None:
        self.count = 0
        os.register_at_fork(after_in_child=self._add)

    def _add(self) -> None:
        self.count += 1


_forks: Final = _Forks()

"""Locks among processes: a byte of a file for each, locked by the kernel for one process.

Whoever dies holding one, by SIGKILL too, the kernel lets go of it at once, so nobody waits for the
dead. It also sees circles: who would wait for a process that waits for it gets an error. Two system
calls cost a microsecond together; a word in shared memory would cost less and need a search for
dead owners, with all its races.

The file is open from before the first worker and is never closed while a worker lives: to close any
descriptor of it would let go of all its locks.
"""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Callable, Mapping
from typing import Final

from pipeflow.runtime.board import Words
from pipeflow.values import dataclass, field

#: The kernel sees processes, and takes two threads of one for the same: a circle that is none is
#: gone after a moment. So many looks, so many seconds apart, and it is believed.
_LOOKS: Final = 100
_LOOK_S: Final = 0.01

_TAKEN: Final = frozenset({errno.EAGAIN, errno.EACCES})


@dataclass(slots=True, kw_only=True)
class Stages:
    """The stages whose code runs in this process.

    Attributes:
        workers: Name of each to the number of its worker.
        log: Name to what takes a level and a text.
    """

    workers: Mapping[str, int]
    log: dict[str, Callable[[str, str], None]] = field(default_factory=dict)


class FileClaim:
    """One lock among processes.

    Args:
        name: Of the state.
        fd: The file.
        number: Which byte of it.
        words: Who holds which lock, and who waits for which, in shared memory.
        stages: Whose code may take it.
    """

    def __init__(
        self, name: str, fd: int, number: int, words: tuple[Words, Words], stages: Stages
    ) -> None:
        self._name, self._fd, self._number = name, fd, number
        self._holders, self._waits = words
        self._stages = stages

    def take(self, stage: str, *, in_turn: bool) -> None:
        """See ``Claim``.

        Raises:
            RuntimeError: Its holder waits for a lock that this process holds.
        """
        worker = self._stages.workers[stage]
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._number)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            if in_turn:
                self._waits[worker] = self._number + 1
            try:
                self._wait()
            finally:
                if in_turn:
                    self._waits[worker] = 0
        before = self._holders[self._number]
        self._holders[self._number] = worker + 1
        if before:
            self._stages.log[stage](
                "warning",
                f"whoever held the lock of shared '{self._name}' has died: what it keeps may be"
                " half changed",
            )

    def give(self) -> None:
        """See ``Claim``."""
        self._holders[self._number] = 0
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, self._number)

    def _wait(self) -> None:
        for _ in range(_LOOKS):
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, self._number)
            except OSError as error:
                if error.errno != errno.EDEADLK:
                    raise
                time.sleep(_LOOK_S)
            else:
                return
        raise RuntimeError(
            f"a circle of locks: whoever holds shared '{self._name}' waits for one that this stage"
            " holds; take them in the same order everywhere"
        )

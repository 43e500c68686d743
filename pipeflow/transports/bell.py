"""A bell that other processes ring and one process hears: an ``eventfd``, or a pipe."""

from __future__ import annotations

import os
import sys


class Bell:
    """Wakes a process that waits; see ``base.Bell``.

    On Linux it is one ``eventfd``: rings add up, clearing forgets them. Elsewhere it is a pipe, a
    byte a ring (not tested on such a system). Each process closes its own hold of it; twice is
    harmless.
    """

    def __init__(self, fds: tuple[int, ...]) -> None:
        if len(fds) not in {1, 2}:
            raise ValueError(f"a bell has one or two descriptors, got {len(fds)}")
        self._fds = fds

    @classmethod
    def create(cls) -> Bell:
        """A new bell; programs that are started do not inherit it."""
        if sys.platform == "linux":
            return cls((os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC),))
        return cls(_open_pipe())

    @classmethod
    def attach(cls, fds: tuple[int, ...]) -> Bell:
        """The bell behind descriptors that this process has inherited."""
        return cls(fds)

    @property
    def fds(self) -> tuple[int, ...]:
        """What a process must inherit to ring or hear it; empty when closed."""
        return self._fds

    def fileno(self) -> int:
        return self._fds[0] if self._fds else -1

    def ring(self) -> None:
        if not self._fds:
            return
        try:
            # An eventfd takes eight bytes, a number to add; a pipe may have them too.
            os.write(self._fds[-1], _ONE)
        except BlockingIOError:
            pass  # so many rings are waiting that one more says nothing new

    def clear(self) -> None:
        if not self._fds:
            return
        try:
            while len(os.read(self._fds[0], _READ_BYTES)) == _READ_BYTES:
                pass
        except BlockingIOError:
            pass  # not rung

    def close(self) -> None:
        """Give up this process's hold of it."""
        fds, self._fds = self._fds, ()
        for fd in fds:
            os.close(fd)


_ONE = (1).to_bytes(8, sys.byteorder)
_READ_BYTES = 4096


def _open_pipe() -> tuple[int, int]:
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    return read_fd, write_fd

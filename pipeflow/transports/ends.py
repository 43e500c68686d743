"""The descriptors of one channel: who needs which, so that a launcher can close the rest."""

from __future__ import annotations

import os

from pipeflow.transports.base import ChannelSpec
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The two descriptors of a pipe or a queue; all writers share one, all readers the other.

    Whoever created the channel closes both in its own process. A foreign end that stays open in a
    process hides the death of its peer from the others: every process closes what it does
    not need.
    """

    spec: ChannelSpec
    read: int
    write: int

    @property
    def fds(self) -> tuple[int, int]:
        """Both."""
        return self.read, self.write

    def for_writer(self, writer: int) -> tuple[int, ...]:
        """What a writer needs."""
        assert 0 <= writer < self.spec.writers
        return (self.write,)

    def for_reader(self, reader: int) -> tuple[int, ...]:
        """What a reader needs."""
        assert 0 <= reader < self.spec.readers
        return (self.read,)

    def close_all(self) -> None:
        """Close both in this process; those that are closed already are passed over."""
        for fd in self.fds:
            close_quietly(fd)


def close_quietly(fd: int) -> None:
    """Close a descriptor that may be closed already."""
    try:
        os.close(fd)
    except OSError:
        pass  # closing twice is harmless

"""The descriptors of one channel: made before its processes, of which each needs some.

A launcher does not load the ends that are opened over them.
"""

from __future__ import annotations

import os
import sys
from typing import Final, assert_never

from pipeflow.transports.base import ChannelSpec, Kind
from pipeflow.values import dataclass

_PIPE_BYTES: Final = 2**20
_F_SETPIPE_SZ: Final = 1031

#: Whether the kernel keeps messages apart, in order and of any length.
SEQPACKET: Final = sys.platform == "linux"
_BUFFER_BYTES: Final = 2**20


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


def create_ends(spec: ChannelSpec) -> Ends:
    """Make the descriptors of a channel, before its processes are started.

    Raises:
        OSError: No descriptors are left.
    """
    match spec.kind:
        case Kind.PIPE:
            return _create_pipe(spec)
        case Kind.QUEUE:
            return _create_queue(spec)
        case _:
            assert_never(spec.kind)


def _create_pipe(spec: ChannelSpec) -> Ends:
    """Make the pipe. Its ends do not block, and programs that are started do not inherit them."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    if sys.platform == "linux":
        import fcntl

        try:
            fcntl.fcntl(write, _F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            pass  # the user has used up what pipes may take: 64 KiB work as well, more slowly
    return Ends(spec=spec, read=read, write=write)


def _create_queue(spec: ChannelSpec) -> Ends:
    """Make the socket pair; each process that writes or reads inherits its side."""
    import socket  # slow to load, and no worker makes any

    kind = socket.SOCK_SEQPACKET if SEQPACKET else socket.SOCK_DGRAM
    reader, writer = socket.socketpair(socket.AF_UNIX, kind)
    for end in (reader, writer):
        end.setblocking(False)
        # The kernel grants as much of it as the machine's limits allow.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return Ends(spec=spec, read=reader.detach(), write=writer.detach())


def close_quietly(fd: int) -> None:
    """Close a descriptor that may be closed already."""
    try:
        os.close(fd)
    except OSError:
        pass  # closing twice is harmless

"""What stages and the manager process tell each other: frames over a stream socket.

    length (4 bytes) │ pickle of (number of the state, what to do, arguments)      to the manager
    length (4 bytes) │ pickle of (whether it went well, the result or the error)   and back

Nobody but the processes of the run has an end: there is no path and no port.
"""

from __future__ import annotations

import pickle
import socket
import struct
from typing import Any, Final

LENGTH: Final = struct.Struct("<I")

#: So much is read at once: Python makes room for all of it each time, and gives the rest back.
READ_BYTES: Final = 1 << 14

#: The longest frame that has a length.
MOST_BYTES: Final = 2**32 - 1


def pack(message: tuple[Any, ...]) -> bytes:
    """A message as a frame.

    Raises:
        ValueError: It is longer than 4 GiB.
    """
    body = pickle.dumps(message, protocol=5)
    if len(body) > MOST_BYTES:
        raise ValueError(f"{len(body)} bytes are too many for a shared dict or list")
    return LENGTH.pack(len(body)) + body


def pack_error(error: Exception) -> bytes:
    """The answer that something went wrong; an error that cannot travel goes as text."""
    try:
        data = pack((False, error))
        pickle.loads(data[LENGTH.size :])
    except Exception as broken:  # the user's own objects may be in it: a boundary
        return pack((False, RuntimeError(f"{type(error).__name__}: {error} ({broken})")))
    return data


def is_readable(end: socket.socket) -> bool:
    """Whether something has come, or will never come any more."""
    try:
        end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    return True


class Frames:
    """Cuts the bytes of the stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._buffer += data

    def next(self) -> bytes | None:
        """The pickle in the next frame; ``None``: it is not whole yet."""
        buffer = self._buffer
        if len(buffer) < LENGTH.size:
            return None
        end = LENGTH.size + LENGTH.unpack_from(buffer)[0]
        if len(buffer) < end:
            return None
        body = bytes(memoryview(buffer)[LENGTH.size : end])
        del buffer[:end]
        return body

"""Values in a stream of bytes between processes of one run: each a length, then a pickle."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from typing import Any, Final

_LENGTH: Final = struct.Struct("<I")


def frame(value: object) -> bytes:
    """A value as bytes of the stream."""
    body = pickle.dumps(value, protocol=5)
    return _LENGTH.pack(len(body)) + body


class Unframing:
    """Turns the bytes of one stream back into values."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Add what was read; the values that are whole now."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            value = pickle.loads(bytes(self._buffer[_LENGTH.size : end]))
            del self._buffer[:end]
            yield value

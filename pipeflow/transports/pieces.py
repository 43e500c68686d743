"""A pile, cut into the pickles of its items; see ``codec.Pile``."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_COUNT: Final = struct.Struct("<I")


def pieces_of(pickled: bytes | memoryview) -> Iterator[bytes]:
    """The pickles of single items in those of a pile."""
    (count,) = _COUNT.unpack_from(pickled, 1)
    data, at = bytes(pickled), 1 + _COUNT.size * (1 + count)
    for length in struct.unpack_from(f"<{count}I", data, 1 + _COUNT.size):
        yield data[at : at + length]
        at += length

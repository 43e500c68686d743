"""What a worker prints, as bounded lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

#: A longer line is cut into pieces of this many bytes.
LINE_BYTES: Final = 8192


class Lines:
    """Cuts the bytes of one worker's output into lines.

    Bytes that are no UTF-8 are replaced. Whoever shows the lines deals with control characters.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Add what was read; the lines that are whole now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield from _pieces(line)
        while len(self._rest) > LINE_BYTES:
            piece, self._rest = self._rest[:LINE_BYTES], self._rest[LINE_BYTES:]
            yield _text(piece)

    def end(self) -> Iterator[str]:
        """The last line, if nothing ended it."""
        if self._rest:
            rest, self._rest = self._rest, b""
            yield _text(rest)


def _pieces(line: bytes) -> Iterator[str]:
    for start in range(0, max(1, len(line)), LINE_BYTES):
        yield _text(line[start : start + LINE_BYTES])


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").removesuffix("\r")

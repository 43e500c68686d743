"""Opening what a source reads: a file, gzip or plain, or standard input."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from pipeflow.spec.options import Option, OptionType
from pipeflow.stages.sources.waiting import rest
from pipeflow.stages.work import DrainInterrupt

STDIN: Final = "-"
#: What the path of a file is that must be a file.
NO_STREAM: Final = r"(?!-$)[\s\S]+"

_SUFFIXES: Final = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}
#: Unpacked bytes that are read at a time.
_CHUNK: Final = 1 << 17

PATH: Final = Option(
    name="path",
    types=(OptionType.PATH,),
    description='The file to read; `"-"` is standard input.',
    examples=("data/input.txt",),
)
#: Of formats that cannot be read from a stream.
FILE: Final = Option(
    name="path",
    types=(OptionType.PATH,),
    description="The file to read.",
    pattern=NO_STREAM,
    form="the path of a file, which standard input is not",
)
COMPRESSION: Final = Option(
    name="compression",
    types=(OptionType.STRING,),
    default="auto",
    description="How the file is compressed.",
    choices=("auto", "gzip", "bzip2", "xz", "none"),
    choice_docs=(
        "by the end of its name: `.gz`, `.bz2`, `.xz`, or plain",
        "gzip, whatever its name",
        "bzip2, whatever its name",
        "xz, whatever its name",
        "plain",
    ),
)
ENCODING: Final = Option(
    name="encoding",
    types=(OptionType.STRING,),
    default="utf-8",
    description="Encoding of the text, by its Python name; a byte order mark is skipped.",
    examples=("latin-1",),
)


class Input:
    """One file, or standard input. Opened and closed here, read by a source.

    Attributes:
        name: For errors: the path, or ``standard input``.
    """

    def __init__(self, path: Path, compression: str) -> None:
        self._path = path
        by_name = _SUFFIXES.get(path.suffix, "none")
        self._compression = by_name if compression == "auto" else compression
        self._opened: list[BinaryIO] = []
        self._text: io.TextIOWrapper | None = None
        self.name = "standard input" if str(path) == STDIN else str(path)

    def open(self) -> BinaryIO:
        """The bytes of the file, from its beginning.

        Raises:
            OSError: It is missing, a folder, or may not be read.
        """
        if str(self._path) == STDIN:
            if sys.stdin is None:
                raise OSError("there is no standard input to read")
            raw = _awaited(sys.stdin.buffer)  # not ours to close
        else:
            check_is_file(self._path)
            file = cast("BinaryIO", self._path.open("rb"))
            self._opened.append(file)
            raw = _awaited(file)
        if self._compression == "none":
            return raw
        stream = _Unpacked(*_unpacking(self._compression, raw), self.name)
        unpacked = cast("BinaryIO", io.BufferedReader(stream, _CHUNK))
        self._opened.append(unpacked)
        return unpacked

    def open_text(self, encoding: str, *, errors: str, newline: str | None) -> io.TextIOWrapper:
        """The text of the file; ``errors`` and ``newline`` as for ``open``."""
        self._text = io.TextIOWrapper(self.open(), encoding, errors, newline)
        return self._text

    def close(self) -> None:
        """Close what was opened; closing twice is harmless."""
        if self._text is not None:
            self._text.detach()  # else it would close standard input when it is collected
            self._text = None
        while self._opened:
            self._opened.pop().close()


def _awaited(file: BinaryIO) -> BinaryIO:
    """A file whose bytes may be long in coming, read such that a drain ends the wait for them."""
    try:
        fd = file.fileno()
    except (OSError, ValueError):
        return file  # a stand-in that lives in memory
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return file
    return cast("BinaryIO", io.BufferedReader(_Awaited(fd), _CHUNK))


class _Awaited(io.RawIOBase):
    """The bytes of a pipe or terminal, as they come. The descriptor is not its own.

    Nothing may have been read from it into a buffer before.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """See ``RawIOBase.readinto``.

        Raises:
            DrainInterrupt: The run is drained: what has come of a line stays where it is.
        """
        if not rest(None, self._fd):
            raise DrainInterrupt
        return os.readv(self._fd, [buffer])


def _unpacking(compression: str, raw: BinaryIO) -> tuple[Any, type[Exception]]:
    """A file that gives what another one has packed, and the errors of its kind."""
    if compression == "gzip":
        return gzip.GzipFile(fileobj=raw, mode="rb"), zlib.error
    if compression == "bzip2":
        import bz2

        return bz2.BZ2File(raw), OSError
    import lzma

    return lzma.LZMAFile(raw), lzma.LZMAError


class _Unpacked(io.RawIOBase):
    """Packed data as it was before; what is wrong with it names the file."""

    def __init__(self, file: Any, error: type[Exception], name: str) -> None:
        self._file = file
        self._errors = (EOFError, OSError, error)
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """See ``RawIOBase.readinto``.

        Raises:
            OSError: The data is cut short, garbled, or not packed in that way at all.
        """
        try:
            count: int = self._file.readinto(buffer)
        except self._errors as error:
            raise OSError(f"{self._name} cannot be unpacked: {error}") from None
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def check_is_file(path: Path) -> None:
    """Say in plain words why a path cannot be read from.

    Raises:
        FileNotFoundError: Nothing is there.
        IsADirectoryError: It is a folder.
    """
    if not path.exists():
        raise FileNotFoundError(f"no file {str(path)!r}{where(path)}")
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder, not a file")


def where(path: Path) -> str:
    """``" here (/home/me)"`` for a relative path: where "here" is, is what is often mistaken."""
    return "" if path.is_absolute() else f" here ({Path.cwd()})"


def lines_of(stream: Iterable[bytes]) -> Iterator[bytes]:
    """The lines without their ends (LF or CR LF) and without a UTF-8 byte order mark."""
    first = True
    for line in stream:
        text = line.removesuffix(b"\n").removesuffix(b"\r")
        yield text.removeprefix(b"\xef\xbb\xbf") if first else text
        first = False

"""Where sinks write: a file that appears when it is whole, or the command's standard output.

Every write is one or several whole lines, in one call to the system: there is no buffer of ours, so
nothing is left behind when the items pause, and a killed worker leaves no half line.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import sys
import time
import zlib
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TextIO

from pipeflow.spec.options import Option, OptionType
from pipeflow.stages.context import current
from pipeflow.stages.rendering import utf8
from pipeflow.stages.work import OutputClosed
from pipeflow.telemetry.masking import escape_but_looks

STDOUT: Final = "-"
#: A compressed file is brought up to date so often, at the next write.
FLUSH_S: Final = 1.0

PATH: Final = Option(
    name="path",
    types=(OptionType.PATH,),
    description=(
        'The file to write; `"-"` is standard output. Folders are made. It is written as '
        "`NAME.partial` and gets its name when all items are in it."
    ),
    examples=("out/result.jsonl",),
)
LIVE: Final = Option(
    name="live",
    types=(OptionType.BOOLEAN,),
    default=False,
    description=(
        "Write to the file itself from the first item on: it can be followed while the run goes "
        "on, and stays when the run fails."
    ),
)
COMPRESSION: Final = Option(
    name="compression",
    types=(OptionType.STRING,),
    default="auto",
    description="How to compress the file.",
    choices=("auto", "gzip", "none"),
    choice_docs=("gzip if the name ends in `.gz`", "gzip, whatever its name", "plain"),
)


class Output(Protocol):
    """Takes whole lines."""

    def write(self, text: str) -> None:
        """Write text that ends a line.

        Raises:
            OutputClosed: Nobody reads standard output any more.
            OSError: The disk is full, and the like.
        """
        ...

    def commit(self) -> None:
        """All items are written: the file gets its name."""
        ...

    def close(self) -> None:
        """Give up what is open; what was not committed stays ``NAME.partial``."""
        ...


def open_output(path: Path, *, live: bool = False, compression: str = "auto") -> Output:
    """The output that a ``path`` option means.

    Raises:
        OSError: The file or its folder cannot be made, or another process is writing it.
    """
    if str(path) == STDOUT:
        return StandardOutput()
    zipped = compression == "gzip" or (compression == "auto" and path.suffix == ".gz")
    return FileOutput(path, live=live, zipped=zipped)


class StandardOutput:
    """The command's standard output; outside a run, this process's. Closes nothing.

    On a terminal it shows what a terminal would obey, but for colours.
    """

    def __init__(self) -> None:
        context = current()
        stream = sys.stdout if context is None else context.stdout
        self._terminal = stream is not None and stream.isatty()

    def write(self, text: str) -> None:
        context = current()
        stream = context.stdout if context is not None else None
        if self._terminal:
            text = escape_but_looks(text.replace("\r\n", "\n"))
        try:
            if stream is None:
                _write_here(text)
            else:
                _write_whole(stream, utf8(text))
                stream.flush()
        except BrokenPipeError:
            raise OutputClosed("nobody reads standard output any more") from None
        except OSError as error:
            if _hung_up(error, sys.stdout if stream is None else stream):
                raise OutputClosed("the terminal was closed") from None
            raise

    def commit(self) -> None:
        """Nothing to do: what is written is out."""

    def close(self) -> None:
        """Nothing to do: it is not ours."""


class FileOutput:
    """A file, plain or gzip. Owns its descriptor, from the constructor to ``close``."""

    def __init__(self, path: Path, *, live: bool, zipped: bool) -> None:
        # Behind a link, the file that it leads to: replacing the link itself would lose it.
        self._path = path.resolve() if path.is_symlink() else path
        self._special = self._path.exists() and not self._path.is_file()
        if self._path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(path))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A pipe or /dev/null cannot be replaced by another file.
        direct = live or self._special
        name = self._path.name if direct else f"{self._path.name}.partial"
        self._written = self._path.with_name(name)
        self._zip = zlib.compressobj(wbits=31) if zipped else None
        self._flushed = time.monotonic()
        self._size = 0  # bytes of whole writes
        self._broken = False
        # Nobody may have laid a link where our own name for it is: what it leads to is not ours.
        extra = 0 if direct else os.O_NOFOLLOW
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | extra
        self._descriptor = os.open(self._written, flags, 0o666)
        if not self._special:
            self._claim()

    def write(self, text: str) -> None:
        data = utf8(text)
        if self._zip is not None:
            data = self._zip.compress(data)
            if time.monotonic() - self._flushed >= FLUSH_S:
                data += self._zip.flush(zlib.Z_SYNC_FLUSH)
                self._flushed = time.monotonic()
        self._put(data)

    def commit(self) -> None:
        if self._zip is not None:
            self._put(self._zip.flush())
        if self._written != self._path:
            # On the disk before it is in place: after a power cut there is no empty file.
            os.fsync(self._descriptor)
            self._written.replace(self._path)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _claim(self) -> None:
        """Empty the file, unless another process is at it: two writers would mix their lines."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise BlockingIOError(
                errno.EWOULDBLOCK, "another stage or run is writing this file", str(self._path)
            ) from None
        except OSError:
            pass  # a file system without locks: then nobody can tell
        os.ftruncate(self._descriptor, 0)

    def _put(self, data: bytes) -> None:
        if self._broken:
            raise OSError(errno.EIO, "an earlier write failed half-way", str(self._written))
        rest = data
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._take_back()
            error.filename = error.filename or str(self._written)  # a full disk: which one?
            raise
        self._size += len(data)

    def _take_back(self) -> None:
        """After a write that failed, on a full disk say: no half line stays before the next one."""
        # What was compressed already cannot be taken back, and a device has no end to cut.
        self._broken = self._zip is not None
        if not self._special:
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)


def _hung_up(error: OSError, stream: BinaryIO | TextIO) -> bool:
    """Whether a write failed because its terminal is gone."""
    return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)


def _write_whole(stream: BinaryIO, data: bytes) -> None:
    """Write all bytes; a stream without a buffer may take fewer at a time."""
    view = memoryview(data)
    while view:
        written: int | None = stream.write(view)
        if written is None:  # another process made our terminal or pipe non-blocking
            select.select([], [stream], [])
        else:
            view = view[written:]


def _write_here(text: str) -> None:
    """Outside a run ``sys.stdout`` may be anything that takes text, a test's capture too."""
    sys.stdout.write(text)
    sys.stdout.flush()

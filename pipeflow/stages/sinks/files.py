"""Files that sinks write: each appears under its name when it is whole.

Until then it is ``NAME.partial``, which stays when the run fails; ``live`` writes ``NAME`` itself.
What is written is on its way to the disk at once, or within a second where it is packed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pipeflow.stages.author import metric
from pipeflow.stages.rendering import utf8

#: What cannot be written at once is brought up to date so often.
FLUSH_S: Final = 1.0
#: In a report: how many records a sink has written.
WRITTEN: Final = "written"


class Target:
    """Where a file will be, and where it is written until it is whole. Opens nothing.

    Attributes:
        path: The file.
        special: It is a pipe or a device, which no other file can replace.
        written: The file that is written: another one, unless ``path`` is ``live`` or special.

    Raises:
        IsADirectoryError: It is a folder.
        OSError: Its folder cannot be made.
    """

    def __init__(self, path: Path, *, live: bool) -> None:
        # Behind a link, the file that it leads to: replacing the link itself would lose it.
        self.path = path.resolve() if path.is_symlink() else path
        self.special = self.path.exists() and not self.path.is_file()
        if self.path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(path))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.written = self.path if live or self.special else partial_of(self.path)

    @property
    def direct(self) -> bool:
        """Whether the file is written under its own name."""
        return self.written == self.path

    def put_in_place(self) -> None:
        """The file is whole and on the disk: it gets its name."""
        if not self.direct:
            self.written.replace(self.path)


def partial_of(path: Path) -> Path:
    """What a file is called while it is not whole."""
    return path.with_name(f"{path.name}.partial")


class FileOutput:
    """A file, plain or gzip. Owns its descriptor, from the constructor to ``close``."""

    def __init__(self, path: Path, *, live: bool = False, zipped: bool = False) -> None:
        self._target = Target(path, live=live)
        self._zip = zlib.compressobj(wbits=31) if zipped else None
        self._flusher = EverySecond(self._flush_zip) if zipped else None
        self._size = 0  # bytes of whole writes
        self._records = 0
        self._broken = False
        # Nobody may have laid a link where our own name for it is: what it leads to is not ours.
        extra = 0 if self._target.direct else os.O_NOFOLLOW
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | extra
        self._descriptor = os.open(self._target.written, flags, 0o666)
        if not self._target.special:
            self._claim()

    def write(self, text: str, *, records: int = 1) -> None:
        self.write_bytes(utf8(text), records=records)

    def write_bytes(self, data: bytes | memoryview, *, records: int = 1) -> None:
        """Write what is whole; ``records`` says how many records it is."""
        if self._zip is None or self._flusher is None:
            self._put(data)
        else:
            with self._flusher:
                self._put(self._zip.compress(data))
        self._records += records

    def rewrite(self, data: bytes) -> None:
        """Write over the first bytes of a plain file, which say what follows."""
        os.pwrite(self._descriptor, data, 0)

    def commit(self) -> None:
        if self._flusher is not None:
            self._flusher.stop()
            self._flusher.raise_late()
        if self._zip is not None:
            self._put(self._zip.flush())
            self._zip = None
        if not self._target.direct:
            # On the disk before it is in place: after a power cut there is no empty file.
            os.fsync(self._descriptor)
        self._target.put_in_place()
        metric(WRITTEN).add(self._records)

    def close(self) -> None:
        if self._flusher is not None:
            self._flusher.stop()
        try:
            if self._zip is not None and self._descriptor >= 0 and not self._broken:
                self._put(self._zip.flush())  # what was packed before a failure is of use too
        finally:
            self._zip = None
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)

    def _flush_zip(self) -> None:
        assert self._zip is not None
        self._put(self._zip.flush(zlib.Z_SYNC_FLUSH))

    def _claim(self) -> None:
        """Empty the file, unless another process is at it: two writers would mix their lines."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise in_use(self._target.path) from None
        except OSError:
            pass  # a file system without locks: then nobody can tell
        os.ftruncate(self._descriptor, 0)

    def _put(self, data: bytes | memoryview) -> None:
        if self._broken:
            raise OSError(errno.EIO, "an earlier write failed half-way", str(self._target.written))
        rest = data
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._take_back()
            # A full disk: which one?
            error.filename = error.filename or str(self._target.written)
            raise
        self._size += len(data)

    def _take_back(self) -> None:
        """After a write that failed, on a full disk say: no half line stays before the next one."""
        # What was compressed already cannot be taken back, and a device has no end to cut.
        self._broken = self._zip is not None
        if not self._target.special:
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)


def in_use(path: Path, hint: str = "") -> BlockingIOError:
    """The error of two who would write one file."""
    text = f"another stage or run is writing this file{hint}"
    return BlockingIOError(errno.EWOULDBLOCK, text, str(path))


class EverySecond:
    """Brings a file up to date once a second, also while no items come. Owns a thread.

    It is a lock as well: held by whoever writes, and by the thread while it flushes. What goes
    wrong there is raised at the next write.

    Args:
        flush: Brings the file up to date.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None
        self._stale = False
        self._error: Exception | None = None

    def __enter__(self) -> None:
        self.raise_late()
        self._lock.acquire()
        self._stale = True

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._thread is None and not self._ends.is_set():
            self._thread = threading.Thread(target=self._run, name="pipeflow-flush", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """The thread ends; twice is harmless. What is not flushed is left to the caller."""
        self._ends.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def raise_late(self) -> None:
        """Raise what went wrong while nobody wrote: the disk is full, say."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while not self._ends.wait(FLUSH_S):
            with self._lock:
                if self._stale and self._error is None:
                    self._stale = False
                    try:
                        self._flush()
                    except Exception as error:  # a thread's boundary: raised by the next write
                        self._error = error

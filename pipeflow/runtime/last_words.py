"""Last words: where a process's Python stack goes when a fatal signal ends it, or we ask for it.

One block of shared memory without a name. Each process writes to a part of its own, through a
descriptor with an offset of its own (``faulthandler`` only appends): nobody can make it wait, and
nothing mixes with what stages print. The supervisor reads, also when the process is gone.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import sys
from typing import Final

from pipeflow.runtime.failures import is_ours

#: Bytes for each worker: a dump has at most 100 frames of some hundred bytes.
ROOM: Final = 1 << 18

#: Asks a worker where it is. A real-time signal: what libraries and users use are the two others.
WHERE_SIGNAL: Final = signal.SIGRTMIN + 7 if sys.platform == "linux" else signal.SIGUSR2

_HEAD: Final = "(most recent call first):"
_FRAME: Final = r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)'
_FATAL: Final = r"Fatal Python error: .*"

#: What lies below it on the stack is how the worker came to be, and nobody's business.
_BOOT: Final = os.path.join("runtime", "launch", "boot.py")  # noqa: PTH118 - an end of a path


def leave_last_words(fd: int, part: int) -> None:
    """Have this process write its stack there: when it dies of a signal, and when it is asked.

    Args:
        fd: The block's descriptor.
        part: Number of its part; what another process had written there is wiped away.
    """
    own = os.open(f"/proc/self/fd/{fd}", os.O_RDWR) if sys.platform == "linux" else 2
    if own != 2:
        os.pwrite(own, bytes(_length(own, part)), part * ROOM)
        os.lseek(own, part * ROOM, os.SEEK_SET)
    # Of the one thread that matters: ours would only be noise.
    faulthandler.enable(file=own, all_threads=False)
    faulthandler.register(WHERE_SIGNAL, file=own, all_threads=False)


def _length(fd: int, part: int) -> int:
    """How many bytes are written to a part: mostly none, and looking at all its room takes long."""
    if os.pread(fd, 1, part * ROOM) in (b"", b"\0"):
        return 0
    return len(_words(fd, part))


def _words(fd: int, part: int) -> bytes:
    # What nobody has written reads as zeros.
    return os.pread(fd, ROOM, part * ROOM).partition(b"\0")[0]


class LastWords:
    """The reading side.

    Args:
        fd: The block's descriptor; who made it closes it.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before: dict[int, str] = {}

    def read(self, part: int) -> str:
        """All that a process has written to its part."""
        if sys.platform != "linux":
            return ""  # it went to standard error
        return _words(self._fd, part).decode("utf-8", "replace")

    def take(self, part: int) -> str:
        """What was written to a part since the last time."""
        words, before = self.read(part), self._before.get(part, "")
        self._before[part] = words
        # What another process had written there may have been wiped away.
        return words.removeprefix(before)


def stack_of(words: str) -> str:
    """The newest stack in somebody's last words as a traceback, the user's frames only.

    Empty when there is none.
    """
    from traceback import FrameSummary, format_list  # few processes leave any

    before, head, dump = words.rpartition(_HEAD)
    if not head:
        return ""
    found = [match for line in dump.splitlines()[1:] if (match := re.fullmatch(_FRAME, line))]
    frames = [FrameSummary(m["file"], int(m["line"]), m["name"]) for m in found]
    inner = next((n for n, each in enumerate(frames) if each.filename.endswith(_BOOT)), len(frames))
    above = frames[:inner]
    # Where none is the user's, ours are better than nothing.
    kept = [each for each in above if not is_ours(each.filename)] or above
    fatal = re.findall(_FATAL, before)
    last = f"{fatal[-1]}\n" if fatal else ""
    return "Stack (most recent call last):\n" + "".join(format_list(kept[::-1])) + last

"""Last words: where each worker's Python stack goes when a fatal signal ends it, or we ask for it.

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
from traceback import FrameSummary, format_list
from typing import Final

from pipeflow.runtime.failures import is_ours

#: Bytes for each worker: a dump has at most 100 frames of some hundred bytes.
ROOM: Final = 1 << 18

#: Asks a worker where it is. A real-time signal: what libraries and users use are the two others.
WHERE_SIGNAL: Final = signal.SIGRTMIN + 7 if sys.platform == "linux" else signal.SIGUSR2

_HEAD: Final = "(most recent call first):"
_FRAME: Final = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)')
_FATAL: Final = re.compile(r"Fatal Python error: .*")

#: What lies below it on the stack is how the worker came to be, and nobody's business.
_BOOT: Final = os.path.join("runtime", "launch", "boot.py")  # noqa: PTH118 - an end of a path


def leave_last_words(fd: int, worker: int) -> None:
    """Have this process write its stack there: when it dies of a signal, and when it is asked."""
    own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY) if sys.platform == "linux" else 2
    if own != 2:
        os.lseek(own, worker * ROOM, os.SEEK_SET)
    # Of the one thread that matters: ours would only be noise.
    faulthandler.enable(file=own, all_threads=False)
    faulthandler.register(WHERE_SIGNAL, file=own, all_threads=False)


class LastWords:
    """The reading side.

    Args:
        fd: The block's descriptor; who made it closes it.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._read: dict[int, int] = {}

    def take(self, worker: int) -> str:
        """What a worker has written since the last time."""
        if sys.platform != "linux":
            return ""  # it went to standard error
        begin = self._read.get(worker, 0)
        data = os.pread(self._fd, ROOM - begin, worker * ROOM + begin)
        words = data.partition(b"\0")[0]  # what nobody has written reads as zeros
        self._read[worker] = begin + len(words)
        return words.decode("utf-8", "replace")


def stack_of(words: str) -> str:
    """The newest stack in somebody's last words as a traceback, the user's frames only.

    Empty when there is none.
    """
    before, head, dump = words.rpartition(_HEAD)
    if not head:
        return ""
    found = [match for line in dump.splitlines()[1:] if (match := _FRAME.fullmatch(line))]
    frames = [FrameSummary(m["file"], int(m["line"]), m["name"]) for m in found]
    inner = next((n for n, each in enumerate(frames) if each.filename.endswith(_BOOT)), len(frames))
    above = frames[:inner]
    # Where none is the user's, ours are better than nothing.
    kept = [each for each in above if not is_ours(each.filename)] or above
    fatal = _FATAL.findall(before)
    last = f"{fatal[-1]}\n" if fatal else ""
    return "Stack (most recent call last):\n" + "".join(format_list(kept[::-1])) + last

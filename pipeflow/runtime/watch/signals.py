"""Signals as something to wait on: during a run they are bytes in a pipe and nothing else."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

#: What asks a run to end; the exit status of a run that was asked is 128 more than its number.
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


class SignalPipe:
    """The reading end of the pipe into which the interpreter writes the numbers of signals.

    Args:
        fd: That end, non-blocking; -1: signals are not watched.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def taken(self) -> list[int]:
        """Numbers of the signals that came since the last call, of those that end a run."""
        try:
            numbers = os.read(self.fd, 4096) if self.fd >= 0 else b""
        except BlockingIOError:
            return []
        return [number for number in numbers if number in ENDING]


@contextmanager
def watch_signals(wanted: bool) -> Iterator[SignalPipe]:
    """Take the ending signals for as long as the block lasts, and put the handlers back.

    Nothing is watched when it is not wanted, or outside the main thread: only there Python lets
    handlers be set. A signal that was ignored before (``nohup``) stays so.
    """
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield SignalPipe(-1)
        return
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    before: dict[signal.Signals, _Handler] = {}
    wakeup_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _heard)
        yield SignalPipe(reading)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(wakeup_before)
        os.close(reading)
        os.close(writing)


def _heard(_number: int, _frame: FrameType | None) -> None:
    """The interpreter has written the number into the pipe; that is all that is needed."""

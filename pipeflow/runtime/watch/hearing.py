"""Hears what the workers report and print. Waits for nothing: reads what is there."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from pipeflow.runtime.launch.wires import Wires
from pipeflow.runtime.messages import WorkerReport
from pipeflow.runtime.watch.watched import Watched

_READ_BYTES: Final = 1 << 16


class Hearing:
    """The reading ends of all workers' pipes, in a selector.

    Each is closed here when it has ended, or when its worker is gone. A program that a worker has
    started may hold a writing end for longer: nobody waits for it.

    Args:
        wires: Where the pipes are.
        selector: Where they are registered, with what to call when one is readable.
        on_report: Called with each report.
        on_line: Called with each printed line.
    """

    def __init__(
        self,
        wires: Wires,
        selector: selectors.BaseSelector,
        *,
        on_report: Callable[[Watched, WorkerReport], None],
        on_line: Callable[[Watched, str], None],
    ) -> None:
        self._wires, self._selector = wires, selector
        self._on_report, self._on_line = on_report, on_line

    def register(self, workers: Iterable[Watched]) -> None:
        """Listen to these workers from now on."""
        for watched in workers:
            number = watched.plan.index
            for fd, action in (
                (self._wires.reports[number][0], self._hear_report),
                (self._wires.prints[number][0], self._hear_print),
            ):
                self._selector.register(fd, selectors.EVENT_READ, partial(action, watched))

    def catch_up(self, watched: Watched) -> None:
        """Hear all that a worker has reported by now."""
        while self._hear_report(watched):
            pass

    def read_to_end(self, watched: Watched) -> None:
        """Hear what a dead worker left in its pipes, and close them."""
        self.catch_up(watched)
        while self._hear_print(watched):
            pass
        for text in watched.lines.end():
            self._on_line(watched, text)
        for pipes in (self._wires.reports, self._wires.prints):
            self._close(pipes[watched.plan.index][0])

    def _hear_report(self, watched: Watched) -> bool:
        data = self._read(self._wires.reports[watched.plan.index][0])
        for report in watched.reports.feed(data):
            self._on_report(watched, report)
        return bool(data)

    def _hear_print(self, watched: Watched) -> bool:
        data = self._read(self._wires.prints[watched.plan.index][0])
        for text in watched.lines.feed(data):
            self._on_line(watched, text)
        return bool(data)

    def _read(self, fd: int) -> bytes:
        """Some of what is in a pipe; nothing when it is empty, ended, or closed already."""
        if fd not in self._selector.get_map():
            return b""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            self._close(fd)
        return data

    def _close(self, fd: int) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)
            self._wires.close_reading_end(fd)

"""Signals of a run in one process: the first asks it to drain, the second ends it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Final, Self

from pipeflow.runtime.loops.base import StageLoop
from pipeflow.runtime.loops.source import SourceLoop
from pipeflow.stages.work import DrainInterrupt

_ASK_TO_END: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Handlers for the time of a run; what was there before is put back.

    Args:
        wanted: Whether signals are taken at all; only the main thread can.
        grace_s: How long a source may stay in a blocking call once the run is drained.
    """

    def __init__(self, wanted: bool, grace_s: float) -> None:
        self._wanted = wanted and threading.current_thread() is threading.main_thread()
        self._grace_s = grace_s
        self._before: dict[int, object] = {}
        self._loop: StageLoop | None = None
        #: Number of the first signal, or 0.
        self.number = 0
        self.insisted = False

    def __enter__(self) -> Self:
        if self._wanted:
            for number in _ASK_TO_END:
                self._before[number] = signal.signal(number, self._asked)
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._grace_is_over)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave us

    @property
    def name(self) -> str:
        """Name of the first signal."""
        return signal.Signals(self.number).name

    def turn_to(self, loop: StageLoop | None) -> None:
        """Whose code runs now."""
        self._loop = loop

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        if not self.number:
            self.number = number
            signal.setitimer(signal.ITIMER_REAL, max(self._grace_s, 1e-6))
            return
        self.insisted = True
        self._leave()

    def _grace_is_over(self, _number: int, _frame: FrameType | None) -> None:
        self._leave()

    def _leave(self) -> None:
        loop = self._loop
        in_source = isinstance(loop, SourceLoop) and bool(loop.asking[0])
        if loop is not None and (self.insisted or in_source):
            raise DrainInterrupt

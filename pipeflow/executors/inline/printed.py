"""What stages print while they share our process: line by line to the listener, with their name."""

from __future__ import annotations

import io
import sys
from types import TracebackType
from typing import Self

from pipeflow.executors.base import Listener
from pipeflow.stages.context import StageContext
from pipeflow.telemetry.events import Event, LogLine


class Printed:
    """Takes the place of ``sys.stdout`` and ``sys.stderr`` while stages have their turns.

    The listener is called with the real streams back in place, for it may print itself.

    Args:
        listener: Gets the lines.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._real = (sys.stdout, sys.stderr)
        self._stream = _Lines(self)
        self._who: StageContext | None = None
        self._half: dict[tuple[str, int], str] = {}

    def __enter__(self) -> Self:
        self._real = (sys.stdout, sys.stderr)
        sys.stdout = sys.stderr = self._stream
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.stdout, sys.stderr = self._real
        for (stage, replica), text in self._half.items():
            if text:
                self._listener(LogLine(stage=stage, replica=replica, level="print", text=text))

    def turn_to(self, who: StageContext | None) -> None:
        """Whose lines follow."""
        self._who = who

    def tell(self, event: Event) -> None:
        """Pass an event on, with the real streams in place."""
        ours = (sys.stdout, sys.stderr)
        sys.stdout, sys.stderr = self._real
        try:
            self._listener(event)
        finally:
            sys.stdout, sys.stderr = ours

    def write(self, text: str) -> None:
        """Something was printed; whole lines are passed on."""
        if self._who is None:
            self._real[1].write(text)
            return
        key = (self._who.stage, self._who.replica)
        *lines, rest = (self._half.get(key, "") + text).split("\n")
        self._half[key] = rest
        for line in lines:
            self.tell(LogLine(stage=key[0], replica=key[1], level="print", text=line))


class _Lines(io.TextIOBase):
    """A text stream that hands all to ``Printed``."""

    def __init__(self, printed: Printed) -> None:
        super().__init__()
        self._printed = printed

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self._printed.write(text)
        return len(text)

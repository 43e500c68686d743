"""The pump: brings what stages print on a terminal above the live table, instead of through it.

    worker of `print` ══ pipe ══> thread of the pump ──> LiveTable.say

Needed only when standard output is the terminal that the table is drawn on. No deadlock: the
thread waits for nothing but the pipe, and whoever waits for the terminal waits no longer than a
plain write to it would. Ends when all writers have closed their ends.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

_CHUNK: Final = 1 << 16


class Pump:
    """Owns a pipe, and the thread that empties it line by line.

    Attributes:
        fd: The end to write to.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """Start pumping.

        Args:
            say: Takes one or more whole lines, without the newline at the end; called in the
                thread of the pump.
        """
        self._say = say
        self._source, self.fd = os.pipe()
        self._thread = threading.Thread(target=self._run, name="pipeflow-print", daemon=True)
        self._thread.start()

    def close(self, deadline_s: float = 5.0) -> None:
        """Close the writing end, and wait until what was written is shown."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self._thread.join(deadline_s)

    def _run(self) -> None:
        rest = b""
        while chunk := os.read(self._source, _CHUNK):
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                self._say(lines.decode(errors="replace"))
        if rest:
            self._say(rest.decode(errors="replace"))
        os.close(self._source)

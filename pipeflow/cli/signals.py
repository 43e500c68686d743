"""Signals that come when a run has ended, while it is told and its report is written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ASK_TO_END: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_passed_over() -> Iterator[None]:
    """Let nothing that asks the command to end cut its ending short; it takes a moment only.

    A second Ctrl-C often comes when the first has just done its work: it must not cost the report.
    In another thread than the main one signals are none of ours, and nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _pass_over) for number in _ASK_TO_END}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass_over(_number: int, _frame: FrameType | None) -> None:
    """Do nothing. Unlike ``SIG_IGN`` this is not inherited by programs that are started."""

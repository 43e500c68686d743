"""Stages that fail in every way at every moment; how and when is said in the environment.

``FAULT`` is the way, ``MOMENT`` the moment, ``ROLE`` the stage that is hit. Only the first replica
of it fails.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeflow.stages.context import current

FAULT, MOMENT, ROLE = (os.environ.get(name, "") for name in ("FAULT", "MOMENT", "ROLE"))
ITEMS = 40
MIDDLE = 20
#: Longer than any test waits.
FOREVER_S = 1000.0


class Odd(Exception):
    """Can be neither pickled nor made again: it holds a lock, and takes two arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.lock = threading.Lock()
        self.second = second


def fail() -> Any:
    """Fail as asked."""
    if FAULT in {"SIGSTOP", "hang"}:
        print("here it hangs")
    match FAULT:
        case "raise":
            raise ValueError("on purpose")
        case "unpicklable raise":
            raise Odd("on", "purpose")
        case "sys.exit":
            sys.exit(7)
        case "os._exit(0)":
            os._exit(0)
        case "abort":
            os.abort()
        case "segfault":
            ctypes.string_at(0)
        case "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        case "SIGSTOP":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "hang":
            time.sleep(FOREVER_S)
        case "out of memory":
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            _, most = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 2**20, most))
            kept = []
            while True:
                kept.append(bytearray(16 * 2**20))
        case _:
            raise AssertionError(FAULT)


def at(moment: str, role: str) -> None:
    """A moment of a stage has come."""
    context = current()
    replica = context.replica if context is not None else 0
    if (moment, role) == (MOMENT, ROLE) and replica == 0:
        fail()


class Trap:
    """An item that fails when it is pickled, or unpickled."""

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        if MOMENT == "while pickling":
            fail()
        return fail, ()


def trapped(number: int, role: str) -> Any:
    """The item, or a trap in its place in the middle of the stream."""
    giver = {"while pickling": ROLE, "while unpickling": BEFORE.get(ROLE)}.get(MOMENT)
    return Trap() if (number, role) == (MIDDLE, giver) else number


#: Who passes items to whom.
BEFORE = {"middle": "source", "replica": "source", "sink": "middle"}


class Stage:
    """What all of them do around their items."""

    role = ""

    def __init__(self) -> None:
        at("constructor", self.role)
        self.seen = 0

    def step(self) -> None:
        self.seen += 1
        if self.seen == 1:
            at("first item", self.role)
        if self.seen == 5:
            at("in the middle", self.role)

    def close(self) -> None:
        at("in close", self.role)


class Source(Stage):
    """Numbers; its own end is what ``finish`` is to the others."""

    role = "source"

    def __call__(self) -> Iterator[Any]:
        for number in range(ITEMS):
            self.step()
            yield trapped(number, self.role)
        at("in finish", self.role)


class Middle(Stage):
    """Passes items on."""

    role = "middle"

    def __call__(self, item: Any) -> Any:
        self.step()
        return trapped(item, self.role)

    def finish(self) -> None:
        at("in finish", self.role)


class Plain(Stage):
    """Passes items on, and keeps no state: another one can go on where this one stopped."""

    role = "middle"

    def __call__(self, item: Any) -> Any:
        # Whoever comes after a death begins to count anew: the item says which it is.
        self.seen = item
        self.step()
        return trapped(item, self.role)


class PlainSink(Stage):
    """Takes items, likewise."""

    role = "sink"

    def __call__(self, item: Any) -> None:
        self.seen = item
        self.step()


class Replica(Middle):
    """One of two."""

    role = "replica"


class Sink(Stage):
    """Takes items."""

    role = "sink"

    def __call__(self, item: Any) -> None:
        self.step()

    def finish(self) -> None:
        at("in finish", self.role)

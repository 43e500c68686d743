"""Stages that get into every kind of trouble, for the tests of the supervisor."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

#: Longer than any test waits: whoever is still asleep then was not ended.
FOREVER_S = 1000.0


def numbers(stop: int = 0) -> Iterator[int]:
    """Numbers from 0; without end when ``stop`` is 0."""
    number = 0
    while not stop or number < stop:
        yield number
        number += 1


def one_and_sleep() -> Iterator[int]:
    yield 0
    time.sleep(FOREVER_S)


def deaf() -> Iterator[int]:
    """Hears nothing of an interruption, like a library that blocks in C."""
    yield 0
    while True:
        try:
            time.sleep(FOREVER_S)
        except BaseException:
            pass


def ignore(_item: object) -> None:
    pass


def fall(item: int, how: str, at: int = 100) -> int:
    """Pass items on, until one is the last."""
    if item == at:
        match how:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "segfault":
                ctypes.string_at(0)
            case "exit":
                os._exit(0)
            case "raise":
                raise ValueError("no hundred")
            case "sleep":
                time.sleep(FOREVER_S)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case _:
                pass
    return item


def fall_with_child(item: int, note: str) -> None:
    """Start a program that never ends, note its process id, and die."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    Path(note).write_text(str(child.pid))
    os.kill(os.getpid(), signal.SIGKILL)


def with_child(item: int, note: str) -> int:
    """Start a program that never ends and note its process id, once."""
    if not Path(note).exists():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        Path(note).write_text(str(child.pid))
    return item


def sleep_after_first(item: int) -> int:
    if item:
        time.sleep(FOREVER_S)
    return item


def refuse(item: int, note: str, tries: int) -> int:
    """Fail on the first item, and note that; succeed when it was tried so many times."""
    if item:
        return item
    with Path(note).open("a") as file:
        file.write("tried\n")
    if len(Path(note).read_text().splitlines()) < tries:
        raise ConnectionError("not yet")
    return item


def die_of_first(item: int, note: str) -> int:
    """Note the first item, and die of it, always."""
    if item == 0:
        with Path(note).open("a") as file:
            file.write("tried\n")
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def leave_thread(item: int) -> int:
    threading.Thread(target=time.sleep, args=(FOREVER_S,)).start()
    return item


def describe(_item: int, name: str = "") -> None:
    """Print what the worker's process looks like."""
    ends = [end for end in Path("/proc/self/fd").iterdir() if end.is_symlink()]
    print("pipes", sum(str(end.readlink()).startswith("pipe:") for end in ends))
    print("threads", os.environ["OMP_NUM_THREADS"])
    print("named", os.environ.get(name, ""))
    print("stdin", repr(sys.stdin.read()))
    print("hashed", sys.flags.hash_randomization)
    print("script", sys.modules["__main__"].__spec__.name)  # type: ignore[union-attr]
    print("on stderr", file=sys.stderr)
    print("unended", end="")

"""Ties between processes that the kernel keeps: who dies with whom, who reaps, what stays open."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NAME: Final = 15
#: Bytes of a name that the kernel keeps.
_NAME_BYTES: Final = 15

#: Highest descriptor looked at where the open ones cannot be listed.
_MANY_DESCRIPTORS: Final = 65536


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> bool:
    """Have the kernel send us a signal when our parent (strictly: its thread) ends; Linux only.

    Returns:
        Whether the parent still lives: it may have died before we asked, and then no signal comes.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    return os.getppid() == parent


def prepare() -> None:
    """Load what the ties need, so that a copy of this process need not."""
    if sys.platform == "linux":
        _prctl_of_libc()


def adopt_orphans() -> None:
    """Have processes whose parent died become our children, not init's; Linux only."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def call_myself(stage: str, replica: int | None = None) -> None:
    """The name of this process in ``ps -e`` and ``top``; Linux only.

    Args:
        stage: Cut short if need be.
        replica: Its number, where there are several; it stays.
    """
    end = "" if replica is None else f"[{replica}]"
    _prctl(_PR_SET_NAME, (stage[: _NAME_BYTES - len(end)] + end).encode())


def children() -> tuple[int, ...]:
    """Process ids of our children, adopted ones too, as far as the kernel tells."""
    me = os.getpid()
    return _children_of(me, me)


def descendants(parent: int) -> tuple[int, ...]:
    """Process ids of all that a process and its children have started, as far as they are tied.

    Args:
        parent: The process.
    """
    found: list[int] = []
    try:
        tasks = [int(name) for name in os.listdir(f"/proc/{parent}/task")]  # noqa: PTH208 - as below
    except OSError:  # it is gone, or this is not Linux
        return ()
    for task in tasks:
        for pid in _children_of(parent, task):
            found += [pid, *descendants(pid)]
    return tuple(found)


def _children_of(process: int, thread: int) -> tuple[int, ...]:
    try:
        found = Path(f"/proc/{process}/task/{thread}/children").read_bytes()
    except OSError:  # not Linux, or a kernel without this file
        return ()
    return tuple(int(pid) for pid in found.split())


def reap(pid: int) -> None:
    """Take note of the end of a child, and wait for it if need be."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # the program around us ignores SIGCHLD: the kernel has reaped it


def quietly(act: Callable[[], None]) -> None:
    """Signal or move a process that may have ended by itself, or have become another program."""
    try:
        act()
    except (ProcessLookupError, PermissionError):
        pass  # it has


def threads() -> int:
    """Threads of this process, those of libraries too."""
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - a process is no tree of files
    except OSError:
        import threading

        return threading.active_count()


def close_all_but(keep: Iterable[int], highest: int | None = None) -> None:
    """Close every descriptor but those, and the three standard ones.

    A foreign end of a pipe that stays open here hides from its owner that its neighbour is gone.

    Args:
        keep: What stays open.
        highest: The highest that is open, if that is known: to look takes as long as all the rest.
    """
    low = 0
    for number in sorted({0, 1, 2, *keep}):
        if number > low:  # closerange(0, 0) closes everything, where the kernel has close_range
            os.closerange(low, number)
        low = number + 1
    os.closerange(low, (highest_open() if highest is None else highest) + 1)


def close_on_exec() -> None:
    """Let no program that is started from here on inherit more than the three standard ends."""
    for number in range(3, highest_open() + 1):
        try:
            os.set_inheritable(number, False)
        except OSError:
            pass  # not open


def highest_open() -> int:
    """The highest descriptor of this process, or the highest that one may have."""
    try:
        return max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - as above
    except OSError:
        return _MANY_DESCRIPTORS


def _prctl(option: int, value: int | bytes) -> None:
    if sys.platform == "linux" and (number := _prctl_of_libc()(option, value)):
        raise OSError(number, os.strerror(number), "prctl")


@cache
def _prctl_of_libc() -> Callable[[int, int | bytes], int]:
    """The call, which gives the ``errno``; found once, for copies of this process as well."""
    import ctypes  # slow to load, and only processes that are tied need it

    libc = ctypes.CDLL(None, use_errno=True)

    def call(option: int, value: int | bytes) -> int:
        return 0 if libc.prctl(option, value, 0, 0, 0) == 0 else ctypes.get_errno()

    return call

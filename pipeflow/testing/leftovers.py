"""What a test, or a run, left behind: processes, threads, open ends, shared memory.

``no_leftovers`` is a pytest fixture around this; ``Traces.now()`` and ``leftovers()`` serve whoever
wants to look by hand. All of it reads ``/proc``; elsewhere than on Linux only threads are seen.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import select
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from pipeflow.values import dataclass

#: Inherited by all that this process starts, so that orphans can be told from strangers.
MARK: Final = "PIPEFLOW_LEFTOVERS_MARK"
#: How long what is about to go may take to go.
DEADLINE_S: Final = 2.0

_SHM: Final = "/dev/shm"  # noqa: S108 - looked at, never written to

#: A process is gone, or another user's; the machine has no such folder.
_OUT_OF_SIGHT: Final = (FileNotFoundError, ProcessLookupError, PermissionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What could be left behind, at one moment.

    Attributes:
        processes: Ids of all processes of the machine, ours or not.
        threads: Threads of this process.
        descriptors: Open descriptors of this process, and what they lead to.
        shared: Names in ``/dev/shm``.
    """

    processes: frozenset[int]
    threads: frozenset[threading.Thread]
    descriptors: Mapping[int, str]
    shared: frozenset[str]

    @classmethod
    def now(cls) -> Traces:
        """Look around; takes well under a millisecond."""
        return cls(
            processes=frozenset(_process_ids()),
            threads=frozenset(threading.enumerate()),
            descriptors=_descriptors("self"),
            shared=frozenset(_names(_SHM)),
        )


def leftovers(before: Traces, *, deadline_s: float = DEADLINE_S) -> list[str]:
    """What is there now and was not before, a sentence each; empty: nothing.

    What is about to go is waited for, until ``deadline_s`` seconds have passed. Dead children that
    nobody has reaped are reaped here: they hold nothing but their number.
    """
    found = _leftovers(before)
    if not found:
        return []
    gc.collect()  # a descriptor may hang on a dead cycle: garbage, not a leak
    deadline = time.monotonic() + deadline_s
    while (found := _leftovers(before)) and (left_s := deadline - time.monotonic()) > 0:
        _wait_for_a_change(before, left_s)
    return found


@pytest.fixture
def no_leftovers() -> Iterator[None]:
    """Fail a test that leaves a process, a thread, a descriptor or shared memory behind."""
    os.environ.setdefault(MARK, uuid.uuid4().hex)
    before = Traces.now()

    yield

    found = leftovers(before)
    if found:
        for pid in _our_processes(before):  # the next test shall not suffer for this one
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        pytest.fail("left behind:\n  " + "\n  ".join(found), pytrace=False)


def _leftovers(before: Traces) -> list[str]:
    """One look, without waiting."""
    now = Traces.now()
    ours = _our_processes(before)
    threads = (t for t in now.threads - before.threads if t.is_alive())
    return [
        *(f"process {pid}: {_command(pid)}" for pid in sorted(ours)),
        *(f"thread {thread.name}" for thread in threads),
        *(f"descriptor {fd} -> {target}" for fd, target in _new_descriptors(before, now)),
        *(f"memfd {target} in {pid}" for pid, target in _memfds(_standing_helpers())),
        *(f"{_SHM}/{name}" for name in sorted(now.shared - before.shared)),
    ]


def _new_descriptors(before: Traces, now: Traces) -> list[tuple[int, str]]:
    ours_for_good = {
        multiprocessing.resource_tracker._resource_tracker._fd,  # type: ignore[attr-defined]  # noqa: SLF001 - the only name it has
        multiprocessing.forkserver._forkserver._forkserver_alive_fd,  # type: ignore[attr-defined]  # noqa: SLF001 - likewise
    }
    return [
        (fd, target)
        for fd, target in now.descriptors.items()
        if before.descriptors.get(fd) != target and fd not in ours_for_good
    ]


def _our_processes(before: Traces) -> set[int]:
    """Live processes that started since, and descend from this one or bear its mark."""
    new = set(_process_ids()) - before.processes - set(_standing_helpers())
    return {pid for pid in new if _is_ours(pid) and not _is_dead(pid)}


def _standing_helpers() -> list[int]:
    """Helpers of ``multiprocessing`` that live as long as this process, by design."""
    pids: list[int | None] = [
        multiprocessing.resource_tracker._resource_tracker._pid,  # type: ignore[attr-defined]  # noqa: SLF001 - the only name it has
        multiprocessing.forkserver._forkserver._forkserver_pid,  # type: ignore[attr-defined]  # noqa: SLF001 - likewise
    ]
    return [pid for pid in pids if pid is not None]


def _is_ours(pid: int) -> bool:
    """Whether it descends from this process, or was started by one that did."""
    mark = f"{MARK}={os.environ.get(MARK, '')}".encode()
    ancestor = pid
    while ancestor > 1:
        if ancestor == os.getpid() or mark in _read(ancestor, "environ").split(b"\0"):
            return True
        ancestor = int(_status(ancestor).get("PPid", "0"))
    return False


def _is_dead(pid: int) -> bool:
    """Whether it is gone or a zombie; a zombie of our own is reaped on the way."""
    if _status(pid).get("State", "X")[0] not in "ZX":
        return False
    with contextlib.suppress(ChildProcessError):  # a zombie, but of another parent
        os.waitpid(pid, os.WNOHANG)
    return True


def _memfds(pids: list[int]) -> list[tuple[int, str]]:
    """Anonymous shared memory that is open in these processes."""
    return [
        (pid, target)
        for pid in pids
        for target in _descriptors(str(pid)).values()
        if target.startswith("/memfd:")
    ]


def _wait_for_a_change(before: Traces, timeout_s: float) -> None:
    """Wait until a process or a thread of ours ends, or a moment, whichever is shorter."""
    watched = []
    for pid in _our_processes(before):
        with contextlib.suppress(ProcessLookupError):  # gone in this very moment: good
            watched.append(os.pidfd_open(pid))
    try:
        # Threads and descriptors have nothing to be polled on: look again after a moment.
        select.select(watched, [], [], min(timeout_s, 0.02))
    finally:
        for descriptor in watched:
            os.close(descriptor)


def _process_ids() -> list[int]:
    return [int(name) for name in _names("/proc") if name.isdigit()]


def _descriptors(pid: str) -> dict[int, str]:
    """Open descriptors of a process; empty when it is gone or not ours to look into."""
    folder = f"/proc/{pid}/fd"
    found: dict[int, str] = {}
    for name in _names(folder):
        # The descriptor of this very listing is closed by now, and so never found.
        with contextlib.suppress(*_OUT_OF_SIGHT):
            found[int(name)] = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - a hot path
    return found


def _names(folder: str) -> list[str]:
    """Names in a folder; none when it is not there, or not ours to look into."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - five times faster, and run round every test
    except _OUT_OF_SIGHT:
        return []


def _status(pid: int) -> dict[str, str]:
    lines = _read(pid, "status").decode(errors="replace").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()[:120]


def _read(pid: int, name: str) -> bytes:
    """A file of ``/proc/PID``; empty when the process is gone or not ours to look into."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except _OUT_OF_SIGHT:
        return b""

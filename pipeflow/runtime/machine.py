"""What this machine, its control group and its limits leave for a run, and what its kernel tells.

What cannot be read counts as unlimited: a missing file means that the kernel has no such limit.
"""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pipeflow.planner.plan import Machine
from pipeflow.values import dataclass

T = TypeVar("T")

#: More than this is how version 1 of control groups spells "no limit".
_NO_LIMIT = 2**60

#: Taken for the memory of a machine that does not tell.
_UNKNOWN_MEMORY = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the kernel's files are; tests have their own."""

    proc: Path = Path("/proc")
    cgroup: Path = Path("/sys/fs/cgroup")


def read_machine(roots: Roots | None = None) -> Machine:
    """Cores, free memory, processes and descriptors that a run may use."""
    roots = roots or Roots()
    return Machine(
        cores=_cores(roots),
        memory=_memory(roots),
        processes=free_processes(roots),
        descriptors=_descriptors(),
    )


def free_processes(roots: Roots | None = None) -> int | None:
    """Processes that may still be started, by ``ulimit -u`` and the control group; or ``None``."""
    roots = roots or Roots()
    room: list[int] = []
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.getuid() != 0:  # the kernel exempts root
        room.append(soft - _tasks_of_user(roots, os.getuid()))
    for folder in _folders(roots, "pids"):
        limit, used = _number(folder / "pids.max"), _number(folder / "pids.current")
        if limit is not None:
            room.append(limit - (used or 0))
    return max(0, min(room)) if room else None


def address_space() -> int | None:
    """What each process may map, in bytes, by ``ulimit -v``; ``None``: any amount."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def is_stopped(pid: int, roots: Roots | None = None) -> bool:
    """Whether a process was stopped by a signal, so that it does nothing until it is continued."""
    return _doing(pid, roots) == "T"


def is_asleep(pid: int, roots: Roots | None = None) -> bool:
    """Whether a process sleeps until something comes; so it is where the system does not tell.

    One that waits for a processor or for the disk, or was stopped by a signal, does not: what it
    has waited for may be there.
    """
    return _doing(pid, roots) not in {"R", "D", "T", "t"}


def _doing(pid: int, roots: Roots | None) -> str:
    """What the first thread of a process does, as the kernel's letter; empty: it does not tell."""
    behind_name = _text((roots or Roots()).proc / str(pid) / "stat").rpartition(")")[2]
    return "".join(behind_name.split()[:1])


def oom_kills(roots: Roots | None = None) -> int | None:
    """How often the kernel has killed for want of memory so far; ``None``: it does not tell.

    The control group's own counter where there is one, else the machine's.
    """
    roots = roots or Roots()
    for folder in _folders(roots, "memory"):
        for name in ("memory.events", "memory.oom_control"):
            count = _field(folder / name, "oom_kill")
            if count is not None:
                return count
    return _field(roots.proc / "vmstat", "oom_kill")


class OutOfMemory:
    """Tells whether the kernel has killed for want of memory since this was made."""

    def __init__(self) -> None:
        self._before = oom_kills()

    def has_killed(self) -> bool | None:
        """Whether it has; ``None``: it does not tell."""
        now = oom_kills()
        return None if now is None or self._before is None else now > self._before


def _cores(roots: Roots) -> int:
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    for folder in _folders(roots, "cpu"):
        quota = _quota(folder)
        if quota is not None:
            cores = min(cores, max(1, math.floor(quota)))
    return max(1, cores)


def _quota(folder: Path) -> float | None:
    """Processors that a control group may use at a time; ``None``: no limit."""
    words = _text(folder / "cpu.max").split()  # version 2: "quota period"
    if not words:
        words = [  # version 1 has a file for each
            *_text(folder / "cpu.cfs_quota_us").split(),
            *_text(folder / "cpu.cfs_period_us").split(),
        ]
    if len(words) != 2 or words[0] in {"max", "-1"}:
        return None
    return int(words[0]) / int(words[1])


def _memory(roots: Roots) -> int:
    free = _field(roots.proc / "meminfo", "MemAvailable:")
    room = [free * 1024 if free is not None else _physical_memory()]
    for folder in _folders(roots, "memory"):
        for most, now in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = _number(folder / most), _number(folder / now)
            if limit is not None and limit < _NO_LIMIT:
                room.append(limit - (used or 0) + _reclaimable(folder))
    return max(0, min(room))


def _reclaimable(folder: Path) -> int:
    """Bytes of page cache that the kernel gives back before it kills."""
    return _field(folder / "memory.stat", "inactive_file") or 0


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return _UNKNOWN_MEMORY


def _descriptors() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if hard == resource.RLIM_INFINITY else hard


def _tasks_of_user(roots: Roots, user: int) -> int:
    """Threads that the user runs: ``ulimit -u`` counts threads."""
    count = 0
    for folder in _listing(roots.proc):
        if folder.name.isdigit():
            owner = _field(folder / "status", "Uid:")
            if owner == user:
                count += _field(folder / "status", "Threads:") or 0
    return count


def _folders(roots: Roots, controller: str) -> Iterator[Path]:
    """Folders of this process's control group and its parents, nearest first, both versions."""
    for line in _text(roots.proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = roots.cgroup
        elif controller in controllers.split(","):
            base = roots.cgroup / controller
        else:
            continue
        # In a container the path is often the host's; then only the mount's root is there.
        folder = base / path.lstrip("/")
        seen = {base}
        while folder not in seen:
            yield folder
            seen.add(folder)
            folder = folder.parent
        yield base


def _text(file: Path) -> str:
    return _read(lambda: file.read_bytes().decode("ascii", "replace"), "")


def _listing(folder: Path) -> list[Path]:
    return _read(lambda: list(folder.iterdir()), [])


def _read(attempt: Callable[[], T], otherwise: T) -> T:
    try:
        return attempt()
    except OSError:  # not there, or not ours to read: no such limit
        return otherwise


def _number(file: Path) -> int | None:
    """A file that holds one number; ``None`` when there is none, or it says ``max``."""
    text = _text(file).strip()
    return int(text) if text.isdigit() else None


def _field(file: Path, name: str) -> int | None:
    """The first number behind a name, in a file of names and numbers."""
    for line in _text(file).splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return None

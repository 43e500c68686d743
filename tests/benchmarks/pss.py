"""What memory processes take, as PSS: a page that n processes share counts 1/n for each."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
#: Between two looks at all processes; a look takes some milliseconds.
_INTERVAL_S: Final = 0.03
#: What reading about a process gives that has just ended.
_GONE: Final = (FileNotFoundError, ProcessLookupError, PermissionError)


class Peak:
    """Watches a program and all its descendants until it ends.

    Attributes:
        megabytes: The most that all of them took together, in units of 10^6 bytes.
    """

    def __init__(self) -> None:
        self.megabytes = 0.0

    def __call__(self, process: subprocess.Popen[str]) -> None:
        """Look now and then; to be a ``Watch`` of ``programs``."""
        while process.poll() is None:
            self.megabytes = max(self.megabytes, sum(pss_mb(pid) for pid in family(process.pid)))
            try:
                process.wait(_INTERVAL_S)
            except subprocess.TimeoutExpired:
                continue  # it still runs: look again


def pss_mb(pid: int) -> float:
    """Give the PSS of a process in units of 10^6 bytes, 0 of one that has ended."""
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
    except _GONE:
        return 0.0
    if not text:  # it has ended and waits for its parent
        return 0.0
    kib = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return kib * 1024 / 1e6


def family(pid: int) -> set[int]:
    """Give a process and all its descendants."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for child, parent in _parents():
        children[parent].append(child)
    found: set[int] = set()
    todo = [pid]
    while todo:
        member = todo.pop()
        found.add(member)
        todo += children[member]
    return found


def _parents() -> Iterable[tuple[int, int]]:
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except _GONE:
                continue  # it ended between the listing and this
            # The name before the parent's id is in parentheses and may hold anything.
            yield int(entry.name), int(stat.rpartition(")")[2].split()[1])

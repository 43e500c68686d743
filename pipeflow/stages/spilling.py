"""Runs: sorted items on disk, merged when they are read; and how much memory an item takes.

    items ──> run, run, run, ...   MERGED of one level ──> one of the next ──> merged, in order

A run is an unnamed temporary file, so nothing of it stays however its process ends. Each level is
older than those below it, and merging takes equal keys from older runs first: the sort is stable.
"""

from __future__ import annotations

import heapq
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

#: So many runs of one level become one of the next: each is an open file while it lasts.
MERGED: Final = 32
#: Bytes of a run that are read or written at a time; so much memory each takes while it is read.
_BUFFER: Final = 1 << 16
#: Nesting that is looked at; what lies deeper is taken for small.
_DEPTH: Final = 6


class Runs:
    """Sorted runs on disk. Owns their files.

    Args:
        key: What they are sorted by.
        reverse: Largest first.
        folder: Where the files lie; ``None``: where temporary files do.
    """

    def __init__(self, key: Callable[[Any], Any], *, reverse: bool, folder: Path | None) -> None:
        self._key = key
        self._reverse = reverse
        self._folder = folder
        self._levels: list[list[IO[bytes]]] = []

    def __bool__(self) -> bool:
        return any(self._levels)

    def add(self, items: Iterable[Any]) -> None:
        """Write a run of items that are sorted.

        Raises:
            OSError: The disk is full, or the folder cannot be written to.
        """
        self._put(0, items)

    def merged(self, newest: Iterable[Any]) -> Iterator[Any]:
        """All items in order; those of ``newest``, sorted too, behind others that are equal."""
        oldest_first = [run for level in reversed(self._levels) for run in level]
        return self._merge([*map(_read, oldest_first), iter(newest)])

    def close(self) -> None:
        """Let go of the files."""
        for level in self._levels:
            for run in level:
                run.close()
        self._levels.clear()

    def _put(self, level: int, items: Iterable[Any]) -> None:
        if level == len(self._levels):
            self._levels.append([])
        runs = self._levels[level]
        run = _written(items, self._folder)
        runs.append(run)
        if len(runs) == MERGED:
            self._put(level + 1, self._merge([_read(each) for each in runs]))
            for each in runs:
                each.close()
            runs.clear()

    def _merge(self, runs: list[Iterator[Any]]) -> Iterator[Any]:
        return heapq.merge(*runs, key=self._key, reverse=self._reverse)


def weight(value: Any, depth: int = _DEPTH) -> int:
    """About how many bytes of memory a value takes, with all that is in it.

    Keys of mappings that are texts are not counted: most records share theirs.
    """
    kind = type(value)
    if kind in _PLAIN:
        return sys.getsizeof(value)
    size = int(getattr(value, "nbytes", 0)) + sys.getsizeof(value, 64)
    if not depth:
        return size
    if isinstance(value, Mapping):
        for key, each in value.items():
            size += weight(each, depth - 1) + (0 if type(key) is str else weight(key, depth - 1))
    elif kind in {list, tuple, set, frozenset}:
        size += sum(weight(each, depth - 1) for each in value)
    elif hasattr(value, "__dict__"):
        size += weight(vars(value), depth - 1)
    return size


def _written(items: Iterable[Any], folder: Path | None) -> IO[bytes]:
    run = tempfile.TemporaryFile(buffering=_BUFFER, dir=folder)  # noqa: SIM115 - closed by Runs
    try:
        for item in items:
            pickle.dump(item, run, pickle.HIGHEST_PROTOCOL)
        run.seek(0)
    except BaseException:
        run.close()
        raise
    return run


def _read(run: IO[bytes]) -> Iterator[Any]:
    while True:
        try:
            yield pickle.load(run)
        except EOFError:
            return


_PLAIN: Final = frozenset({str, bytes, int, float, bool, type(None)})

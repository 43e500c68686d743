"""How many threads libraries that compute may start, in a process that has them loaded already.

They read environment variables when they are loaded. Workers that share what was loaded before
they existed are told by a call instead; OpenBLAS, which numpy and scipy bring, can be told.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

#: Parts of the names of libraries with threads of their own that cannot be told, or only in part.
_DEAF_LIBRARIES: Final = ("libmkl", "libiomp", "libomp", "libgomp", "libblis", "libtbb", "libarmpl")

#: Python packages with threads of their own; what they read at import cannot be read again.
_DEAF_MODULES: Final = ("numexpr", "numba", "polars")

#: OpenBLAS comes with its names decorated, depending on who built it.
_PREFIXES: Final = ("", "scipy_")
_SUFFIXES: Final = ("", "64_", "_64", "64")


def adjustable() -> bool:
    """Whether ``set_threads`` reaches all libraries of this process that start threads."""
    if any(name in sys.modules for name in _DEAF_MODULES):
        return False
    paths = {path: Path(path).name for path in _mapped()}
    return all(
        _openblas(path) is not None for path, name in paths.items() if "openblas" in name
    ) and not any(name.startswith(_DEAF_LIBRARIES) for name in paths.values())


def set_threads(count: int) -> None:
    """Have the libraries that are loaded use so many threads, one a processor at most."""
    if hasattr(os, "sched_getaffinity"):  # as OpenBLAS does with what it reads when it is loaded
        count = min(count, len(os.sched_getaffinity(0)))
    for path in _mapped():
        if "openblas" in Path(path).name:
            setter = _openblas(path)
            if setter is not None:
                setter(count)


def _mapped() -> tuple[str, ...]:
    """Shared libraries that this process has loaded; none where the kernel does not tell."""
    try:
        text = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ()
    return tuple(dict.fromkeys(_libraries(text.splitlines())))


def _libraries(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        # address perms offset dev inode path; a path may hold spaces.
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and ".so" in fields[5]:
            yield fields[5]


def _openblas(path: str) -> ctypes._CFuncPtr | None:  # type: ignore[name-defined]  # a name of the stubs
    """The function of a loaded OpenBLAS that sets its threads."""
    try:
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return None
    for prefix in _PREFIXES:
        for suffix in _SUFFIXES:
            setter = getattr(library, f"{prefix}openblas_set_num_threads{suffix}", None)
            if setter is not None:
                setter.argtypes, setter.restype = [ctypes.c_int], None
                return setter
    return None

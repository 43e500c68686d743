"""How a worker's own memory is kept: what one item's arrays were in, the next one's are in too."""

from __future__ import annotations

import os
import sys
from typing import Final

#: Names of glibc's ``malloc.h``.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

#: Arrays below this are taken from the heap; as large a piece may stay at its end when it is free.
KEPT_BYTES: Final = 256 * 2**20

#: Whether that was done: here, or in the process that this one is a copy of.
_kept = False


def keep_freed_memory() -> bool:
    """Have freed memory kept for the next array, up to ``KEPT_BYTES``; whether that can be had.

    glibc maps an array of 32 MiB and more anew each time it is made, and gives the heap's free end
    back beyond twice the largest array so far: the pages of ``a * 2 + b`` would be new with each
    item. The price is that so much may stay with a worker that has freed it. Who has set it by the
    environment knows better.
    """
    global _kept  # noqa: PLW0603 - the allocator is the process's own, and so is this
    if _kept:
        return True
    if sys.platform != "linux" or _set_by_user():
        return False
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False  # another C library: musl has none
    _kept = bool(mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES) and mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))
    return _kept


def _set_by_user() -> bool:
    return any(name.startswith("MALLOC_") for name in os.environ) or (
        "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    )

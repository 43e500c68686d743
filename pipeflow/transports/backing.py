"""The memory under the arena: one sealed, sparse memfd, or what comes nearest elsewhere."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path
from typing import Final

LINUX: Final = sys.platform == "linux"
#: Every place where a mapping may begin is a multiple of this, in bytes.
GRANULE: Final = mmap.ALLOCATIONGRANULARITY

_F_ADD_SEALS: Final = 1033
_SEALS: Final = 0x0001 | 0x0002 | 0x0004  # F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW


def _cache_bytes() -> int:
    """What the arrays of a run may take of the last cache, in bytes: it is not theirs alone."""
    try:
        size = Path("/sys/devices/system/cpu/cpu0/cache/index3/size").read_bytes().strip()
        found = int(size.removesuffix(b"K")) * 1024
    except (OSError, ValueError):
        return 24 * 2**20  # no such file in many containers and systems
    return found * 3 // 4


#: Of shared arrays, in bytes, that are likely still in the cache when they are read.
CACHE_BYTES: Final = _cache_bytes()


def create_backing(nbytes: int) -> int:
    """A descriptor of ``nbytes`` of shared memory that has no name and takes no room yet.

    On Linux nobody can shrink it under a reader: it is sealed. Elsewhere it is a named segment
    whose name is gone before anyone could use it; not tested there.

    Raises:
        OSError: The system refuses.
    """
    if LINUX:
        import fcntl

        fd = os.memfd_create("pipeflow", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, nbytes)
            fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
        except OSError:
            os.close(fd)
            raise
        return fd
    from multiprocessing.shared_memory import SharedMemory

    segment = SharedMemory(create=True, size=nbytes)
    try:
        descriptor: int = vars(segment)["_fd"]  # there is no public way to it
        return os.dup(descriptor)
    finally:
        segment.close()
        segment.unlink()


class Backing:
    """One process's hold of the descriptor: maps it, reserves and gives back its pages."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def map(self, offset: int, nbytes: int, *, writable: bool) -> mmap.mmap:
        """Map a part of it; the mapping lives as long as anything refers to it."""
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        if not LINUX:
            return mmap.mmap(self.fd, nbytes, access=access, offset=offset)
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        return mmap.mmap(self.fd, nbytes, flags=mmap.MAP_SHARED, prot=protection, offset=offset)

    def reserve(self, offset: int, nbytes: int) -> None:
        """Have the pages before anyone writes: lack of memory is an error here, not a signal.

        Raises:
            OSError: There is not so much memory.
        """
        if LINUX:
            os.posix_fallocate(self.fd, offset, nbytes)

    def release(self, mapping: mmap.mmap, start: int, nbytes: int) -> bool:
        """Give the pages of a writable mapping back; whether the system can do so."""
        if not LINUX:
            return False
        mapping.madvise(mmap.MADV_REMOVE, start, nbytes)
        return True

    def close(self) -> None:
        """Close the descriptor; mappings stay."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

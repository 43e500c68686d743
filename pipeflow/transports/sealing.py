"""What was sent stays as it is: its maker's right to write into it is taken back for good.

numpy lets anyone switch an array's writing on again whose memory can be written: it asks what the
array lies in. So an array that is lent lies in a buffer of its own over the pool's range, and that
one is revoked. Views that were made before are asked the same way, but one that could be written
then still can: nobody knows where they are.
"""

from __future__ import annotations

import mmap
import weakref
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, Final

from pipeflow.transports.holdings import Holdings

if TYPE_CHECKING:
    import numpy as np

#: What a lent array lies in; once released it gives no memory to anyone, and keeps none.
Revocable = PickleBuffer


def seal(part: Any, keeper: np.ndarray[Any, Any]) -> None:
    """Make an array read-only for good.

    Args:
        part: The array, or the memory view of it, that was sent.
        keeper: What keeps its slot; some steps below, or the array itself.
    """
    while part is not keeper and part is not None:
        flags = getattr(part, "flags", None)
        if flags is not None and flags.writeable:
            part.setflags(write=False)
        part = below(part)
    base: object = keeper.base
    if type(base) is Revocable:  # else it was received, and was never writable
        keeper.setflags(write=False)
        base.release()


def seal_lent(array: np.ndarray[Any, Any]) -> bool:
    """Seal an array that a pool at work has lent, or a part of one, though it was not sent yet.

    Whether it is one, so that it stays as it is without a copy.
    """
    keeper: Any = array
    while type(keeper.base) is type(keeper):
        keeper = keeper.base
    base = keeper.base
    if type(base) is not Revocable:
        return False
    try:
        memory = memoryview(base).obj
    except ValueError:  # revoked by now; what could not be written needs no copy anyway
        return False
    if memory not in _mapped:
        return False
    seal(array, keeper)
    return True


def below(part: Any) -> Any:
    """What an array, a memory view or one of numpy's helpers lies in; at the end ``None``."""
    return part.obj if isinstance(part, memoryview) else getattr(part, "base", None)


def keep_mapped(memory: mmap.mmap) -> mmap.mmap:
    """Keep a mapping until ``leave_mapped``: a sealed array does not do so any more."""
    _mapped.add(memory)
    return memory


def leave_mapped(memory: mmap.mmap, holdings: Holdings) -> None:
    """Leave a mapping to what was made in it: it goes with the last of these."""
    for target in holdings.targets():
        weakref.finalize(target, _let_go, memory).atexit = False
    _mapped.discard(memory)


def _let_go(_: mmap.mmap) -> None:
    """What is kept by whoever waits to call this is kept no more."""


#: Ranges of pools that are at work. A pool that is never closed keeps its range until the end.
_mapped: Final[set[mmap.mmap]] = set()

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
from pipeflow.transports.shelf import SHARED_FROM

if TYPE_CHECKING:
    import numpy as np

#: Steps from an array down to what it lies in.
MOST_BASES: Final = 16
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
    """Seal an array that was lent, or a part of one, though it was not sent yet.

    Whether it is one, so that it stays as it is without a copy.
    """
    keeper = lent_under(array)
    if keeper is not None:
        seal(array, keeper)
    return keeper is not None


def lent_under(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """The array that was lent, under an array; ``None``: there is none, or it is sealed."""
    buffer: Any = array
    for _ in range(MOST_BASES):
        keeper, buffer = buffer, below(buffer)
        if buffer is None:
            return None
        if type(buffer) is Revocable:
            return keeper if _is_ours(buffer) else None
    return None


def lend(shape: Any, dtype: Any) -> np.ndarray[Any, Any]:
    """``SlotPool.empty`` where there is no shared memory: an array that is sealed once it is sent.

    Small ones are not, as there.
    """
    import numpy as np

    array = np.empty(shape, dtype)
    if array.nbytes < SHARED_FROM or array.dtype.hasobject:
        return array
    # As bytes: a buffer says nothing of days and the like. Types tell buffers from 3.12 on only.
    memory: Any = np.empty(array.nbytes, np.uint8)
    buffer: Any = Revocable(memory)
    lent: Any = np.ndarray(array.shape, array.dtype, buffer)
    _lent[id(memory)] = memory
    weakref.finalize(lent, _let_go, memory).atexit = False
    return lent  # type: ignore[no-any-return]  # as the annotation of ``Any`` above has it


def _is_ours(buffer: PickleBuffer) -> bool:
    try:
        memory = memoryview(buffer).obj
    except ValueError:  # what lies in it is sealed
        return False
    return _mapped.get(id(memory)) is memory or _lent.get(id(memory)) is memory


def below(part: Any) -> Any:
    """What an array, a memory view or one of numpy's helpers lies in; at the end ``None``."""
    return part.obj if isinstance(part, memoryview) else getattr(part, "base", None)


def keep_mapped(memory: mmap.mmap) -> mmap.mmap:
    """Keep a mapping until ``leave_mapped``: a sealed array does not do so any more."""
    _mapped[id(memory)] = memory
    return memory


def leave_mapped(memory: mmap.mmap, holdings: Holdings) -> None:
    """Leave a mapping to what was made in it: it goes with the last of these."""
    for target in holdings.targets():
        weakref.finalize(target, _let_go, memory).atexit = False
    _mapped.pop(id(memory), None)


def _let_go(_: object) -> None:
    """What is kept by whoever waits to call this is kept no more."""


#: Ranges of pools that are at work. A pool that is never closed keeps its range until the end.
_mapped: Final[dict[int, mmap.mmap]] = {}  # by identity
#: What ``lend`` has made and is in use.
_lent: Final[weakref.WeakValueDictionary[int, Any]] = weakref.WeakValueDictionary()

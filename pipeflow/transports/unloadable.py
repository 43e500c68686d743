"""What stands in a packet for an item that cannot be loaded."""

from __future__ import annotations

import pickle
from typing import Any, Final

from pipeflow.errors import ItemNotLoadable
from pipeflow.transports.culprit import reason_of
from pipeflow.values import dataclass

#: What a pickle of ours has that names a function or a class; plain data has it by chance alone.
NAMES_CLASS: Final = pickle.STACK_GLOBAL
_INTS: Final = (pickle.BININT1, pickle.BININT2, pickle.BININT)
#: Bytes of what a pickle begins with, of a frame's head, and of what ends it after a text.
_HEAD, _FRAME, _TAIL = 2, 9, 2
#: Operations that make numbers: a pickle that begins with one is that number. Those that make
#: texts, and how many bytes the length of these takes: it may be the name of a module as well.
_NUMBERS: Final = frozenset(b"".join((*_INTS, pickle.LONG1, pickle.BINFLOAT)))
_TEXTS: Final = {pickle.SHORT_BINUNICODE[0]: 1, pickle.BINUNICODE[0]: 4}


@dataclass(frozen=True, slots=True)
class Unloadable:
    """Stands for an item that cannot be loaded.

    Attributes:
        error: Why; its cause is what was raised, if anything was.
    """

    error: ItemNotLoadable


class Unopened:
    """Stands for an item that cannot be loaded here; whoever it comes to next tries by itself.

    Args:
        pickled: Its pickle, without buffers beside it.
    """

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled

    def __reduce__(self) -> Any:
        return pickle.loads, (self._pickled,)


def may_run_code(pickled: bytes, start: int = 0) -> bool:
    """Whether to load a pickle of ours may run code of the user's.

    It names a function or a class then, which takes a byte that plain data has by chance alone. Of
    a number or a text by itself it is found out; of more it is not worth the while.

    Args:
        pickled: The pickle.
        start: Where in these bytes it begins.
    """
    if NAMES_CLASS not in pickled:
        return False
    at = start + _HEAD
    if pickled[at] == pickle.FRAME[0]:
        at += _FRAME
    first = pickled[at]
    if first in _NUMBERS:
        return False
    width = _TEXTS.get(first)
    if width is None:
        return True
    length = int.from_bytes(pickled[at + 1 : at + 1 + width], "little")
    return len(pickled) != at + 1 + width + length + _TAIL


def unloadable(index: int, error: BaseException) -> Unloadable:
    """What stands for item number ``index``, which raised ``error``."""
    told = ItemNotLoadable(index, reason_of(error))
    told.__cause__ = error
    return Unloadable(told)

"""What stands in a packet for an item that cannot be loaded."""

from __future__ import annotations

import pickle
from typing import Any

from pipeflow.errors import ItemNotLoadable
from pipeflow.transports.culprit import reason_of
from pipeflow.values import dataclass


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


def unloadable(index: int, error: BaseException) -> Unloadable:
    """What stands for item number ``index``, which raised ``error``."""
    told = ItemNotLoadable(index, reason_of(error))
    told.__cause__ = error
    return Unloadable(told)

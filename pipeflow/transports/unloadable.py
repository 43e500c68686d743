"""What stands in a packet for an item that cannot be loaded."""

from __future__ import annotations

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


def unloadable(index: int, error: BaseException) -> Unloadable:
    """What stands for item number ``index``, which raised ``error``."""
    told = ItemNotLoadable(index, reason_of(error))
    told.__cause__ = error
    return Unloadable(told)

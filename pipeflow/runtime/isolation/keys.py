"""Keys of items that the keeper of a join has not opened: its runner works them out.

    frame comes ──> asked ── KeyOrder ──> runner opens it, and works out a key for each item
    join looks at its items  <── FrameKeys ──┘

To open an item, and to work out its key, runs code of the user's, which may end the process. What
the runner tells has no classes of the user's: a keeper loads it, and nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from pipeflow.errors import PipeflowError
from pipeflow.runtime.flow.keyed import PLAIN_KEYS, PickKey
from pipeflow.runtime.isolation.messages import FrameKeys, KeyOrder
from pipeflow.runtime.isolation.sealed import Sealed, SealedFrame
from pipeflow.runtime.messages import Failure, ItemId
from pipeflow.stages.keys import key_hash
from pipeflow.values import dataclass

#: What is wrong with an item whose key cannot be worked out.
Describe = Callable[[Exception, Any], Failure]


class KeyFailed(PipeflowError):
    """The key of an item could not be worked out.

    Attributes:
        failure: Why.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class StandIn:
    """Stands for a key of a class of the user's; equal ones stand for equal keys.

    Attributes:
        kind: Name of the class.
        parts: What it is compared by.
    """

    kind: str
    parts: tuple[object, ...]


class KeyBook:
    """The keys of a join's unopened items, as far as they are known to the keeper."""

    def __init__(self) -> None:
        self._new: list[SealedFrame] = []
        self._asked: dict[int, SealedFrame] = {}

    # -- asked by the join

    def came(self, port: int, item: ItemId, payload: Sealed) -> None:
        """An item has come on a port."""
        frame, at = payload
        if frame.port < 0:
            frame.port = port
            self._new.append(frame)
        frame.ids[at] = item

    def known(self, payload: Sealed) -> bool:
        """Whether its key is known, or that it has none."""
        return payload.frame.keys is not None

    def key(self, payload: Sealed) -> Any:
        """Its key.

        Raises:
            KeyFailed: It could not be worked out.
        """
        frame, at = payload
        assert frame.keys is not None
        found = frame.lost.get(at) or frame.keys[at]
        if isinstance(found, Failure):
            raise KeyFailed(found)
        return found

    # -- asked by the keeper

    def waits(self) -> bool:
        """Whether the runner has to tell of a frame yet."""
        return bool(self._asked or self._new)

    def asks_for(self, frame: SealedFrame) -> bool:
        """Whether the runner was asked for a frame, and has not told of it."""
        return frame.number in self._asked

    def has_new(self) -> bool:
        """Whether the runner was not asked for some yet."""
        return bool(self._new)

    def ask(self, *, again: bool) -> Sequence[SealedFrame]:
        """Frames that the runner is asked for from now on; ``again``: another one was asked."""
        new = [*self._asked.values(), *self._new] if again else self._new
        self._asked |= {frame.number: frame for frame in self._new}
        self._new = []
        return new

    def find(self, number: int, at: int | None) -> Sealed | None:
        """An item of a frame that the runner was asked for; ``None`` for ``at``: the first."""
        frame = self._asked.get(number)
        return None if frame is None else Sealed(frame, at or 0)

    def note(self, told: FrameKeys) -> None:
        """The runner has told the keys of a frame."""
        self._asked.pop(told.frame).keys = told.keys


def order_of(frame: SealedFrame) -> KeyOrder:
    """What the runner is told to do."""
    return KeyOrder(frame.number, frame.port)


def told_key(pick: PickKey, payload: Any, describe: Describe) -> object:
    """The key of an item as it is told to the keeper, or why there is none."""
    try:
        key = pick(payload)
        if key is None or type(key) in PLAIN_KEYS:
            return key
        key_hash(key)  # refuses what never equals what came from another process
        return _without_classes(key)
    except Exception as error:  # the user's expression: a boundary
        return describe(error, payload)


def _without_classes(key: Any) -> object:
    """The same key, as far as equality goes, without classes of the user's."""
    kind = type(key)
    if key is None or kind in PLAIN_KEYS:
        return key
    name = f"{kind.__module__}.{kind.__qualname__}"
    match key:
        case str():  # before Enum: a member of a StrEnum or IntEnum equals its value
            return str.__str__(key)
        case bytes():
            return bytes(memoryview(key))
        case int():
            return int.__int__(key)
        case float():
            return float.__float__(key)
        case tuple():
            return tuple(map(_without_classes, key))
        case frozenset():
            return frozenset(map(_without_classes, key))
        case Enum():
            return StandIn(name, (key.name,))
        case _ if dataclasses.is_dataclass(key):
            fields = [each.name for each in dataclasses.fields(key) if each.compare]
            return StandIn(name, tuple([_without_classes(getattr(key, each)) for each in fields]))
        case _:
            return key  # a number, a time, a path, a UUID

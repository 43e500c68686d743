"""Items and results as they were at one moment, whatever the user's code does with them later."""

from __future__ import annotations

import pickle
from typing import Any

from pipeflow.runtime.flow.runs import UNCHANGING
from pipeflow.transports.codec import Decoder, Encoder

_ENCODER, _DECODER = Encoder(), Decoder()


class AsItCame:
    """An item as it came: a try that fails may have changed what it got.

    Args:
        payload: The item.
    """

    def __init__(self, payload: Any) -> None:
        self._payload = payload
        self._taken = False
        self._moment = None if type(payload) in UNCHANGING else _moment_of(payload)

    def take(self) -> Any:
        """The item, for one try."""
        if self._taken and self._moment is not None:
            return self._moment.again()
        self._taken = True
        return self._payload


def as_it_is(result: Any) -> Any:
    """A result as it is now: who yields it may use the same object again for the next.

    Raises:
        ItemNotSerializable: It cannot be pickled.
        ItemNotLoadable: What was pickled cannot be loaded.
    """
    if type(result) in UNCHANGING:
        return result
    try:
        return _Moment(result).again()
    except Exception:  # the user's own objects: a boundary. The codec says what is wrong with them
        (copy,) = _DECODER.decode(_ENCODER.encode([result]))
        return copy


class _Moment:
    """An object, pickled. Buffers that nobody can write, views of shared memory, are not copied."""

    def __init__(self, value: Any) -> None:
        buffers: list[pickle.PickleBuffer] = []
        self._pickled = pickle.dumps(value, 5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        self._buffers = [view if view.readonly else bytes(view) for view in views]

    def again(self) -> Any:
        """The object as it was; what could be written can be so again."""
        return pickle.loads(self._pickled, buffers=[_own(each) for each in self._buffers])


def _moment_of(payload: Any) -> _Moment | None:
    """What came by pickle can nearly always be pickled again; tries share the object if not."""
    try:
        return _Moment(payload)
    except Exception:  # the user's own objects: a boundary
        return None


def _own(buffer: memoryview | bytes) -> memoryview | bytearray:
    return buffer if isinstance(buffer, memoryview) else bytearray(buffer)

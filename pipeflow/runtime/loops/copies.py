"""Items and results as they were at one moment, whatever the user's code does with them later."""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
from collections.abc import Callable
from typing import Any, Final

from pipeflow.runtime.flow.runs import OURS, UNCHANGING
from pipeflow.transports.codec import Encoder
from pipeflow.transports.kinds import copiers
from pipeflow.transports.sealing import seal_lent

_ENCODER: Final = Encoder()


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
        """The item, for one try, or for the letter that tells of it."""
        first, self._taken = not self._taken, True
        if first or self._moment is None:
            return self._payload
        return self._moment.again()


def as_it_is(result: Any) -> Any:
    """A result as it is now: who yields it may use the same object again for the next.

    An array of ``pipeflow.empty`` needs no copy: it cannot be written any more.

    Raises:
        ItemNotSerializable: It cannot be pickled.
    """
    if type(result) in UNCHANGING or (_is_plain_array(result) and seal_lent(result)):
        return result
    moment = _moment_of(result)
    if moment is None:
        _ENCODER.encode([result])  # says what is wrong with it, if it cannot travel
        return result
    return moment.again()


def is_fresh(result: Any, references: int) -> bool:
    """Whether a result is an array that nobody else can reach, so that it stays as it is.

    Args:
        result: Any result.
        references: What ``sys.getrefcount`` says of it where it has one name.
    """
    if references > OURS or not _is_plain_array(result) or result.dtype.hasobject:
        return False
    return result.base is None


def _is_plain_array(result: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(result) is numpy.ndarray


class _Moment:
    """An object, pickled. Buffers that nobody can write, views of shared memory, are not copied."""

    def __init__(self, value: Any) -> None:
        buffers: list[pickle.PickleBuffer] = []
        self._value = value
        self._pickled = _dump(value, buffers.append)
        views = [buffer.raw() for buffer in buffers]
        self._buffers = [view if view.readonly else bytes(view) for view in views]

    def again(self) -> Any:
        """The object as it was; the very object if it can be pickled, but not loaded."""
        buffers = [_own(each) for each in self._buffers]
        try:
            return pickle.loads(self._pickled, buffers=buffers)
        except Exception:  # the user's own objects: a boundary. Its reader will tell of it
            return self._value


def _moment_of(payload: Any) -> _Moment | None:
    """What came by pickle can nearly always be pickled again; tries share the object if not."""
    try:
        return _Moment(payload)
    except Exception:  # the user's own objects: a boundary
        return None


def _dump(value: Any, out_of_band: Callable[[pickle.PickleBuffer], None]) -> bytes:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return pickle.dumps(value, 5, buffer_callback=out_of_band)
    file = io.BytesIO()
    pickler = pickle.Pickler(file, 5, buffer_callback=out_of_band)
    pickler.dispatch_table = {**copyreg.dispatch_table, **copiers(numpy)}
    pickler.dump(value)
    return file.getvalue()


def _own(buffer: memoryview | bytes) -> memoryview | bytearray:
    """What could be written can be so again, by each its own."""
    return buffer if isinstance(buffer, memoryview) else bytearray(buffer)

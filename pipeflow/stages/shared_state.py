"""What stages get for ``${shared.x}``: a value, an array, a dict or a list that others see too.

Each is a context manager that holds its lock. A single step (``seen[key] = 1``) is whole by itself;
a step that rests on what was read before (``total.value += 1``) needs the lock.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from pipeflow.spec.shared import DTYPES, Shared, SharedKind, SharedRef
from pipeflow.stages.shared_collections import SharedDict, SharedList, State
from pipeflow.stages.shared_lock import Hold, Mutex, NoClaim
from pipeflow.stages.shared_store import Link, Store

if TYPE_CHECKING:
    import numpy as np


class SharedValue(State):
    """One number or truth value in shared memory.

    Args:
        shared: What it is.
        hold: Its lock.
        memory: Where it lies.
    """

    def __init__(self, shared: Shared, hold: Hold, memory: memoryview) -> None:
        super().__init__(shared.name, hold)
        self._dtype = shared.dtype
        self._format = struct.Struct("=" + DTYPES[shared.dtype][1])
        self._memory = memory

    @property
    def value(self) -> Any:
        """What it is now: an ``int``, a ``float`` or a ``bool``."""
        return self._format.unpack_from(self._memory)[0]

    @value.setter
    def value(self, value: Any) -> None:
        try:
            self._format.pack_into(self._memory, 0, value)
        except (struct.error, OverflowError) as error:
            raise ValueError(
                f"shared '{self._name}' is of type {self._dtype}, which {value!r} is not: {error}"
            ) from None

    def __repr__(self) -> str:
        return f"<shared {self._name!r}: {self.value}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(_no_item(self._name, "value"))


class SharedArray(State):
    """An array in shared memory.

    Args:
        shared: What it is.
        hold: Its lock.
        memory: Where it lies.
    """

    def __init__(self, shared: Shared, hold: Hold, memory: memoryview) -> None:
        super().__init__(shared.name, hold)
        self._shared = shared
        self._memory = memory
        self._array: np.ndarray[Any, Any] | None = None

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The array itself, to be read and written by all; always the same object."""
        if self._array is None:
            import numpy as np

            flat = np.frombuffer(self._memory, self._shared.dtype)
            self._array = flat.reshape(self._shared.shape)
        return self._array

    def __repr__(self) -> str:
        return f"<shared {self._name!r}: {self._shared}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(_no_item(self._name, "array"))


SharedState = SharedValue | SharedArray | SharedDict | SharedList


def make_state(
    shared: Shared, number: int, hold: Hold, *, memory: memoryview | None, link: Link | None
) -> SharedState:
    """The object that a stage gets.

    Args:
        shared: What it is.
        number: Of the state, among all of the run.
        hold: Its lock.
        memory: Where it lies, of a value or an array.
        link: The way to where it is kept, of a dict or a list.
    """
    match shared.kind:
        case SharedKind.VALUE:
            assert memory is not None
            return SharedValue(shared, hold, memory)
        case SharedKind.ARRAY:
            assert memory is not None
            return SharedArray(shared, hold, memory)
        case SharedKind.DICT:
            assert link is not None
            return SharedDict(shared, hold, number, link)
        case SharedKind.LIST:
            assert link is not None
            return SharedList(shared, hold, number, link)


def with_state(
    parameters: Mapping[str, object], give: Callable[[str], SharedState]
) -> dict[str, object]:
    """The values under ``with``, with the objects in place of what refers to them."""

    def filled(value: object) -> object:
        match value:
            case SharedRef(name):
                return give(name)
            case dict():
                return {key: filled(each) for key, each in value.items()}
            case list():
                return [filled(each) for each in value]
            case _:
                return value

    return {name: filled(value) for name, value in parameters.items()}


def fill_start(shared: Shared, memory: memoryview) -> None:
    """Write what a value or an array is at the start; the memory is zeroes."""
    if not shared.value:
        return
    size, letter = DTYPES[shared.dtype]
    start = shared.value
    if letter:
        one = struct.pack(letter, float(start) if letter in "efd" else start)
    else:
        one = struct.pack("ff" if size == 8 else "dd", float(start), 0.0)
    # By doubling: an array may be long.
    memory[:size] = one
    done = size
    while done < shared.nbytes:
        more = min(done, shared.nbytes - done)
        memory[done : done + more] = memory[:more]
        done += more


class InlineShares:
    """The same objects without processes: for the inline executor and for tests.

    Args:
        shared: All state, by number.
    """

    def __init__(self, shared: tuple[Shared, ...]) -> None:
        self._store = Store([each.kind for each in shared])
        self._all = {each.name: (number, each) for number, each in enumerate(shared)}
        self._memory = {each.name: memoryview(bytearray(each.nbytes)) for each in shared}
        self._mutexes = {each.name: Mutex(each.name, NoClaim()) for each in shared}
        for each in shared:
            fill_start(each, self._memory[each.name])

    def give(self, name: str, stage: str) -> SharedState:
        """The object of one stage."""
        number, shared = self._all[name]
        hold = Hold(self._mutexes[name], stage)
        memory = self._memory[name]
        return make_state(shared, number, hold, memory=memory, link=self._store.do)


def _no_item(name: str, attribute: str) -> str:
    return (
        f"shared '{name}' cannot travel as an item: pass its .{attribute} on, or give the other"
        f" stage with: {{{name}: ${{shared.{name}}}}}"
    )

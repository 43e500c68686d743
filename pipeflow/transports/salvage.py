"""Loading a packet item by item, so that one which cannot be loaded costs no other.

A pickle of a list is one program, whose operations make one element after the other. This runs it
slowly, and stands in for the operations that fail, and for all others of the user's that belong to
the same element: what they would have left on the stack is left there, and the next element goes
on. So it also passes an element by that must not be tried: one that has killed who loaded it.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from collections.abc import Callable, Collection
from types import BuiltinFunctionType, FunctionType, TracebackType
from typing import Any, Final

from pipeflow.errors import PipeflowError
from pipeflow.transports.culprit import elements_of
from pipeflow.transports.pieces import pieces_of
from pipeflow.transports.reading import rebuild_array
from pipeflow.transports.unloadable import unloadable

#: Told of each item before it is loaded.
Begins = Callable[[int], None]

#: Operations that may run code of the user's, or import it.
_USERS: Final = frozenset(
    {
        *("GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "NEWOBJ_EX", "BUILD"),
        *("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "FROZENSET"),
        *("EXT1", "EXT2", "EXT4", "BINPERSID"),
    }
)
#: Those that only look something up: others may need what a lost element has looked up.
_LOOKUPS: Final = frozenset({"GLOBAL", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"})
#: What a lost element may share with others: it is whole whatever became of the element.
_WHOLE: Final = (
    *(str, bytes, int, float, complex, type(None), type, FunctionType, BuiltinFunctionType),
    *(bytearray, memoryview),
)
_COUNT: Final = struct.Struct("<I")
_INFO: Final = {ord(each.code): each for each in pickletools.opcodes}

#: Stands on the stack for what could not be made.
_LOST: Final = object()


def salvage_list(
    pickled: bytes | memoryview,
    buffers: Any,
    *,
    begins: Begins,
    lost: Collection[int] = (),
) -> list[Any]:
    """The elements of a pickled list, ``Unloadable`` for those that cannot be loaded.

    Args:
        pickled: The pickle.
        buffers: Its buffers.
        begins: Told of each element before it is loaded.
        lost: Elements not to be tried.
    """
    data = bytes(pickled)
    loader = _Salvaging(data, buffers, begins, {index: _Passed() for index in lost})
    found: list[Any] = loader.load()
    for index, error in loader.lost.items():
        found[index] = unloadable(index, error)
    return found


def salvage_pile(
    pickled: bytes | memoryview,
    buffers: Any,
    *,
    begins: Begins,
    lost: Collection[int] = (),
) -> list[Any]:
    """The same for pickles of single items, one after the other: see ``codec.Pile``."""
    found: list[Any] = []
    for index, piece in enumerate(pieces_of(pickled)):
        errors: dict[int, BaseException] = {0: _Passed()} if index in lost else {}
        begins(index)
        # A list of one element, as far as its operations go.
        loader = _Salvaging(_as_list(piece), buffers, _nothing, errors)
        (item,) = loader.load()
        error = loader.lost.get(0)
        found.append(item if error is None else unloadable(index, error))
    return found


def _nothing(_: int) -> None:
    """Nobody is told."""


class _Passed(Exception):
    """An item was not tried."""


def _as_list(pickled: bytes) -> bytes:
    """A pickle of something becomes the pickle of a list of it."""
    return pickle.EMPTY_LIST + pickled[:-1] + pickle.APPEND + pickle.STOP


#: Pickle in Python, which its documentation promises beside the one in C.
_Unpickler = pickle._Unpickler  # noqa: SLF001 - it has no other name


class _Salvaging(_Unpickler):
    """Loads a list; see the module.

    Attributes:
        lost: What each element raised that cannot be loaded.
    """

    # What the pickler has while it loads.
    stack: list[Any]
    metastack: list[list[Any]]
    append: Callable[[Any], None]
    memo: dict[int, Any]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(
        self, data: bytes, buffers: Any, begins: Begins, lost: dict[int, BaseException]
    ) -> None:
        super().__init__(io.BytesIO(data), buffers=buffers)
        self.lost = lost
        self.begins = begins
        self.elements = elements_of(data)
        self.number = 0
        self.element = -1  #: that is being made; -1: none yet
        self.owners: list[int] = []  # by number in the memo: the element that it was made for

    def next_element(self) -> int:
        """The element that the next operation helps to make."""
        element = self.elements[self.number]
        self.number += 1
        if element > self.element:
            self.element = element
            self.begins(element)
        return element

    def guard(self, operation: Callable[[Any], None], info: pickletools.OpcodeInfo) -> None:
        """Do an operation that may be the user's, or stand in for it."""
        element = self.next_element()
        if element in self.lost and info.name not in _LOOKUPS and not self._is_ours(info):
            self._stand_in(info)
            return
        stack, metastack = list(self.stack), [list(each) for each in self.metastack]
        try:
            operation(self)
        except PipeflowError:
            raise
        except BaseException as error:  # whatever the user's own objects raise when rebuilt
            if element < 0:
                raise
            self.stack, self.metastack = stack, metastack
            self.append = stack.append
            self.lost.setdefault(element, error.with_traceback(_users(error.__traceback__)))
            self._stand_in(info)

    def recall(self, number: int) -> None:
        """Something that was made before is needed once more."""
        owner = self.owners[number]
        value = self.memo[number]
        if owner in self.lost and self.element not in self.lost and not _is_whole(value):
            self.lost[self.element] = _shared(owner)
        self.append(value)

    def _is_ours(self, info: pickletools.OpcodeInfo) -> bool:
        """Whether it rebuilds an array, by which the buffers are counted."""
        return info.name == "REDUCE" and self.stack[-2] is rebuild_array

    def _stand_in(self, info: pickletools.OpcodeInfo) -> None:
        """Leave the stack as the operation would, with nothing made."""
        taken = info.stack_before
        if pickletools.markobject in taken:
            self.pop_mark()
            taken = taken[: taken.index(pickletools.markobject)]
        if taken:
            del self.stack[-len(taken) :]
        for _ in info.stack_after:
            self.append(_LOST)


def _users(frames: TracebackType | None) -> TracebackType | None:
    """A traceback from where the user's code begins: how it came to be called is ours to know."""
    while frames is not None and frames.tb_frame.f_code.co_filename in {__file__, pickle.__file__}:
        frames = frames.tb_next
    return frames


def _is_whole(value: object) -> bool:
    return isinstance(value, _WHOLE)


def _shared(owner: int) -> BaseException:
    return ValueError(f"it shares an object with item {owner} of its batch, which cannot be")


def _step(code: int, operation: Callable[[Any], None]) -> Callable[[Any], None]:
    """An operation of the pickler's, watched."""
    info = _INFO[code]
    if info.name in _USERS:
        return lambda loader: loader.guard(operation, info)

    def plain(loader: _Salvaging) -> None:
        element = loader.next_element()
        if info.name == "MEMOIZE":
            loader.owners.append(element)
        operation(loader)

    return plain


def _binget(loader: Any) -> None:
    loader.next_element()
    loader.recall(loader.read(1)[0])


def _long_binget(loader: Any) -> None:
    loader.next_element()
    loader.recall(*_COUNT.unpack(loader.read(_COUNT.size)))


_Salvaging.dispatch = {
    **{code: _step(code, operation) for code, operation in _Unpickler.dispatch.items()},
    pickle.BINGET[0]: _binget,
    pickle.LONG_BINGET[0]: _long_binget,
}

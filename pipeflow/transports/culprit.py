"""Who is to blame when a packet cannot be pickled, or loaded: which item, and which part of it."""

from __future__ import annotations

import io
import itertools
import pickle
from collections.abc import Callable, Iterator
from types import CoroutineType
from typing import Any, Final

from pipeflow.errors import ItemNotSerializable

#: How far the search goes: parts tried, and steps down from the item.
_MOST_PROBES: Final = 1000
_MOST_DEPTH: Final = 12

Probe = Callable[[object], None]


def not_serializable(
    payloads: list[Any], error: BaseException, probe: Probe
) -> ItemNotSerializable:
    """The error for a list of payloads whose pickling raised ``error``.

    Args:
        payloads: The list.
        error: What the whole of it raised.
        probe: Pickles one object and raises what that raises.
    """
    search = _Search(probe)
    for index, payload in enumerate(payloads):
        found = search.failure(payload)
        if found is not None:
            path, reason = search.descend(payload, "item", found, 0)
            return ItemNotSerializable(index, path, reason_of(reason))
    # Alone each can be pickled: it failed by chance, or only in company. We know no more.
    return ItemNotSerializable(0, "item", reason_of(error))


def reason_of(error: BaseException) -> str:
    """What an error says; its type too, unless it is pickle's own or says it all."""
    text = str(error)
    if isinstance(error, pickle.PicklingError | TypeError | AttributeError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class _Search:
    """Looks for the smallest part that cannot be pickled, within bounds."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._probes = 0
        self._seen: set[int] = set()

    def failure(self, part: object) -> BaseException | None:
        """What pickling a part raises."""
        self._probes += 1
        try:
            self._probe(part)
        except BaseException as error:  # whatever the user's own reduction raises
            if isinstance(part, CoroutineType):
                part.close()  # nobody can await it any more: else Python would warn of it
                name = part.__qualname__
                return TypeError(f"it is the coroutine '{name}', which nobody awaited")
            return error
        return None

    def descend(
        self, whole: object, path: str, error: BaseException, depth: int
    ) -> tuple[str, BaseException]:
        """The path of the smallest part at fault, and what it raises."""
        self._seen.add(id(whole))
        # Too deep is a property of the whole, not of a part.
        if depth >= _MOST_DEPTH or isinstance(error, RecursionError):
            return path, error
        for suffix, part in _parts(whole):
            if self._probes >= _MOST_PROBES:
                break
            if id(part) in self._seen:
                continue
            found = self.failure(part)
            if found is not None:
                return self.descend(part, path + suffix, found, depth + 1)
        return path, error


def _parts(whole: object) -> Iterator[tuple[str, object]]:
    """The parts of an object as pickle sees them, and how each is reached."""
    match whole:
        case dict() if type(whole) is dict:
            yield from _entries(whole)
        case list() | tuple() if type(whole) in {list, tuple}:
            yield from ((f"[{index}]", part) for index, part in enumerate(whole))
        case set() | frozenset() if type(whole) in {set, frozenset}:
            yield from ((f"{{{_short(part)}}}", part) for part in whole)
        case type():
            return
        case _:
            yield from _reduced(whole)


def _reduced(whole: object) -> Iterator[tuple[str, object]]:
    """The parts that an object's own reduction names; none when that is what fails."""
    try:
        reduced = whole.__reduce_ex__(5)
    except BaseException:  # then the object itself is at fault
        return
    if not isinstance(reduced, tuple):
        return
    _, arguments, state, items, entries = (*reduced, None, None, None)[:5]
    yield from _state(state)
    for part in arguments or ():
        if not isinstance(part, type):
            yield "", part
    yield from ((f"[{index}]", part) for index, part in enumerate(items or ()))
    yield from _entries(dict(entries or ()))


def _state(state: object) -> Iterator[tuple[str, object]]:
    match state:
        case dict():
            yield from ((f".{name}", part) for name, part in state.items())
        case (named, slots) if isinstance(slots, dict):
            yield from _state(named)
            yield from _state(slots)
        case None:
            return
        case _:
            yield "", state


def _entries(entries: dict[Any, Any]) -> Iterator[tuple[str, object]]:
    for key, part in entries.items():
        yield f"[{_short(key)}]", part
    for key in entries:
        yield f".keys({_short(key)})", key


def _short(key: object) -> str:
    try:
        text = repr(key)
    except BaseException:  # a repr of the user's own; its type says enough
        return type(key).__name__
    return text if len(text) <= 40 else text[:37] + "..."


# -- loading


def loading_index(pickled: bytes | memoryview, buffers: Any) -> int:
    """Which element of a pickled list fails to load, from 0.

    Loads it again, slowly, to find the operation that fails; then reads off the pickle to which
    element that operation belongs. 0 when nothing fails this time.
    """
    data = bytes(pickled)
    unpickler = _Counting(io.BytesIO(data), buffers=buffers)
    try:
        unpickler.load()
    except BaseException:  # what fails is known already; here we learn where
        return max(0, elements_of(data)[unpickler.operations - 1])
    return 0


#: Pickle in Python, which its documentation promises beside the one in C.
_Unpickler = pickle._Unpickler  # noqa: SLF001 - it has no other name


class _Counting(_Unpickler):
    """Counts the operations of a pickle as they are done."""

    operations = 0


def _counted(operation: Callable[[Any], None]) -> Callable[[Any], None]:
    def count(unpickler: _Counting) -> None:
        unpickler.operations += 1
        operation(unpickler)

    return count


_Counting.dispatch = {code: _counted(operation) for code, operation in _Unpickler.dispatch.items()}


def elements_of(pickled: bytes) -> list[int]:
    """To which element of the outer list each operation of its pickle belongs; -1: to none.

    Elements gather above the list. What a later operation takes off was part of the element in the
    making; so the lowest point of the stack from here until the list takes its elements is where
    that element begins.
    """
    found: list[int] = []
    import pickletools  # for what went wrong alone

    lows: list[int] = []  # how low the stack was in each operation since the list last took some
    done, depth, marks = 0, 0, list[int]()
    for operation, _, _ in pickletools.genops(pickled):
        before = depth
        taken = operation.stack_before
        if pickletools.markobject in taken:
            depth = marks.pop()
            taken = taken[: taken.index(pickletools.markobject)]
        depth -= len(taken)
        lows.append(depth)
        if operation.name == "MARK":
            marks.append(depth)
        elif depth == 0 and operation.name in {"APPEND", "APPENDS"}:
            found += [done + low - 1 if low else -1 for low in _lowest_from(lows[:-1])]
            found.append(-1)
            done += before - 1
            lows.clear()
            depth += len(operation.stack_after)
        else:
            depth += len(operation.stack_after)
    return found + [-1] * len(lows)


def _lowest_from(lows: list[int]) -> list[int]:
    """For each place the lowest from there on."""
    return list(itertools.accumulate(reversed(lows), min))[::-1]

"""The docket: the orders that a runner has, from when they are given until they are done. Pure.

A runner takes orders in hand one by one, in their order, and is done with them in that order. It
counts what it has begun; what it is done with it tells. So at every moment the docket knows which
call is in its hand, and what another runner would have to be given if this one were gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from pipeflow.runtime.flow.joins import Call, Calls, Lone, UnitEnd
from pipeflow.runtime.isolation.messages import CallOrder, LoneOrder, Order, RowOrder, UnitOrder
from pipeflow.runtime.messages import ItemId
from pipeflow.values import dataclass

Task = Call | Calls | Lone | UnitEnd
_CALLS: Final = frozenset({Call, Calls})


@dataclass(slots=True, eq=False)
class Entry:
    """Orders that came together: one, or a row of calls.

    Attributes:
        task: As the inbox gave it.
        size: How many orders it is.
        begun: How many of them were taken in hand.
        done: How many of them are done.
        tried: How often the first was tried in runners that have died.
    """

    task: Task
    size: int = 1
    begun: int = 0
    done: int = 0
    tried: int = 0

    def order(self) -> Order:
        """What the runner is told."""
        match self.task:
            case Call(_, item, lane, unit, origins):
                return CallOrder(item, lane, unit, len(origins), self.tried)
            case Calls(prefix, ordinals, _, lane, unit, _):
                whole = ordinals if isinstance(ordinals, range) else tuple(ordinals)
                return RowOrder(prefix, whole, lane, unit)
            case Lone(_, item, lane, unit, _):
                return LoneOrder(item, lane, unit)
            case UnitEnd(lane, unit, span, free):
                return UnitOrder(lane, unit, span, free)

    def payloads(self) -> list[object]:
        """What travels beside the order."""
        match self.task:
            case Call(payload) | Lone(payload):
                return [payload]
            case Calls():
                return self.task.payloads
            case UnitEnd():
                return []


class Docket:
    """All orders that are out, oldest first.

    Attributes:
        emitted: Results of the call in hand that have left.
        gone: Orders of this runner that are done, all before them as well.
    """

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self.gone = 0
        self._begun = 0  # orders that this runner has begun
        self.emitted = 0

    def __len__(self) -> int:
        """Orders that are not done."""
        return sum([entry.size - entry.done for entry in self._entries])

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, tasks: list[Task]) -> list[Entry]:
        """Put more orders behind those that are out; what is to be given to the runner."""
        new = [Entry(task, len(task.payloads) if type(task) is Calls else 1) for task in tasks]
        self._entries += new
        return new

    def begin(self, begun: int) -> Iterator[tuple[Call | Calls | Lone, int]]:
        """The runner has taken so many orders in hand in all; those that are new.

        Yields:
            What was begun, and how many orders of it.
        """
        self._begun = begun
        left = begun - self.gone
        for entry in self._entries:
            if left <= 0:
                return
            new = min(left, entry.size) - entry.begun
            left -= entry.size
            if new <= 0:
                continue
            entry.begun += new
            if type(entry.task) is not UnitEnd:
                yield entry.task, new  # type: ignore[misc]  # mypy does not see the line before

    def in_hand(self) -> Call | None:
        """The call that this runner has begun and is not done with."""
        entry = self._at_hand()
        if entry is None:
            return None
        task = entry.task
        if type(task) is Calls:
            return task.single(entry.done)
        assert type(task) is Call
        return task

    def tried(self) -> int:
        """How often the call in hand was tried in runners that have died."""
        entry = self._at_hand()
        return entry.tried if entry is not None else 0

    def _at_hand(self) -> Entry | None:
        left = self._begun - self.gone
        for entry in self._entries:
            if left <= 0:
                return None
            if entry.done < min(left, entry.size) and type(entry.task) in _CALLS:
                return entry
            left -= entry.size
        return None

    def settle(self, items: int) -> None:
        """The runner is done with calls of so many items."""
        if items <= 0:
            return
        self.emitted = 0
        for entry in self._entries:
            task = entry.task
            if type(task) is Call:
                if not entry.done:
                    entry.done = 1
                    items -= len(task.origins)
            elif type(task) is Calls:
                count = min(items, entry.size - entry.done)
                entry.done += count
                items -= count
            if items <= 0:
                break
        self._drop()

    def settle_one(self) -> tuple[ItemId, int, int]:
        """The runner is done with the first call, of one item: its id, lane and unit."""
        entry = self._entries[0]
        task = entry.task
        self.emitted = 0
        at = entry.done
        entry.done = at + 1
        if entry.done == entry.size:
            self._drop()
        if type(task) is Calls:
            return (*task.prefix, task.ordinals[at]), task.lane, task.unit + at
        assert type(task) is Call
        return task.id, task.lane, task.unit

    def pass_by(self, kind: type[Lone | UnitEnd]) -> None:
        """The runner is done with the first order of a kind that is no call."""
        for entry in self._entries:
            if type(entry.task) is kind and not entry.done:
                entry.done = 1
                break
        self._drop()

    def restart(self, *, tried: int | None) -> list[Entry]:
        """The runner is gone; what the next one is to be given.

        Args:
            tried: How often the call that was in hand was tried by now; ``None``: it is given up.
        """
        hit, rest = self._at_hand(), deque[Entry]()
        for entry in self._entries:
            rest.extend(_of_hand(entry, tried) if entry is hit else _left_of(entry))
        self._entries, self.gone, self._begun, self.emitted = rest, 0, 0, 0
        return list(rest)

    def _drop(self) -> None:
        entries = self._entries
        while entries and entries[0].done == entries[0].size:
            self.gone += entries.popleft().size


def _of_hand(entry: Entry, tried: int | None) -> Iterator[Entry]:
    """What is left of the entry with the call in hand."""
    task, at = entry.task, entry.done
    if tried is not None:
        call = task.single(at) if type(task) is Calls else task
        # What was begun was delivered: that is so once for all.
        yield Entry(call, 1, begun=1, tried=tried)
    yield from _rest_of(entry, at + 1)


def _left_of(entry: Entry) -> Iterator[Entry]:
    """What is left of any other."""
    if type(entry.task) is Calls:
        yield from _rest_of(entry, entry.done)
    elif not entry.done:
        yield entry


def _rest_of(entry: Entry, at: int) -> Iterator[Entry]:
    """What is left of a row from one of its calls on."""
    row = entry.task
    if type(row) is Calls and at < entry.size:
        rest = Calls(
            row.prefix,
            row.ordinals[at:],
            row.payloads[at:],
            row.lane,
            row.unit + at,
            row.origin,
        )
        yield Entry(rest, entry.size - at)

"""The docket: the orders that a runner has, from when they are given until they are done. Pure.

A runner takes orders in hand one by one, in their order, and is done with them in that order. It
counts what it has begun; what it is done with it tells. So at every moment the docket knows which
call is in its hand, and what another runner would have to be given if this one were gone.

A row of calls may end their units (``Calls.end_units``). Its runner hears of calls alone; that a
unit has ended the docket says when its call is done, however the row was cut until then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from pipeflow.runtime.flow.joins import Call, Calls, Lone, UnitEnd
from pipeflow.runtime.isolation.messages import (
    CallOrder,
    FailedOrder,
    LoneOrder,
    Order,
    RowOrder,
    UnitOrder,
)
from pipeflow.runtime.isolation.sealed import Sealed, SealedFrame, place_of
from pipeflow.runtime.messages import Failure, ItemId
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
        alone: It goes to the user's function by itself: it was one of several in the hand of a
            runner that died.
        failure: The item of the call could not be joined, for this reason.
        ends_units: Each of the calls ends its unit, and no order says so.
    """

    task: Task
    size: int = 1
    begun: int = 0
    done: int = 0
    tried: int = 0
    alone: bool = False
    failure: Failure | None = None
    ends_units: bool = False

    @classmethod
    def of(cls, task: Task) -> Entry:
        """What came."""
        if type(task) is Calls:
            return cls(task, len(task.payloads), ends_units=task.end_units)
        return cls(task)

    @property
    def is_call(self) -> bool:
        """Whether it is a call, or a row of calls."""
        return type(self.task) in _CALLS

    def order(self) -> Order:
        """What the runner is told."""
        match self.task:
            case Call(payload, item, lane, unit, origins) if self.failure is not None:
                place = place_of(payload)
                return FailedOrder(item, lane, unit, self.failure, len(origins), place)
            case Call(payload, item, lane, unit, origins):
                place = place_of(payload)
                return CallOrder(item, lane, unit, len(origins), self.tried, self.alone, place)
            case Calls(prefix, ordinals, payloads, lane, unit):
                whole = ordinals if isinstance(ordinals, range) else tuple(ordinals)
                return RowOrder(prefix, whole, lane, unit, place_of(payloads[0]))
            case Lone(_, item, lane, unit, _):
                return LoneOrder(item, lane, unit)
            case UnitEnd(lane, unit, span, free):
                return UnitOrder(lane, unit, span, free)

    def payloads(self) -> list[object]:
        """The items."""
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
        self._calls_gone = 0  # how many of them were calls
        self._begun = 0  # calls that this runner has begun
        self.emitted = 0

    def __len__(self) -> int:
        """Orders that are not done."""
        return sum([entry.size - entry.done for entry in self._entries])

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, tasks: list[Task]) -> list[Entry]:
        """Put more orders behind those that are out; what is to be given to the runner."""
        new = [Entry.of(task) for task in tasks]
        self._entries += new
        return new

    def add_failed(self, call: Call, failure: Failure) -> Entry:
        """The same for an item that could not be joined."""
        new = Entry(call, failure=failure)
        self._entries.append(new)
        return new

    def begin(self, begun: int) -> Iterator[tuple[Call | Calls, int]]:
        """The runner has taken so many calls in hand in all; those that are new.

        Yields:
            What was begun, and how many calls of it.
        """
        self._begun = begun
        for entry, in_hand in self._in_hand():
            new = in_hand - entry.begun
            if new > 0:
                entry.begun = in_hand
                yield entry.task, new  # type: ignore[misc]  # it is a call

    def calls(self) -> int:
        """How many calls of the user's function are not done."""
        return sum(
            [
                entry.size - entry.done
                for entry in self._entries
                if entry.is_call and entry.failure is None
            ]
        )

    def held(self) -> int:
        """How many calls this runner has begun and is not done with."""
        return sum([in_hand - entry.done for entry, in_hand in self._in_hand()])

    def in_hand(self) -> Call | None:
        """The first of them."""
        entry = self._at_hand()
        return None if entry is None else _call_of(entry, entry.done)

    def tried(self) -> int:
        """How often that was tried in runners that have died."""
        entry = self._at_hand()
        return entry.tried if entry is not None else 0

    def _at_hand(self) -> Entry | None:
        return next((each for each, in_hand in self._in_hand() if each.done < in_hand), None)

    def _in_hand(self) -> Iterator[tuple[Entry, int]]:
        """Entries with calls that this runner has begun, each with how many of it."""
        left = self._begun - self._calls_gone
        for entry in self._entries:
            if left <= 0:
                return
            if entry.is_call:
                yield entry, min(left, entry.size)
                left -= entry.size

    def settle(self, items: int) -> list[UnitEnd]:
        """The runner is done with calls of so many items, or one is given up: what ends by that."""
        ended: list[UnitEnd] = []
        if items <= 0:
            return ended
        self.emitted = 0
        for entry in self._entries:
            task, at = entry.task, entry.done
            if type(task) is Call:
                if at:
                    continue
                entry.done = 1
                items -= len(task.origins)
            elif type(task) is Calls:
                entry.done = min(entry.size, at + items)
                items -= entry.done - at
            else:
                continue
            if entry.ends_units:
                ended.append(UnitEnd(task.lane, task.unit + at, entry.done - at, free=False))
            if items <= 0:
                break
        self._drop()
        return ended

    def settle_one(self) -> tuple[ItemId, int, int, bool]:
        """The runner is done with the first call, of one item.

        Returns:
            Its id, lane and unit, and whether nothing more comes of that unit.
        """
        entry = self._entries[0]
        task = entry.task
        self.emitted = 0
        at = entry.done
        entry.done = at + 1
        if entry.done == entry.size:
            self._drop()
        if type(task) is Calls:
            item = (*task.prefix, task.ordinals[at])
            return item, task.lane, task.unit + at, entry.ends_units
        assert type(task) is Call
        return task.id, task.lane, task.unit, entry.ends_units

    def pass_by(self, kind: type[Lone | UnitEnd]) -> Task | None:
        """The runner is done with the first order of a kind that is no call: that one."""
        for entry in self._entries:
            if type(entry.task) is kind and not entry.done:
                entry.done = 1
                self._drop()
                return entry.task
        return None

    def find(self, frame: int, at: int | None) -> tuple[SealedFrame, int, Call]:
        """One item of a sealed frame, its place in it, and its call; ``None``: the first of it."""
        for entry in self._entries:
            place = _place_in(entry, frame, at)
            if place is not None:
                call = _call_of(entry, place)
                sealed: Sealed = call.payload
                return sealed.frame, sealed.at, call
        raise AssertionError((frame, at))

    def fail(self, frame: SealedFrame, at: int, failure: Failure) -> None:
        """That item cannot be loaded: it fails in its place."""
        self._entries = deque(
            [part for each in self._entries for part in _failed_in(each, frame, at, failure)]
        )

    def restart(self, *, tried: int | None) -> list[Entry]:
        """The runner is gone; what the next one is to be given.

        Args:
            tried: How often the one call that was in hand was tried by now; ``None``: none was.
        """
        hit = self._at_hand()
        return self._begin_again(
            [left for entry in self._entries for left in _left_of(entry, entry is hit, tried)]
        )

    def restart_alone(self) -> list[Entry]:
        """The same, where several calls were in hand: each of them goes by itself now."""
        held = dict(self._in_hand())
        return self._begin_again(
            [left for entry in self._entries for left in _alone(entry, held.get(entry, entry.done))]
        )

    def _begin_again(self, rest: list[Entry]) -> list[Entry]:
        self._entries = deque(rest)
        self.gone = self._calls_gone = self._begun = self.emitted = 0
        return rest

    def _drop(self) -> None:
        entries = self._entries
        while entries and entries[0].done == entries[0].size:
            entry = entries.popleft()
            self.gone += entry.size
            if entry.is_call:
                self._calls_gone += entry.size


def _call_of(entry: Entry, at: int) -> Call:
    """One call of an entry."""
    task = entry.task
    call = task.single(at) if type(task) is Calls else task
    assert type(call) is Call
    return call


def _left_of(entry: Entry, hit: bool, tried: int | None) -> Iterator[Entry]:
    """What is left of an entry; ``hit``: the call in hand is the next one of it."""
    at = entry.done
    if hit:
        assert tried is not None
        # What was begun was delivered: that is so once for all.
        yield Entry(
            _call_of(entry, at),
            begun=1,
            tried=tried,
            alone=entry.alone,
            failure=entry.failure,
            ends_units=entry.ends_units,
        )
        at += 1
    yield from _rest_of(entry, at)


def _failed_in(entry: Entry, frame: SealedFrame, at: int, failure: Failure) -> Iterator[Entry]:
    """An entry, in up to three pieces if one of its items has failed."""
    task, place = entry.task, _place_in(entry, frame.number, at)
    if place is None:
        yield entry
        return
    if type(task) is Calls and place:
        before = task._replace(ordinals=task.ordinals[:place], payloads=task.payloads[:place])
        yield Entry.of(before)
    call = _call_of(entry, place)
    yield Entry(call, begun=entry.begun, failure=failure, ends_units=entry.ends_units)
    yield from _rest_of(entry, place + 1)


def _place_in(entry: Entry, frame: int, at: int | None) -> int | None:
    """Where in an entry an item of a sealed frame is; ``None`` for ``at``: the first of it."""
    for place, payload in enumerate(entry.payloads()):
        if type(payload) is Sealed and payload.frame.number == frame and at in {None, payload.at}:
            return place
    return None


def _alone(entry: Entry, in_hand: int) -> Iterator[Entry]:
    """What is left of an entry, those in hand by themselves."""
    for at in range(entry.done, in_hand):
        call = _call_of(entry, at)
        yield Entry(
            call,
            begun=1,
            tried=entry.tried,
            alone=True,
            failure=entry.failure,
            ends_units=entry.ends_units,
        )
    yield from _rest_of(entry, max(entry.done, in_hand))


def _rest_of(entry: Entry, at: int) -> Iterator[Entry]:
    """What is left of an entry from one of its orders on."""
    row = entry.task
    if at >= entry.size:
        return
    if type(row) is not Calls:
        yield entry
        return
    yield Entry.of(
        row._replace(ordinals=row.ordinals[at:], payloads=row.payloads[at:], unit=row.unit + at)
    )

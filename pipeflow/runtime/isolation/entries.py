"""What a docket is made of: orders that came together, cut where some go their own way. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeflow.runtime.board import id_text
from pipeflow.runtime.flow.joins import Call, Calls, Lone, UnitEnd, ends_around
from pipeflow.runtime.isolation.messages import (
    CallOrder,
    FailedOrder,
    LoneOrder,
    Order,
    RowOrder,
    UnitOrder,
)
from pipeflow.runtime.isolation.sealed import (
    Needs,
    Sealed,
    parts_of,
    place_of,
    place_of_call,
)
from pipeflow.runtime.messages import Failure
from pipeflow.values import dataclass, replace

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
        over: Of one call that does: see ``over_by``.
        told: Of the units that are over by its calls, those before this one were told to be over.
    """

    task: Task
    size: int = 1
    begun: int = 0
    done: int = 0
    tried: int = 0
    alone: bool = False
    failure: Failure | None = None
    ends_units: bool = False
    over: tuple[int, int] | None = None
    told: int = 0

    @classmethod
    def of(cls, task: Task) -> Entry:
        """What came."""
        if type(task) is Calls:
            return cls(task, len(task.payloads), ends_units=task.end_units)
        return cls(task)

    def name(self, names: tuple[str, ...]) -> None:
        """What has failed is named by its call: an item that was lost may be of several."""
        if self.failure is not None and type(self.task) is Call:
            self.failure = replace(self.failure, item=id_text(self.task.id, names))

    @property
    def is_call(self) -> bool:
        """Whether it is a call, or a row of calls."""
        return type(self.task) in _CALLS

    def order(self, needs: Needs) -> Order:
        """What the runner is told; what it needs for that is added to its needs."""
        task = self.task
        match task:
            case Call(_, item, lane, unit, origins):
                place = place_of_call(task, anew=needs.anew)
                needs.add_call(task)
                if self.failure is not None:
                    return FailedOrder(item, lane, unit, self.failure, len(origins), place)
                return CallOrder(item, lane, unit, len(origins), self.tried, self.alone, place)
            case Calls(prefix, ordinals, payloads, lane, unit):
                needs.add(payloads)
                whole = ordinals if isinstance(ordinals, range) else tuple(ordinals)
                units = None if task.units is None else tuple(task.units)
                return RowOrder(prefix, whole, lane, unit, place_of(payloads[0]), units)
            case Lone(payload, item, lane, unit, _):
                needs.add((payload,))
                return LoneOrder(item, lane, unit, place_of(payload))
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


def is_due(entry: Entry, kind: type[Lone | UnitEnd]) -> bool:
    """Whether it is such an order, and the runner has told nothing of it."""
    return type(entry.task) is kind and not (entry.done or entry.begun)


def call_of(entry: Entry, at: int) -> Call:
    """One call of an entry."""
    task = entry.task
    match task:
        case Calls():
            return task.single(at)
        case Lone(payload, item, lane, unit, origin):
            return Call(payload, item, lane, unit, (origin,))
        case _:
            assert type(task) is Call
            return task


def without_lost(entry: Entry) -> Iterator[Entry]:
    """What came, cut where items of it were lost before it came: another has had their frame."""
    payloads = entry.payloads()
    parts = parts_of(payloads[0]) if payloads else ()  # all of a row are of one frame
    pieces = [entry]
    for frame, at in parts:
        for lost, failure in frame.lost.items():
            if lost == at or type(entry.task) is Calls:
                item = Sealed(frame, lost)
                pieces = [part for each in pieces for part in failed_in(each, item, failure)]
    yield from pieces


def left_of(entry: Entry, hit: bool, tried: int | None) -> Iterator[Entry]:
    """What is left of an entry; ``hit``: the call in hand is the next one of it."""
    at = entry.done
    if hit:
        assert tried is not None
        # What was begun was delivered: that is so once for all.
        yield Entry(
            call_of(entry, at),
            begun=1,
            tried=tried,
            alone=entry.alone,
            failure=entry.failure,
            ends_units=entry.ends_units,
            over=over_by(entry, at),
        )
        at += 1
    yield from rest_of(entry, at)


def failed_in(entry: Entry, item: Sealed, failure: Failure) -> Iterator[Entry]:
    """An entry, in up to three pieces if one of its items has failed."""
    task, place = entry.task, place_in(entry, item.frame.number, item.at)
    if place is None:
        yield entry
        return
    if type(task) is Calls and place:
        yield _row_of(entry, 0, place)
    call, failure = call_of(entry, place), entry.failure or failure
    over = over_by(entry, place)
    yield Entry(call, begun=entry.begun, failure=failure, ends_units=entry.ends_units, over=over)
    yield from rest_of(entry, place + 1)


def place_in(entry: Entry, frame: int, at: int | None) -> int | None:
    """Where in an entry an item of a sealed frame is; ``None`` for ``at``: the first of it."""
    for place, payload in enumerate(entry.payloads()):
        for part in parts_of(payload):
            if part.frame.number == frame and at in {None, part.at}:
                return place
    return None


def alone(entry: Entry, in_hand: int) -> Iterator[Entry]:
    """What is left of an entry, those in hand by themselves."""
    for at in range(entry.done, in_hand):
        call = call_of(entry, at)
        yield Entry(
            call,
            begun=1,
            tried=entry.tried,
            alone=True,
            failure=entry.failure,
            ends_units=entry.ends_units,
            over=over_by(entry, at),
        )
    yield from rest_of(entry, max(entry.done, in_hand))


def rest_of(entry: Entry, at: int) -> Iterator[Entry]:
    """What is left of an entry from one of its orders on."""
    if at < entry.size:
        yield _row_of(entry, at, entry.size) if type(entry.task) is Calls else entry


def _row_of(entry: Entry, start: int, stop: int) -> Entry:
    """Some calls of a row."""
    assert type(entry.task) is Calls
    row = Entry.of(entry.task.part(start, stop))
    row.told = entry.told
    return row


def over_by(entry: Entry, at: int) -> tuple[int, int] | None:
    """The first of the units that are over by one of its calls, and the one after the last.

    ``None``: an order of its own says so.
    """
    if not entry.ends_units:
        return None
    over = entry.over
    if type(entry.task) is Calls:
        over = entry.task.begin_of(at), entry.task.begin_of(at + 1)
    assert over is not None
    return max(over[0], entry.told), over[1]


def end_ahead(entry: Entry, at: int) -> UnitEnd | None:
    """The units ahead of a call's own that are over by it; from now on they are told to be over."""
    over, call = over_by(entry, at), call_of(entry, at)
    if over is None or over[0] == call.unit:
        return None
    entry.told = call.unit
    return UnitEnd(call.lane, over[0], call.unit - over[0], free=True)


def ends_of(entry: Entry, start: int, stop: int) -> Iterator[UnitEnd]:
    """The ends of the units of some calls, and of those around them that are over by these."""
    task = entry.task
    if type(task) is Calls and task.units is None:
        yield UnitEnd(task.lane, task.unit + start, stop - start, free=False)
        return
    for at in range(start, stop):
        over = over_by(entry, at)
        assert over is not None
        yield from ends_around(task.lane, call_of(entry, at).unit, over)

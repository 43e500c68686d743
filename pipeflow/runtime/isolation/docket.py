"""The docket: the orders that a runner has, from when they are given until they are done. Pure.

A runner takes orders in hand one by one, in their order, and is done with them in that order. It
counts what it has begun; what it is done with it tells. So at every moment the docket knows which
call is in its hand, and what another runner would have to be given if this one were gone.

A row of calls may end their units (``Calls.end_units``). Its runner hears of calls alone; that a
unit has ended the docket says when its call is done, however the row was cut until then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from pipeflow.runtime.flow.joins import Call, Calls, Lone, UnitEnd
from pipeflow.runtime.isolation.entries import (
    Entry,
    Task,
    alone,
    call_of,
    end_ahead,
    ends_of,
    failed_in,
    is_due,
    left_of,
    over_by,
    place_in,
    without_lost,
)
from pipeflow.runtime.isolation.sealed import Sealed, deaths_of, parts_of
from pipeflow.runtime.messages import Failure


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
        self._lones: list[Call] = []
        self._deaths = 0

    def __len__(self) -> int:
        """Orders that are not done."""
        return sum([entry.size - entry.done for entry in self._entries])

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, tasks: Sequence[Task]) -> list[Entry]:
        """Put more orders behind those that are out; what is to be given to the runner."""
        new = [each for task in tasks for each in without_lost(Entry.of(task))]
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
        return None if entry is None else call_of(entry, entry.done)

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
            if items <= 0:
                break
            task, at = entry.task, entry.done
            if type(task) is Call:
                if at:
                    continue
                if entry.failure is not None:
                    self._deaths += deaths_of(task.payload)
                entry.done = 1
                items -= len(task.origins)
            elif type(task) is Calls:
                entry.done = min(entry.size, at + items)
                items -= entry.done - at
            elif type(task) is Lone and entry.begun and not at:
                entry.done = 1
                items -= 1
                self._lones.append(call_of(entry, 0))
                continue
            else:
                continue
            if entry.ends_units:
                ended += ends_of(entry, at, entry.done)
        self._drop()
        return ended

    def end_ahead(self, lane: int, unit: int) -> UnitEnd | None:
        """Something of a unit goes before its call is done: what has to be told as over before.

        Those are units between the ones of a row; when the call is done they do not end again.
        """
        for entry in self._entries:
            if entry.ends_units and entry.done < entry.size:
                call = call_of(entry, entry.done)
                ours = (call.lane, call.unit) == (lane, unit)
                return end_ahead(entry, entry.done) if ours else None
        return None

    def settle_row(self, most: int) -> tuple[Call | Calls, int, int, tuple[int, int] | None]:
        """The runner is done with the first calls, of one item each.

        Args:
            most: With so many of them, at least one.

        Returns:
            What they are of, the place of the first in it, how many of them that is, and if nothing
            more comes of their units, the first of those that are over by the first call and the
            one after the last: the others had nothing here.
        """
        entry = self._entries[0]
        task, at = entry.task, entry.done
        assert type(task) is Calls or type(task) is Call
        self.emitted = 0
        entry.done = min(entry.size, at + most)
        count = entry.done - at
        if entry.done == entry.size:
            self._drop()
        return task, at, count, over_by(entry, at)

    def fail_lone(self) -> None:
        """The next item without a partner could not be loaded: it is done with as a call is."""
        next(each for each in self._entries if is_due(each, Lone)).begun = 1

    def failed_lones(self) -> list[Call]:
        """Those of them that are done since the last time, each as if it had been called."""
        found, self._lones = self._lones, []
        return found

    def deaths(self) -> int:
        """Deaths by the loading of items that have failed in their places since the last time."""
        found, self._deaths = self._deaths, 0
        return found

    def is_out(self, item: Sealed) -> bool:
        """Whether an item is part of a call that is not done."""
        number, at = item.frame.number, item.at
        return any(place_in(entry, number, at) is not None for entry in self._entries)

    def pass_by(self, kind: type[Lone | UnitEnd]) -> Task | None:
        """The runner is done with the first order of a kind that is no call: that one."""
        for entry in self._entries:
            if is_due(entry, kind):
                entry.done = 1
                self._drop()
                return entry.task
        return None

    def find(self, frame: int, at: int | None) -> tuple[Sealed, Call | None, bool]:
        """One item of a sealed frame, and its call; ``None`` for ``at``: the first of it.

        Returns:
            The item, its call, if that has come yet, and whether it has failed already.
        """
        other = None
        for entry in self._entries:
            place = place_in(entry, frame, None)
            if place is None:
                continue
            exact = place if at is None else place_in(entry, frame, at)
            call = call_of(entry, place if exact is None else exact)
            for part in parts_of(call.payload):
                if part.frame.number == frame:
                    other = part.frame
                    if exact is not None and at in {None, part.at}:
                        return part, call, entry.failure is not None
        # Some of a frame are loaded before they are due: they wait for a partner, or for room.
        assert other is not None
        assert at is not None
        return Sealed(other, at), None, False

    def fail(self, item: Sealed, failure: Failure) -> None:
        """That item cannot be loaded: it fails in its place, and so do all calls that share it."""
        self._entries = deque(
            [part for each in self._entries for part in failed_in(each, item, failure)]
        )

    def restart(self, *, tried: int | None) -> list[Entry]:
        """The runner is gone; what the next one is to be given.

        Args:
            tried: How often the one call that was in hand was tried by now; ``None``: none was.
        """
        hit = self._at_hand()
        return self._begin_again(
            [left for entry in self._entries for left in left_of(entry, entry is hit, tried)]
        )

    def restart_alone(self) -> list[Entry]:
        """The same, where several calls were in hand: each of them goes by itself now."""
        held = dict(self._in_hand())
        return self._begin_again(
            [left for entry in self._entries for left in alone(entry, held.get(entry, entry.done))]
        )

    def _begin_again(self, rest: list[Entry]) -> list[Entry]:
        for each in rest:
            if type(each.task) is Lone:
                each.begun = 0
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

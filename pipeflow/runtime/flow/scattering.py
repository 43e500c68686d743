"""The express way to replicas of which each gets the items of some keys.

    loop ──append──> key ──┬──> run ──cut──> encoder ──> replica 0
                           └──> run ──cut──> encoder ──> replica 1

An item goes to its replica's run at once, so a key that fails is the failure of its item. The runs
share the units of the port: a frame tells a replica of all units since the last one, of those that
are others' too, and costs no more than on any express way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.gapped import SharedRun
from pipeflow.runtime.flow.keeping import Keeping
from pipeflow.runtime.flow.pacing import LATE_S
from pipeflow.runtime.flow.refused import Unplaced
from pipeflow.runtime.flow.runs import Run
from pipeflow.runtime.flow.targets import Target
from pipeflow.runtime.flow.units import births
from pipeflow.runtime.messages import ItemId


class Scattering(Express):
    """The express way to several targets; see ``Express`` for the arguments.

    Args:
        targets: At least one.
        pick: Number of the target for an item; what it raises is the user's.

    Attributes:
        parts: The way to each of them.
    """

    run: ScatteredRun
    takes_many = False

    def __init__(
        self, targets: Sequence[Target], *, pick: Callable[[Any], int], **settings: Any
    ) -> None:
        super().__init__(targets[0], **settings)
        #: The next unit, and by how much its ordinal is greater.
        self._next = [0, 0]
        self.parts = [
            Part(target, send_batch=_nothing, run=SharedRun(self._next), **settings)
            for target in targets
        ]
        for part in self.parts:
            part.woken = self.woken
        self._told_at = self._now()  # when all were told of all units
        self._pick = pick
        self.run = ScatteredRun([part.run for part in self.parts], pick, self._next)

    # -- for the loops

    def room(self, prefix: ItemId, ordinal: int) -> int:
        with self._lock:
            self._raise_refused()
            self.run.begin(prefix, ordinal)
            most = self.batch_items
            for part in self.parts:
                most = min(most, part.room_now())
            return most

    def list_ordinals(self) -> list[int]:
        return self.run.list_ordinals()

    def append(self, payload: Any, ordinal: int, *, wake: bool = True) -> None:
        """Append one item that nobody can change any more; waits for room.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
            Unplaced: Its key cannot be worked out.
        """
        part = self.parts[self.run.place(payload)]
        with self._lock:
            self._raise_refused()
            part.await_room()
            self.run.put(part.run, payload, ordinal)
            if wake and not self.woken[0]:
                self.wake()

    def put(self, payload: Any, ordinal: int, *, settled: bool = False, wake: bool = True) -> None:
        """Append one item that may still be changed by its maker; see ``append``.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
            Unplaced: Its key cannot be worked out.
            ResultNotSerializable: It cannot be pickled.
        """
        part = self.parts[self.run.place(payload)]
        with self._lock:
            self._add_to(part, payload, self.run.prefix, ordinal, settled=settled, wake=wake)

    def hold(self) -> int:
        self._began = self._now()
        waiting, least = self.run.waiting, self.least
        for part in self.parts:
            part.begin_anew()
        return least - waiting if least > waiting else max(1, least // len(self.parts))

    def send_if_idle(self, count: int, *, more: Callable[[], bool] | None = None) -> None:
        if self.refused is not None:
            raise self.refused
        now, enough = self._now(), self._worth(count, more)
        if self.run.waiting >= enough:
            # Others may wait to hear of units that are not theirs: at once, if items come slowly.
            late = now - self._told_at >= LATE_S
            if late:
                self._told_at = now
            for part in self.parts:
                if part.is_due(late=late):
                    with self._lock:
                        part.flush()
        if not self.woken[0] and self.waits():
            self.wake_up()

    # -- with the lock

    def add(
        self,
        payload: Any,
        prefix: ItemId,
        ordinal: int,
        *,
        settled: bool = False,
        wake: bool = True,
        more: bool = False,
    ) -> None:
        """``put``, with an id that begins like this; what its key raises is raised as it is."""
        part = self.parts[self._pick(payload)]
        self.run.begin(prefix, ordinal)
        self._add_to(part, payload, prefix, ordinal, settled=settled, wake=wake, more=more)

    def flush(self) -> None:
        for part in self.parts:
            part.flush()

    def waits(self) -> bool:
        return any(part.waits() for part in self.parts)

    def _add_to(
        self, part: Part, payload: Any, prefix: ItemId, ordinal: int, **settings: Any
    ) -> None:
        self._raise_refused()
        unit, run = self._next[0], part.run
        run.units.append(unit)
        try:
            part.add(payload, prefix, ordinal, **settings)
        finally:
            if len(run.units) > len(run.payloads):
                run.units.pop()  # it was not added
            else:
                self._next[0] = unit + 1
        self.run.pile = self.run.pile or run.pile


class Part(Keeping):
    """The way to one of several targets; see there."""

    run: SharedRun

    def room_now(self) -> int:
        """How many items have room now; never waits."""
        run = self.run
        waiting = len(run.payloads)
        if waiting >= self.batch_items:
            self.flush()
            waiting = 0
        known = min(self._until - run.first, self.batch_items) - waiting
        return known if known >= self._enough else self._look()

    def await_room(self) -> None:
        """Wait until one item more has room."""
        if self.run.first + len(self.run.payloads) >= self._until:
            self._await_room()

    def begin_anew(self) -> None:
        """Items are about to come: if nothing waits, they are the first."""
        if not self.run.has_news():
            self.born = next(births)

    def is_due(self, *, late: bool) -> bool:
        """Whether to send what waits; so many units that are others' are worth a frame as well."""
        if late:
            return self.run.has_news()
        if self.run.payloads:
            return len(self.run.payloads) >= self.batch_items or self.is_awaited()
        return self.run.untold() >= self.batch_items

    def flush(self) -> None:
        super().flush()
        self.born = next(births)


class ScatteredRun(Run):
    """What the loops append to: an item goes to the run of its replica.

    Args:
        runs: That of each replica.
        pick: Number of the replica for an item.
        reached: The next unit, and by how much its ordinal is greater.
    """

    __slots__ = ("_lists", "_noted", "_pick", "_reached", "_runs")

    def __init__(
        self, runs: Sequence[SharedRun], pick: Callable[[Any], int], reached: list[int]
    ) -> None:
        super().__init__()
        self._runs, self._pick, self._reached, self._lists = runs, pick, reached, False
        self._noted: list[int] = []
        self.payloads = Scattered(_placing(runs, self.place, reached, self._noted))

    @property
    def waiting(self) -> int:
        return sum([len(run.payloads) for run in self._runs])

    def begin(self, prefix: ItemId, ordinal: int) -> None:
        self._reached[1] = ordinal - self._reached[0]
        self._lists = False
        if prefix != self.prefix:
            self._prefixes = [(0, prefix)]
            for run in self._runs:
                run.begin(prefix, ordinal)
        if self.pile is not None:
            self.pile = next((run.pile for run in self._runs if run.pile is not None), None)

    @property
    def listed(self) -> list[int] | None:
        return self._noted if self._lists else None

    def list_ordinals(self) -> list[int]:
        self._lists = True
        return self._noted

    def place(self, payload: Any) -> int:
        """Number of the replica for an item.

        Raises:
            Unplaced: Its key cannot be worked out.
        """
        try:
            return self._pick(payload)
        except Exception as error:  # the user's expression: a boundary
            self._noted.clear()
            raise Unplaced(payload) from error

    def put(self, run: SharedRun, payload: Any, ordinal: int) -> None:
        """Append an item to one of the runs."""
        unit = self._reached[0]
        run.units.append(unit)
        run.ordinals.append(ordinal)
        run.payloads.append(payload)
        self._reached[0] = unit + 1


class Scattered(list[Any]):
    """A list whose ``append`` puts the item where it belongs; it stays empty itself."""

    def __init__(self, append: Callable[[Any], None]) -> None:
        super().__init__()
        # On the object: to call a method takes as long as to append.
        self.__dict__["append"] = append


def _placing(
    runs: Sequence[SharedRun],
    place: Callable[[Any], int],
    reached: list[int],
    noted: list[int],
) -> Callable[[Any], None]:
    """What appends an item to the run of its replica, with the ordinal that was noted, if one was.

    Its unit and ordinal come before it, so that the thread that sends finds them, and the next
    unit is counted after it; see ``SharedRun``.
    """
    ways = [(run.units.append, run.ordinals.append, run.payloads.append) for run in runs]

    def append(payload: Any) -> None:
        put_unit, put_ordinal, put = ways[place(payload)]
        unit, ahead = reached
        put_unit(unit)
        put_ordinal(noted.pop() if noted else unit + ahead)
        put(payload)
        reached[0] = unit + 1

    return append


def _nothing() -> None:
    """Nothing goes the longer way."""

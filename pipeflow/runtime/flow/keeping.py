"""The express way of a stage that keeps the units of its input: rows of one result for one item.

    calls    17   18   19      20            21   22       numbers of their units
    results  a    b    -       many          d    e
             └─ run ────┘      └ batch ┘     └ run ┘       in this order on one channel

What is more than one result goes the outbox's longer way. Each way sends what it holds before the
other begins, so units rise on the channel, as its reader needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.gapped import GappedRun
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.targets import Target
from pipeflow.runtime.messages import ItemId

#: After so many ends of units without a result the next ones go the short way: what goes now this
#: way and now the other is sent in small pieces.
ENDS_ENOUGH: Final = 32


class Keeping(Express):
    """See ``Express`` for the arguments.

    Args:
        target: Where all items go.
        send_batch: Sends what waits there on the longer way. Called with the lock.
        run: What waits to be sent on this one.

    Attributes:
        leads: Units that end without a result go this way: nothing has gone the longer one since
            something went here, or so much has ended there without anything to send.
    """

    run: GappedRun

    def __init__(
        self,
        target: Target,
        *,
        send_batch: Callable[[], None],
        run: GappedRun | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(target, **settings)
        self.run = GappedRun() if run is None else run
        self._send_batch = send_batch
        self.leads = True
        self._ended = 0

    def room_for(self, calls: Calls, at: int) -> int:
        """``room``, for what calls from this one on will give.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        with self._lock:
            return self._room_from(calls.begin_of(at), calls.prefix, calls.ordinals[at])

    def announce(self, calls: Calls, start: int, stop: int) -> None:
        """Say which units the results of some calls will be; ``room_for`` the first came before."""
        with self._lock:
            self._announce(calls.units_of(start, stop), calls.begin_of(stop))

    def begin_span(self, prefix: ItemId, ordinal: int, unit: int, most: int) -> int:
        """``room_for`` and ``announce`` for results that count on, for a compiled hop.

        Args:
            prefix: What their ids begin with.
            ordinal: The last part of the first.
            unit: Of the first.
            most: How many there may be.

        Returns:
            For how many there is room, which are announced.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        with self._lock:
            count = min(most, self._room_from(unit, prefix, ordinal))
            if count > 0:
                self._announce(range(unit, unit + count), unit + count)
            return count

    def retract(self) -> None:
        """Nothing comes of the rest of what was announced, or not in this way."""
        with self._lock:
            self.run.retract()

    def leave_gap(self) -> list[int]:
        run = self.run
        with self._lock:
            if self.refused is not None or run.first + run.waiting >= self._until:
                self._await_room()
            run.leave_empty()
            if not self.woken[0]:
                self.wake()
            return run.list_ordinals()

    def add_at(
        self,
        payload: Any,
        item: ItemId,
        unit: int,
        *,
        over: tuple[int, int],
        settled: bool,
        more: bool = False,
    ) -> None:
        """One result that is this unit, by itself; see ``add``. With the lock.

        Args:
            payload: The result.
            item: Its id.
            unit: Its unit.
            over: The first of the units that are over by it, and the one after the last.
            settled: See ``add``.
            more: See ``add``.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
            ResultNotSerializable: It cannot be pickled.
        """
        begin, end = over
        self._go_on_at(begin)
        self.run.announce((unit,), end)
        try:
            self.add(payload, item[:-1], item[-1], settled=settled, more=more)
        finally:
            self.run.retract()  # if it was not added

    def end_at(self, unit: int, span: int, *, free: bool) -> None:
        """Units from this one on have nothing, each at the cost of a credit or not. With the lock.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        run = self.run
        self._raise_refused()
        for first in (unit,) if free else range(unit, unit + span):
            self._go_on_at(first)
            if free:
                run.end = unit + span
                continue
            if run.first + run.waiting >= self._until:
                self._await_room()
            run.empties.append(first)
            run.end = first + 1
        if not self.woken[0]:
            self.wake()

    def give_way(self) -> None:
        """Something goes the longer way, and what ends there most likely with it."""
        self.leads, self._ended = False, 0

    def note_end(self) -> None:
        """Units end there without a result."""
        self._ended += 1
        self.leads = self._ended >= ENDS_ENOUGH and not self.target.open_units

    def waits(self) -> bool:
        return self.run.has_news()

    def flush(self) -> None:
        run, target = self.run, self.target
        if run.empties or (not run.payloads and run.has_news()):
            target.cost = 0
            self.frames += 1
            self._send_with_empties()
        else:
            super().flush()
        # What went here the longer way has not counted, nor this what goes there: both look again.
        target.credit = self._until = 0

    def _send_with_empties(self) -> None:
        """Send units that had nothing, with items between them or without."""
        run, target = self.run, self.target
        cost = run.waiting
        meta, payloads, pile, plain = run.cut()
        count = len(payloads)
        self._emitted[self._cell] += count
        target.count(count)
        if not target.channels:
            return
        packet = pile.packet() if pile is not None else self._encode(payloads, plain)
        if target.send_packet(meta, packet, cost, born=self.born):
            self._reader_left()

    def _room_from(self, unit: int, prefix: ItemId, ordinal: int) -> int:
        """How many items may be appended now, of which the first may be this unit."""
        self._raise_refused()
        self._go_on_at(unit)
        self.run.begin(prefix, ordinal)
        return self._look()

    def _announce(self, units: Sequence[int], end: int) -> None:
        self.run.announce(units, end)
        if not self.woken[0] and self.run.has_news():
            self.wake()  # others may wait to hear that units before the first are not ours

    def _go_on_at(self, unit: int) -> None:
        """The next item is this unit: what cannot stand before it in a frame leaves."""
        run, self.leads = self.run, True
        self._send_batch()
        if run.end != unit or run.waiting >= self.batch_items:
            self.flush()
            run.go_on_at(unit)

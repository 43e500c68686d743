"""The mailbox: an edge that drops instead of waiting.

    writer's function ──offer──> [ at most `capacity` items ] ──on demand──> sender ──> reader

The newest (or the first) items stay at the writer's side, where they can still be thrown away; one
leaves only when the reader asks for it. So after a stall the reader sees exactly what the file
promises: the newest items, the gap before them, and the number of those dropped. A thread hands
over what the reader asks for while the user's function is busy.

Dropped items leave empty units behind, which go with the next item, to whoever gets that. A zip may
wait for them in order to go on, and its writer for the zip: so they leave without an item if none
comes soon (``tell``). Then they take the place of the item that was asked for: so little is handed
over that was not looked at, and nobody ever waits for the kernel.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pipeflow.errors import PeerClosed
from pipeflow.planner.plan import Route
from pipeflow.runtime.board import COPIED_BYTES, DROPPED, OFFERED, SENT, SHARED_BYTES, Words
from pipeflow.runtime.flow.units import Batch
from pipeflow.runtime.messages import ItemId
from pipeflow.transports.base import Packet, Sender
from pipeflow.values import dataclass


@dataclass(slots=True)
class _Entry:
    """One item on offer, with the empty units before it.

    Attributes:
        marks: Units that have nothing (any more), in order: (lane, unit).
        place: Lane and unit of the item.
        item: Its id.
        packet: The item, encoded.
        closed: Whether its unit ends with it.
    """

    marks: list[tuple[int, int, int]]
    place: tuple[int, int]
    item: ItemId
    packet: Packet
    closed: bool


class Mailbox:
    """What is on offer to one reader, or to several that take turns.

    Args:
        senders: Their channels; closed here.
        row: The edge's row of the board.
        capacity: Items on offer at most.
        newest: Whether a full mailbox drops the newest item, else the oldest.
        whole: An item leaves with the end of its unit, which else another reader would get; a unit
            has no more than one then.
    """

    def __init__(
        self,
        senders: Sequence[Sender],
        row: Words,
        *,
        capacity: int,
        newest: bool,
        whole: bool = False,
    ) -> None:
        self._senders = list(senders)
        self._row = row
        self._capacity = capacity
        self._newest = newest
        self._whole = whole
        self._entries: deque[_Entry] = deque()
        #: Runs of units without items behind the last entry: (lane, first, how many).
        self._marks: list[tuple[int, int, int]] = []
        #: They were told of, and leave as soon as a reader asks for anything.
        self._due = False
        self._lock = threading.RLock()
        self._gone = False
        self._ended = False

    def open_ends(self) -> int:
        """How many readers there still are."""
        return len(self._senders)

    def filenos(self) -> list[int]:
        """Of the senders: each polls as an error when its reader has closed."""
        return [sender.fileno() for sender in self._senders]

    def closed(self) -> bool:
        """Whether every reader is gone."""
        return self._gone

    def offer(
        self, lane: int, unit: int, item: ItemId, packet: Packet, *, whole: bool = False
    ) -> None:
        """Put an item on offer; never waits."""
        with self._lock:
            self._row[SENT] += 1
            if self._gone:
                return
            if len(self._entries) >= self._capacity:
                self._row[DROPPED] += 1
                if self._newest:
                    if whole:
                        self._mark(lane, unit)
                    self.serve()
                    return
                self._drop_oldest()
            entry = _Entry(self._marks, (lane, unit), item, packet, whole)
            self._marks, self._due = [], False
            self._entries.append(entry)
            self._row[OFFERED] = max(self._row[OFFERED], len(self._entries))
            self.serve()

    def end_unit(self, lane: int, unit: int) -> None:
        """The unit is complete."""
        with self._lock:
            last = self._entries[-1] if self._entries else None
            if last is not None and last.place == (lane, unit) and not last.closed:
                last.closed = True
            else:
                self._mark(lane, unit)
            self.serve()

    def serve(self) -> None:
        """Hand over as many items as the reader has asked for."""
        with self._lock:
            while self._entries and (sender := self._asking()) is not None:
                if self._whole and not self._entries[0].closed:
                    return
                self._hand_over(sender, self._entries.popleft())
            while self._due and not self._entries and (sender := self._asking()) is not None:
                self._send_marks(sender, credits=1)

    def untold(self) -> bool:
        """Whether empty units lie behind the last item."""
        return bool(self._marks)

    def tell(self) -> None:
        """No item comes soon: the empty units leave without one when a reader asks."""
        with self._lock:
            self._due = bool(self._marks)
            self.serve()

    def end(self) -> None:
        """No more will be offered: what is here waits for the reader; see ``finished``."""
        with self._lock:
            self._ended = True

    def finished(self) -> bool:
        """Hand over what can be; whether the end of input was sent or nobody wants it."""
        with self._lock:
            self.serve()
            if self._gone:
                return True
            if self._entries or not self._ended:
                return False
            while self._marks and self._senders:
                self._send_marks(self._senders[0], credits=0)
            for sender in list(self._senders):
                try:
                    sender.end()
                except PeerClosed:
                    self._lose(sender)  # it needs no end any more
            return True

    def close(self) -> None:
        """Close the channels, ended or not."""
        with self._lock:
            self._gone = True
            for sender in self._senders:
                sender.close()

    def lose_readers(self, gone: frozenset[int]) -> None:
        """The readers behind these descriptors have closed."""
        with self._lock:
            for sender in [one for one in self._senders if one.fileno() in gone]:
                self._lose(sender)

    def lose(self, gone: Sequence[Sender]) -> None:
        """The readers of these senders have closed."""
        with self._lock:
            for sender in [one for one in self._senders if one in gone]:
                self._lose(sender)

    def _asking(self) -> Sender | None:
        """The channel of a reader that has asked for an item."""
        return next((one for one in self._senders if one.demand() > 0), None)

    def _lose(self, sender: Sender) -> None:
        self._senders.remove(sender)
        sender.close()
        if not self._senders:
            self._gone = True
            self._entries.clear()

    def _drop_oldest(self) -> None:
        """Throw the oldest item away; its unit stays, empty, before the next."""
        oldest = self._entries.popleft()
        marks = oldest.marks
        if oldest.closed:
            marks = _joined(marks, [(*oldest.place, 1)])
        if self._entries:
            self._entries[0].marks = _joined(marks, self._entries[0].marks)
        else:
            self._marks = _joined(marks, self._marks)

    def _mark(self, lane: int, unit: int) -> None:
        self._marks = _joined(self._marks, [(lane, unit, 1)])

    def _hand_over(self, sender: Sender, entry: _Entry) -> None:
        batch = Batch()
        for lane, unit, span in entry.marks:
            batch.skip_run(lane, unit, span)
        lane, unit = entry.place
        batch.add(lane, unit, entry.item, None)
        if entry.closed:
            batch.close(lane, unit)
        self._send(sender, batch, entry.packet, 1)

    def _send_marks(self, sender: Sender, *, credits: int) -> None:
        """Send the empty units to one reader: each of them is heard of once.

        Args:
            sender: Its channel.
            credits: 1: they take the place of an item that was asked for.
        """
        batch = Batch()
        for lane, unit, span in self._marks[:-1]:
            batch.skip_run(lane, unit, span)
        lane, unit, span = self._marks[-1]
        if span > credits:
            batch.skip_run(lane, unit, span - credits)
        if credits:
            batch.close(lane, unit + span - 1)
        if self._send(sender, batch, Packet(pickled=_EMPTY_LIST, buffers=(), items=0), credits):
            self._marks, self._due = [], False

    def _send(self, sender: Sender, batch: Batch, packet: Packet, credits: int) -> bool:
        """Send a frame; ``False``: its reader is gone."""
        try:
            sender.send(batch.meta(), packet, credits)
        except PeerClosed:
            self._lose(sender)
            return False
        self._row[COPIED_BYTES] += packet.moved_bytes
        self._row[SHARED_BYTES] += packet.shared_bytes
        return True


class DropEdge:
    """One edge that drops: its mailboxes, and which of them an item goes to.

    Args:
        route: How units spread over the readers.
        mailboxes: One, or one for each reading replica.
        pick_key: Number of the replica for a payload, for ``Route.KEY``.
    """

    def __init__(
        self,
        route: Route,
        mailboxes: Sequence[Mailbox],
        pick_key: Callable[[Any], int] | None = None,
    ) -> None:
        self._route = route
        self.mailboxes = mailboxes
        self._pick_key = pick_key

    def check(self, payload: Any) -> None:
        """See ``Spread.check``."""
        if self._pick_key is not None:
            self._pick_key(payload)

    def offer(
        self, place: tuple[int, int, ItemId], payload: Any, packet: Packet, *, whole: bool
    ) -> None:
        """Put an item on offer; the other replicas hear of its unit."""
        lane, unit, item = place
        takers = self._takers(unit, payload)
        for mailbox in takers:
            mailbox.offer(lane, unit, item, packet, whole=whole)
        if whole and self._route is Route.KEY:
            for mailbox in self.mailboxes:
                if mailbox not in takers:
                    mailbox.end_unit(lane, unit)

    def end_unit(self, lane: int, unit: int) -> None:
        """The unit is complete."""
        several = self._route in {Route.KEY, Route.BROADCAST}
        for mailbox in self.mailboxes if several else self._takers(unit, None):
            mailbox.end_unit(lane, unit)

    def closed(self) -> bool:
        """Whether every reader is gone."""
        return all(mailbox.closed() for mailbox in self.mailboxes)

    def untold(self) -> bool:
        """Whether empty units lie behind the last item of one of them."""
        return any(mailbox.untold() for mailbox in self.mailboxes)

    def _takers(self, unit: int, payload: Any) -> Sequence[Mailbox]:
        match self._route:
            case Route.BROADCAST:
                return self.mailboxes
            case Route.KEY:
                assert self._pick_key is not None
                return [self.mailboxes[self._pick_key(payload)]]
            case Route.BY_UNIT:
                return [self.mailboxes[unit % len(self.mailboxes)]]
            case _:
                return self.mailboxes[:1]


def _joined(
    first: list[tuple[int, int, int]], second: list[tuple[int, int, int]]
) -> list[tuple[int, int, int]]:
    """Two lists of runs as one, runs that touch made one."""
    runs = list(first)
    for lane, unit, span in second:
        if runs and runs[-1][0] == lane and runs[-1][1] + runs[-1][2] == unit:
            runs[-1] = (lane, runs[-1][1], runs[-1][2] + span)
        else:
            runs.append((lane, unit, span))
    return runs


#: The pickle (protocol 5) of an empty list.
_EMPTY_LIST = b"\x80\x05]\x94."

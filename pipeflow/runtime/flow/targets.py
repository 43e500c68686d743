"""Targets: where the frames of an output port go, and how its items spread over them.

A **target** is a set of channels that get the very same frames: all the readers of a plain
fan-out, or one replica of a partitioned stage. Its batch is pickled once, whatever the number of
readers. A **spread** is one target for all items, or several with a rule that picks one for each
item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from pipeflow.errors import PeerClosed
from pipeflow.planner.plan import Route
from pipeflow.runtime.board import COPIED_BYTES, SENT, SHARED_BYTES, Words
from pipeflow.runtime.flow.units import Batch
from pipeflow.transports.base import Packet, Sender
from pipeflow.transports.codec import encode_settled
from pipeflow.transports.plain import dump_plain
from pipeflow.values import dataclass, field

#: Items in one frame at most: enough to make the cost of a frame small beside the items.
BATCH_ITEMS = 256
#: Payloads of this size, in bytes, travel at once.
LARGE_BYTES = 32 * 1024
#: How often a balanced spread looks at the readers' counters again, in items.
LOOK_AGAIN = 4


@dataclass(slots=True)
class OutChannel:
    """One channel as this writer sees it.

    Attributes:
        sender: Its end; closed by the outbox.
        edge: Number of the edge.
        row: The edge's row of the board.
        capacity_bytes: Bytes of shared buffers that may be in flight.
    """

    sender: Sender
    edge: int
    row: Words
    capacity_bytes: int = 64 * 2**20


@dataclass(slots=True)
class Target:
    """Channels that get the same frames.

    Attributes:
        channels: Those that are still open.
        batch: What waits to be sent.
        credit: Credits left as far as we know: never more than there are.
        cost: Credits that the batch takes.
        open_units: (lane, unit) of those that went this way in part and are not closed yet. Who
            reads several lanes may be in the middle of one unit on each.
        large: The batch ends with an item that is worth a frame of its own.
        sending: When the first item came of what is being sent just now; -1: nothing is.
        lost_rows: Rows of edges whose channel here was closed by its reader: what goes there still
            counts as sent.
    """

    channels: list[OutChannel]
    batch: Batch = field(default_factory=Batch)
    credit: int = 0
    cost: int = 0
    open_units: set[tuple[int, int]] = field(default_factory=set)
    large: bool = False
    sending: int = -1
    lost_rows: list[Words] = field(default_factory=list)

    def look(self, nbytes: int = 0) -> int:
        """Read the readers' counters: the credits that are free now.

        Args:
            nbytes: Shared bytes of what waits to be sent.
        """
        channels = self.channels
        if len(channels) == 1:  # most often, and asked for each frame
            self.credit = channels[0].sender.room(nbytes) - self.cost
        elif channels:
            self.credit = min([channel.sender.room(nbytes) for channel in channels]) - self.cost
        else:
            self.credit = BATCH_ITEMS
        return self.credit

    def full(self) -> list[OutChannel]:
        """Those channels that have no room: the others are no reason to wait, nor to wake up."""
        return [channel for channel in self.channels if channel.sender.room() <= 0]

    def idle(self) -> bool:
        """Whether a reader has nothing left to do."""
        for channel in self.channels:  # noqa: SIM110 - a generator costs more than the look
            if channel.sender.idle():
                return True
        return False

    def has_part(self, lane: int, unit: int) -> bool:
        """Whether an item of this unit went this way and the unit is not closed yet."""
        return (lane, unit) in self.open_units

    def close_unit(self, lane: int, unit: int) -> None:
        """The unit, of which a part went this way, is complete."""
        cost = self.batch.close(lane, unit)
        self.cost += cost
        self.credit -= cost
        self.open_units.discard((lane, unit))

    def count(self, items: int = 1) -> None:
        """So many more items were sent this way."""
        for channel in self.channels:
            channel.row[SENT] += items
        for row in self.lost_rows:
            row[SENT] += items

    def send(self, encode: Callable[[list[Any]], Packet]) -> bool:
        """Send the batch; whether a reader turned out to be gone."""
        batch, cost = self.batch, self.cost
        if not batch or not self.channels:
            self.batch, self.cost = type(batch)(), 0
            return False
        packet = encode(batch.payloads) if batch.pile is None else batch.pile.packet()
        self.batch, self.cost = type(batch)(), 0
        gone = self.send_packet(batch.meta(), packet, cost, born=batch.born)
        if packet.shared_bytes:
            self.look()  # what was left in items may be too much in bytes
        return gone

    def send_packet(self, meta: bytes, packet: Packet, cost: int, *, born: int) -> bool:
        """Send one packet to every channel; whether a reader turned out to be gone.

        Args:
            meta: What it says of its units.
            packet: The items.
            cost: Credits that it takes.
            born: When its first item came; see ``Batch.born``.
        """
        self.sending = born
        try:
            gone = [one for one in self.channels if not _sent_over(one, meta, packet, cost)]
        finally:
            self.sending = -1
        for channel in gone:
            self.drop(channel)
        return bool(gone)

    def send_run(self, meta: bytes, packet: Packet, count: int, *, born: int) -> bool:
        """Count so many items as sent and send them, each a unit; see ``send_packet``."""
        channels = self.channels
        if len(channels) != 1 or self.lost_rows:
            self.count(count)
            return self.send_packet(meta, packet, count, born=born)
        (channel,) = channels  # as most often
        channel.row[SENT] += count
        self.sending = born
        try:
            if _sent_over(channel, meta, packet, count):
                return False
        finally:
            self.sending = -1
        self.drop(channel)
        return True

    def send_plain(self, meta: bytes, payloads: list[Any], *, born: int) -> bool:
        """``send_run`` of plain items."""
        count = len(payloads)
        if len(self.channels) != 1 or self.lost_rows:
            return self.send_run(meta, encode_settled(payloads, True), count, born=born)
        (channel,) = self.channels  # as most often
        pickled = dump_plain(payloads)
        channel.row[SENT] += count
        send = partial(channel.sender.send_plain, meta, pickled, count)
        return self.send_by(send, len(pickled), born=born)

    def send_by(self, send: Callable[[], None], nbytes: int, *, born: int) -> bool:
        """Send a frame over the one channel; whether its reader turned out to be gone.

        Args:
            send: Does so.
            nbytes: Bytes of its pickle.
            born: See ``send_packet``.
        """
        (channel,) = self.channels
        self.sending = born
        try:
            send()
        except PeerClosed:
            self.drop(channel)
            return True
        finally:
            self.sending = -1
        channel.row[COPIED_BYTES] += nbytes
        return False

    def drop(self, channel: OutChannel) -> None:
        """The reader of this channel needs no more."""
        self.channels.remove(channel)
        self.lost_rows.append(channel.row)
        channel.sender.close()


class Spread:
    """How the items of one output port reach one or several edges.

    Args:
        route: The rule.
        targets: One, or one for each reading replica.
        pick_key: Number of the replica for a payload, for ``Route.KEY``.
        recounted: Each replica hears of every item, of those for others too.
        onward: What a replica gives goes on to one of the next stage that gets no other's.

    Attributes:
        onward: See there.
        route: See there.
        targets: See there.
        pick_key: See there.
    """

    def __init__(
        self,
        route: Route,
        targets: Sequence[Target],
        pick_key: Callable[[Any], int] | None = None,
        *,
        recounted: bool = False,
        onward: bool = False,
    ) -> None:
        self.onward = onward
        self.route = route
        self.targets = targets
        self.pick_key = pick_key
        self.recounted = recounted and route is Route.KEY
        self._held: dict[tuple[int, int], Target] = {}
        self._looked = 0
        self._turn = 0

    def open_targets(self) -> Iterator[Target]:
        """Those that still have a reader."""
        return (target for target in self.targets if target.channels)

    def closed(self) -> bool:
        """Whether every reader is gone."""
        return not any(target.channels for target in self.targets)

    def check(self, payload: Any) -> None:
        """Raise what the user's key of this item raises: before another reader has got it."""
        if self.pick_key is not None:
            self.pick_key(payload)

    def pick(self, lane: int, unit: int, payload: Any) -> Target | None:
        """The target for an item; ``None``: any with room, and none has room now."""
        match self.route:
            case Route.BY_UNIT:
                return self.targets[unit % len(self.targets)]
            case Route.KEY:
                assert self.pick_key is not None
                return self.targets[self.pick_key(payload)]
            case Route.BALANCE | Route.ANY if len(self.targets) > 1:
                held = self._held.get((lane, unit)) or self._roomiest()
                if held is not None:
                    self._held[lane, unit] = held  # the rest of the unit goes there too
                return held
            case _:
                return self.targets[0]

    def release(self, lane: int, unit: int) -> None:
        """The unit is over: no more of it comes."""
        self._held.pop((lane, unit), None)

    def _roomiest(self) -> Target | None:
        """The open target with the most credit left, as far as we know; ``None``: all full.

        Among equals they take turns.
        """
        turn, count = self._turn, len(self.targets)
        in_turn = [self.targets[(turn + offset) % count] for offset in range(count)]
        candidates = [target for target in in_turn if target.channels]
        if not candidates:
            return self.targets[0]
        self._turn = turn + 1
        self._looked -= 1
        best = max(candidates, key=_credit)
        if self._looked < 0 or best.credit <= 0:
            self._looked = LOOK_AGAIN
            best = max(candidates, key=Target.look)
        return best if best.credit > 0 else None


def _sent_over(channel: OutChannel, meta: bytes, packet: Packet, cost: int) -> bool:
    """Send a packet over a channel and count its bytes; ``False``: its reader is gone."""
    try:
        channel.sender.send(meta, packet, cost)
    except PeerClosed:
        return False
    row = channel.row
    row[COPIED_BYTES] += len(packet.pickled) + packet.copied_bytes
    if packet.shared_bytes:
        row[SHARED_BYTES] += packet.shared_bytes
    return True


def _credit(target: Target) -> int:
    return target.credit


def is_large(payload: Any) -> bool:
    """Whether an item is worth a frame of its own."""
    return bool(getattr(payload, "nbytes", 0) >= LARGE_BYTES)

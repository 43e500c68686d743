"""The longer way of an output port: results into the batches of targets, by the units they are of.

    result ──> spread ──> target, with one credit ──> batch ──> frame, when it is due

All that cannot go the express way goes here: several edges, partitions, ports whose units are kept,
edges that drop. Whoever calls has the outbox's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from pipeflow.errors import ItemNotSerializable
from pipeflow.planner.plan import Route
from pipeflow.runtime.flow.express import Encoder
from pipeflow.runtime.flow.outlets import Outlets
from pipeflow.runtime.flow.ports import OutPort, Place
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.flow.targets import BATCH_ITEMS, LARGE_BYTES, Spread, Target, is_large
from pipeflow.runtime.flow.units import Batch
from pipeflow.runtime.messages import ItemId
from pipeflow.transports.base import Packet

#: Longest time that a finished result stays in a batch while its reader could have it.
LINGER_S = 0.001


class Placing:
    """Puts results where they belong.

    Args:
        outlets: Every way out.
        encoder: Pickles the items.
        wait_for_room: Waits until one of these targets may have room, or a moment.
        flush: Sends all that waits, wherever.
        wake: Lets the second thread know that something waits.
        batch_items: Most items in one frame.
        now: Seconds, for the linger.

    Attributes:
        flushed_at: When the last batch was sent.
    """

    def __init__(
        self,
        outlets: Outlets,
        *,
        encoder: Encoder,
        wait_for_room: Callable[[Sequence[Target]], None],
        flush: Callable[[], None],
        wake: Callable[[], None],
        batch_items: int = BATCH_ITEMS,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self._outlets, self._encoder = outlets, encoder
        self._wait_for_room, self._flush, self._wake = wait_for_room, flush, wake
        self._batch_items, self._now = batch_items, now
        self.flushed_at = now()

    def emit(self, port: OutPort, payload: Any, place: Place, *, whole: bool) -> None:
        """Send a result to every edge of a port.

        Args:
            port: Where it goes.
            payload: The result.
            place: Its unit and id.
            whole: It is a unit of its own.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
            ResultNotSerializable: It cannot be pickled.
        """
        self._see_mailboxes(port)
        piece: bytes | None = None
        packet: Packet | None = None
        if port.mixed:
            piece, packet = self._encode_once(port, payload, place.item)
        for drop in port.drops:
            assert packet is not None
            drop.offer(place, payload, packet, whole=whole)
            if drop.untold():
                self._wake()
        for spread in port.spreads:
            target = self._acquire(spread, place.lane, place.unit, payload)
            if piece is None and packet is not None:
                target.count()
                self._send_alone(target, packet, place, whole=whole)
            else:
                self._add(target, payload, place, whole=whole, piece=piece)
            if whole:
                self._skip_others(spread, target, place)
                spread.release(place.lane, place.unit)
            elif spread.recounted:
                for other in spread.targets:
                    if other is not target:
                        other.batch.pass_over(place.lane, place.unit)
                self._wake()

    def end_unit(self, port: OutPort, lane: int, unit: int, *, free: bool) -> None:
        """A unit is complete on a port, maybe with nothing in it; raises what ``emit`` does."""
        self._see_mailboxes(port)
        for drop in port.drops:
            drop.end_unit(lane, unit)
            if drop.untold():
                self._wake()
        for spread in port.spreads:
            parts = [target for target in spread.targets if target.has_part(lane, unit)]
            for target in parts:
                target.close_unit(lane, unit)
                self._send_if_due(target)
            if spread.route is Route.KEY:
                for target in spread.targets:
                    if target not in parts:
                        target.batch.skip(lane, unit)
                        self._send_if_due(target)
            elif not parts:
                self._end_empty_unit(spread, lane, unit, free=free)
            spread.release(lane, unit)

    def send(self, target: Target) -> None:
        """Send what waits for a target.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        target.large = False
        gone = target.send(self._encoder.encode)
        self.flushed_at = self._now()
        if gone:
            self._outlets.raise_if_unread()

    def _add(
        self, target: Target, payload: Any, place: Place, *, whole: bool, piece: bytes | None
    ) -> None:
        if target.large:
            self.send(target)
        if piece is None:
            settled = self._settle(target, payload, place.item)
        else:
            settled = None
            target.batch.settle_piece(piece, self._encoder.pile)
        target.count()  # what cannot be pickled was not sent
        target.batch.add(place.lane, place.unit, place.item, settled)
        target.cost += 1
        target.large = is_large(payload) if piece is None else len(piece) >= LARGE_BYTES
        if whole:
            target.batch.close(place.lane, place.unit)
            self._send_if_due(target)
        else:
            target.open_units.add((place.lane, place.unit))
            self._wake()

    def _see_mailboxes(self, port: OutPort) -> None:
        """Who reads by a mailbox is sent nothing here, so only a look tells that he is gone."""
        if any(drop.closed() for drop in port.drops):
            self._outlets.raise_if_unread()

    def _skip_others(self, spread: Spread, target: Target, place: Place) -> None:
        """Of a keyed edge every replica hears of every unit."""
        if spread.route is Route.KEY:
            for other in spread.targets:
                if other is not target:
                    other.batch.skip(place.lane, place.unit)
                    self._send_if_due(other)

    def _acquire(self, spread: Spread, lane: int, unit: int, payload: Any) -> Target:
        """The target for an item, with one credit taken."""
        target = spread.pick(lane, unit, payload)
        while target is None or target.credit <= 0:
            if target is not None and target.look() > 0:
                break
            self._flush()
            wanted = [target] if target is not None else list(spread.open_targets())
            if any(one.look() > 0 for one in wanted):
                target = spread.pick(lane, unit, payload)
                continue
            self._wait_for_room(wanted)
            self._outlets.raise_if_unread()
            target = spread.pick(lane, unit, payload)
        target.credit -= 1
        return target

    def _end_empty_unit(self, spread: Spread, lane: int, unit: int, *, free: bool) -> None:
        """Say that a unit has nothing; this takes a credit, so that nobody runs far ahead."""
        if not free:
            target = self._acquire(spread, lane, unit, None)
            target.cost += target.batch.close(lane, unit)
        elif spread.route is Route.BY_UNIT:
            target = spread.targets[unit % len(spread.targets)]
            target.batch.skip(lane, unit)
        else:
            target = next(spread.open_targets(), spread.targets[0])
            target.batch.skip(lane, unit)
        self._send_if_due(target)

    def _send_if_due(self, target: Target) -> None:
        """Send the batch if its reader waits, it is full, or it has waited long enough."""
        cost = target.cost
        if cost and (target.large or cost >= self._batch_items or target.idle() or self._late()):
            self.send(target)
        else:
            self._wake()  # empty runs alone are in no hurry

    def _send_alone(self, target: Target, packet: Packet, place: Place, *, whole: bool) -> None:
        """Send a packet of one item, behind what waits for the same target."""
        if target.batch:
            self.send(target)
        batch = Batch()
        batch.add(place.lane, place.unit, place.item, None)
        if whole:
            batch.close(place.lane, place.unit)
        else:
            target.open_units.add((place.lane, place.unit))
        gone = target.send_packet(batch.meta(), packet, 1, born=batch.born)
        if packet.shared_bytes:
            target.look()  # what was left in items may be too much in bytes
        if gone:
            self._outlets.raise_if_unread()

    def _encode_once(
        self, port: OutPort, payload: Any, item: ItemId
    ) -> tuple[bytes | None, Packet | None]:
        """Pickle an item for all who get it, once their keys are known not to fail.

        Returns:
            Its pickle, which goes into the batch of each, unless it has buffers beside it; and a
            packet of it alone, for those who need one.
        """
        for drop in port.drops:
            drop.check(payload)
        for spread in port.spreads:
            spread.check(payload)
        pile = self._encoder.pile()
        try:
            pile.add(payload)
        except ItemNotSerializable as error:
            raise ResultNotSerializable(item, error) from error
        piece = pile.lone_piece()
        return piece, pile.packet() if piece is None or port.drops else None

    def _settle(self, target: Target, payload: Any, item: ItemId) -> Any:
        """See to it that what is passed on can be changed by its maker without harm."""
        try:
            return target.batch.settle(payload, self._encoder.pile)
        except ItemNotSerializable as error:
            target.credit += 1
            raise ResultNotSerializable(item, error) from error

    def _late(self) -> bool:
        return self._now() - self.flushed_at >= LINGER_S

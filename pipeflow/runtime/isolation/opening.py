"""The runner opens frames: whole, or item by item, and says so to its keeper."""

from __future__ import annotations

from typing import Any

from pipeflow.errors import ItemNotLoadable
from pipeflow.runtime.isolation.link import Link
from pipeflow.runtime.isolation.messages import FrameOrder, Pair, Place
from pipeflow.transports.codec import Decoder
from pipeflow.values import dataclass


@dataclass(slots=True)
class _Frame:
    """A frame that has come.

    Attributes:
        order: What the keeper says of it.
        left: Items that are still to be asked for.
        payloads: Once it was opened.
    """

    order: FrameOrder
    left: int
    payloads: list[Any] | None = None


class Frames:
    """The frames that a runner has.

    Args:
        link: To the keeper.
        decoder: Loads them.
        shares: A call may have items of the call before: they are kept until then.
    """

    def __init__(self, link: Link, decoder: Decoder, *, shares: bool = False) -> None:
        self._link, self._decoder, self._shares = link, decoder, shares
        self._frames: dict[int, _Frame] = {}
        self._before: tuple[Any, ...] = ()

    def add(self, order: FrameOrder) -> None:
        """One has come."""
        self._frames[order.number] = _Frame(order, order.left)

    def take(self, place: Place, count: int) -> list[Any]:
        """Some items in a row; ``Unloadable`` for those that cannot be loaded.

        The frame is loaded now, if it was not yet: code of the user's may run, and end us.
        """
        frame, payloads = self._frames[place.frame], self.look(place.frame)
        found = payloads[place.at : place.at + count]
        frame.left -= count
        if frame.left:
            # Whoever works on them decides how long they live.
            payloads[place.at : place.at + count] = [None] * count
        else:
            del self._frames[place.frame]
        return found

    def look(self, number: int) -> list[Any]:
        """All items of a frame, which will be asked for later; opens it as well."""
        frame = self._frames[number]
        if frame.payloads is None:
            frame.payloads = self._load(frame)
        return frame.payloads

    def take_pair(self, pair: Pair) -> tuple[Any, ...]:
        """The items of a pair, likewise."""
        parts = [
            self._before[port] if place is None else self.take(place, 1)[0]
            for port, place in enumerate(pair.places)
        ]
        if self._shares:
            self._before = (None, *parts[1:])  # the first input's is never shared
        return tuple(parts)

    def _load(self, frame: _Frame) -> list[Any]:
        link, number, packet = self._link, frame.order.number, frame.order.packet
        link.begin_loading(number, None)
        try:
            if not frame.order.singly:
                try:
                    return self._decoder.decode(packet, private=frame.order.private)
                except ItemNotLoadable:
                    pass  # which they are shows when they are loaded one by one
            return self._decoder.salvage(
                packet,
                private=frame.order.private,
                begins=lambda at: link.begin_loading(number, at),
                lost=frame.order.lost,
            )
        finally:
            link.end_loading()

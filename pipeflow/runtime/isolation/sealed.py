"""Frames that pass through a keeper as they came: the runner alone opens them.

What loads an item may be the user's code, and fail, hang, or end its process: so that is the
runner's to do. The keeper knows what each frame holds by its ids, and keeps the memory of its
arrays until the runner is done with them. A frame is loaded whole, which is quick; if that ends the
runner, the next one loads it item by item, and says of each that it begins: that one has failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, NamedTuple

from pipeflow.errors import ItemNotLoadable
from pipeflow.runtime.isolation.messages import FrameOrder, Place, bare
from pipeflow.runtime.messages import Failure
from pipeflow.transports.base import Packet, SlotRef
from pipeflow.transports.codec import Decoder
from pipeflow.transports.unloadable import Unloadable
from pipeflow.transports.views import Views
from pipeflow.values import dataclass, field


@dataclass(slots=True, eq=False)
class SealedFrame:
    """One frame that was not opened.

    Attributes:
        number: Its number in this process.
        packet: Its bytes.
        held: The arrays that it refers to: they stay as long as this does.
        singly: Its items are loaded one by one: it has ended a process.
        tries: How often an item has ended one by being loaded, by its place.
        lost: Items that are not to be loaded again, and why.
        given: How many of its items were given to any runner.
        runner: Number of the runner that has it.
    """

    number: int
    packet: Packet
    held: tuple[object, ...]
    singly: bool = False
    tries: dict[int, int] = field(default_factory=dict)
    lost: dict[int, Failure] = field(default_factory=dict)
    given: int = 0
    runner: int = 0

    def payload(self, at: int, decoder: Decoder, *, private: bool) -> Any:
        """One of its items, here, after a runner could load it; ``None``: it cannot be."""
        if not self.lost:
            try:
                return decoder.decode(self.packet, private=private)[at]
            except ItemNotLoadable:
                pass  # of another item, it may be
        found = decoder.salvage(self.packet, private=private, lost=self.lost)[at]
        return None if type(found) is Unloadable else found


class Sealed(NamedTuple):
    """Stands for an item of a frame that was not opened."""

    frame: SealedFrame
    at: int


def sealing(views: Views) -> Callable[[Packet, bool], list[Any]]:
    """What makes items of packets without opening them."""
    numbers = iter(range(2**62))

    def seal(packet: Packet, _private: bool) -> list[Any]:
        held = tuple([views.view(ref) for ref in packet.buffers if isinstance(ref, SlotRef)])
        whole = bare(packet)
        whole.pickled = bytes(packet.pickled)
        frame = SealedFrame(next(numbers), whole, held)
        return list(map(Sealed, repeat(frame), range(packet.items)))

    return seal


def place_of(payload: object) -> Place | None:
    """Where the runner finds an item; ``None``: it travels beside its order."""
    return Place(payload.frame.number, payload.at) if type(payload) is Sealed else None


def frames_for(runner: int, payloads: Iterable[object], *, again: bool) -> Iterator[FrameOrder]:
    """The frames that a runner needs for some items and does not have yet.

    Args:
        runner: Its number.
        payloads: What it is to be given.
        again: Another runner has had these, and they are all that is left of that.
    """
    counts: dict[SealedFrame, int] = {}
    for each in payloads:
        if type(each) is Sealed:
            counts[each.frame] = counts.get(each.frame, 0) + 1
    for frame, count in counts.items():
        if not again:
            frame.given += count
        if frame.runner != runner:
            frame.runner = runner
            left = count + frame.packet.items - frame.given
            yield FrameOrder(frame.number, frame.packet, left, frame.singly, tuple(frame.lost))

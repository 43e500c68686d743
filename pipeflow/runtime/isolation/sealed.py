"""Frames that pass through a keeper as they came: the runner alone opens them.

What loads an item may be the user's code, and fail, hang, or end its process: so that is the
runner's to do. The keeper knows what each frame holds by its ids, and keeps the memory of its
arrays until the runner is done with them. A frame is loaded whole, which is quick; if that ends the
runner, the next one loads it item by item, and says of each that it begins: that one has failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, NamedTuple

from pipeflow.errors import ItemNotLoadable
from pipeflow.runtime.flow.arrivals import Seal
from pipeflow.runtime.flow.joins import Call
from pipeflow.runtime.flow.units import id_at
from pipeflow.runtime.isolation.messages import FrameOrder, Pair, Place, bare
from pipeflow.runtime.messages import Failure, ItemId
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
        meta: What the frame says of its items, their ids among it.
        private: Its arrays are to be copies.
        singly: Its items are loaded one by one: it has ended a process.
        tries: How often an item has ended one by being loaded, by its place.
        deaths: How many of those processes died, until the item is done with.
        lost: Items that are not to be loaded again, and why.
        given: How many of its items were given to any runner.
        runner: Number of the runner that has it.
        port: Which input of a join by key it came on; -1: of none.
        ids: There, the ids of its items, by their place.
        keys: There, their keys, or why they have none; ``None``: they are not known yet.
    """

    number: int
    packet: Packet
    held: tuple[object, ...]
    meta: bytes = b""
    private: bool = False
    singly: bool = False
    tries: dict[int, int] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)
    lost: dict[int, Failure] = field(default_factory=dict)
    given: int = 0
    runner: int = 0
    port: int = -1
    ids: dict[int, ItemId] = field(default_factory=dict)
    keys: tuple[object, ...] | None = None

    def id_at(self, at: int) -> ItemId:
        """Id of one of its items."""
        return self.ids.get(at) or id_at(self.meta, at)

    def payload(self, at: int, decoder: Decoder) -> Any:
        """One of its items, here, after a runner could load it; ``None``: it cannot be."""
        if not self.lost:
            try:
                return decoder.decode(self.packet, private=self.private)[at]
            except ItemNotLoadable:
                pass  # of another item, it may be
        found = decoder.salvage(self.packet, private=self.private, lost=self.lost)[at]
        return None if type(found) is Unloadable else found


class Sealed(NamedTuple):
    """Stands for an item of a frame that was not opened."""

    frame: SealedFrame
    at: int


def sealing(views: Views) -> Seal:
    """What makes items of packets without opening them."""
    numbers = iter(range(2**62))

    def seal(packet: Packet, meta: bytes, private: bool) -> list[Any]:
        held = tuple([views.view(ref) for ref in packet.buffers if isinstance(ref, SlotRef)])
        whole = bare(packet)
        whole.pickled = bytes(packet.pickled)
        frame = SealedFrame(next(numbers), whole, held, meta, private)
        return list(map(Sealed, repeat(frame), range(packet.items)))

    return seal


def parts_of(payload: object) -> tuple[Sealed, ...]:
    """The unopened items of what a call takes: one, those of a pair, or none."""
    if type(payload) is Sealed:
        return (payload,)
    if type(payload) is tuple and payload and type(payload[0]) is Sealed:
        return payload  # of a pair all are: nothing is opened here
    return ()


def opened(payload: object, decoder: Decoder) -> Any:
    """What a call takes, opened here, after a runner could do so."""
    if type(payload) is Sealed:
        return payload.frame.payload(payload.at, decoder)
    parts = parts_of(payload)
    return tuple([frame.payload(at, decoder) for frame, at in parts]) if parts else payload


def tries_of(call: Call | None, blamed: Sealed) -> int:
    """How often a call has ended runners by the loading of its items.

    What it shares with the calls before counts only if it is to be blamed.
    """
    if call is None:
        return blamed.frame.tries.get(blamed.at, 0)
    own = {origin.port for origin in call.origins}
    others = [
        part for port, part in enumerate(parts_of(call.payload)) if port in own and part != blamed
    ]
    return sum([frame.tries.get(at, 0) for frame, at in (blamed, *others)])


def row_of_deaths(item: Sealed) -> tuple[int, int]:
    """Where the row of lost items begins that ends with one, and how many deaths they were."""
    frame, first = item.frame, item.at
    while first - 1 in frame.lost:
        first -= 1
    return first, sum([frame.deaths.get(at, 0) for at in range(first, item.at + 1)])


def deaths_of(payload: object) -> int:
    """How many deaths the items of a call were that has failed by them; each counts once."""
    return sum([frame.deaths.pop(at, 0) for frame, at in parts_of(payload)])


def place_of(payload: object) -> Place | None:
    """Where the runner finds an item; ``None``: it travels beside its order."""
    return Place(payload.frame.number, payload.at) if type(payload) is Sealed else None


def place_of_call(call: Call, *, anew: bool) -> Place | Pair | None:
    """Where the runner finds what a call takes; ``None``: it travels beside its order.

    Args:
        call: The call.
        anew: The runner has not seen the call before it.
    """
    parts = parts_of(call.payload)
    if type(call.payload) is not tuple or not parts:
        return place_of(call.payload)
    own = {origin.port for origin in call.origins}
    return Pair(
        tuple([place_of(part) if anew or port in own else None for port, part in enumerate(parts)])
    )


class Needs:
    """What a runner needs beside its orders: frames, and items that were opened.

    Args:
        runner: Its number.
        again: Another runner has had these orders, and they are all that is left of that.
        anew: The runner has seen no pair yet.
    """

    def __init__(self, runner: int, *, again: bool, anew: bool) -> None:
        self._runner, self._again = runner, again
        self.anew = anew
        self.beside: list[object] = []
        self._counts: dict[SealedFrame, int] = {}
        self._shared: dict[SealedFrame, int] = {}  # items that calls before have had as well

    def add(self, payloads: Iterable[object]) -> None:
        """It is given an item, or a row of them."""
        counts = self._counts
        for each in payloads:
            if type(each) is Sealed:
                counts[each.frame] = counts.get(each.frame, 0) + 1
            else:
                self.beside.append(each)

    def add_call(self, call: Call) -> None:
        """It is given a call, which may share items with the one before."""
        parts = parts_of(call.payload)
        if type(call.payload) is not tuple or not parts:
            self.add((call.payload,))
            return
        own = {origin.port for origin in call.origins}
        for port, (frame, _) in enumerate(parts):
            if port in own:
                self._counts[frame] = self._counts.get(frame, 0) + 1
            elif self.anew:
                self._shared[frame] = self._shared.get(frame, 0) + 1
        self.anew = False

    def add_frame(self, frame: SealedFrame) -> None:
        """It is given a frame to look at."""
        self._shared.setdefault(frame, 0)

    def frames(self) -> Iterator[FrameOrder]:
        """Those that it does not have yet."""
        if not self._again:
            for frame, count in self._counts.items():
                frame.given += count
        for frame in (*self._counts, *self._shared):
            if frame.runner != self._runner:
                frame.runner = self._runner
                count = self._counts.get(frame, 0) + self._shared.get(frame, 0)
                left = count + frame.packet.items - frame.given
                lost = tuple(frame.lost)
                yield FrameOrder(
                    frame.number, frame.packet, left, frame.singly, lost, frame.private
                )

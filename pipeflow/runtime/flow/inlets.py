"""What an inbox has for each edge and channel, and what it owes their writers.

edge ── InPort ──┬─ InChannel ── frames, each with a FrameNote: credit not yet given back
                 └─ InChannel
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from pipeflow.runtime.board import Words
from pipeflow.transports.base import Receiver
from pipeflow.values import dataclass, field

#: Items delivered at most before the writer is told.
LOT_MOST = 128
#: Part of the capacity that makes such a lot: a writer that is told of each item wakes up for it.
LOT_SHARE = 2


@dataclass(slots=True, kw_only=True, eq=False)
class InChannel:
    """One channel as this reader sees it.

    Attributes:
        receiver: Its end; closed by the inbox.
        first_writer: Number, within the edge, of the channel's writer 0.
        writers: How many writers it has.
        lot: Items delivered before the writer is told, if nothing else tells it.
        share: Credits that each writer has for this reader alone.
        on_demand: The writers send only what was asked for.
        cut_short: Whether a writer that is gone without an end was ended because nobody needed it.
        wanted: Items asked for that have not come.
        over: No more frames come.
        parked: Frames whose credit did not all go back, oldest first; only where there are lanes.
        early: Credits that went back before their item was delivered.
    """

    receiver: Receiver
    first_writer: int
    writers: int
    lot: int = 1
    share: int = 2**60
    on_demand: bool = False
    cut_short: Callable[[], bool] = bool
    wanted: int = 0
    over: bool = False
    parked: deque[FrameNote] = field(default_factory=deque)
    early: int = 0


class Intake(Protocol):
    """What takes the parts of one edge.

    Attributes:
        frontier: For each lane, the number after the last unit given out.
        ordered: Units are waited for, as there are several writers.
    """

    frontier: list[int]
    ordered: bool

    def feed_frame(self, writer: int, meta: bytes, payloads: list[Any], frame: object) -> None:
        """A frame has come: what it says of its units, its items, what the inbox wants back."""
        ...

    def end(self, writer: int) -> None:
        """Nothing more comes from this writer."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class InPort:
    """One edge as this reader sees it.

    Attributes:
        edge: Number of the edge.
        row: Its row of the board.
        private: Arrays are copied.
        intake: Takes what comes.
        channels: Its channels.
    """

    edge: int
    row: Words
    private: bool
    intake: Intake
    channels: list[InChannel]


@dataclass(slots=True)
class FrameNote:
    """What is still to be given back of one frame.

    Attributes:
        channel: Where it came from.
        writer: Number of the writer within the channel.
        items: Items not yet delivered.
        nbytes: Shared bytes that were not given back yet.
        left: Credits that the writer still has to get back.
        owed: Items delivered that the writer was not told of.
    """

    channel: InChannel
    writer: int
    items: int
    nbytes: int
    left: int
    owed: int = 0

    def give_back(self) -> None:
        """Tell the writer of the items delivered, and of their part of the frame's bytes."""
        owed, self.owed = self.owed, 0
        nbytes = self.nbytes
        if nbytes:
            if self.items:
                nbytes = nbytes * owed // (owed + self.items)
            self.nbytes -= nbytes
        if owed > self.left:
            self.took(owed, nbytes)
        else:
            self.left -= owed
            self.channel.receiver.took(self.writer, owed, nbytes)

    def took(self, credits: int, nbytes: int) -> None:
        """Give credits back, except those that went back early."""
        channel, due = self.channel, credits
        if due > self.left:
            due = self.left
            channel.early -= credits - due
        self.left -= due
        channel.receiver.took(self.writer, due, nbytes)

    def advance(self, credits: int) -> None:
        """Give so many credits, and the frame's bytes, back before their time."""
        nbytes, self.nbytes = self.nbytes, 0
        self.left -= credits
        self.channel.early += credits
        self.channel.receiver.took(self.writer, credits, nbytes)


def has_room(note: FrameNote | None, size: int) -> bool:
    """Whether there is room for a batch while an item of this frame is held."""
    return note is None or (note.channel.share >= size and not note.nbytes)

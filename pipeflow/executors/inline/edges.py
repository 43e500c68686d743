"""The edges of a run in one process: a deque for each channel, and the codec at both ends.

Items go through the codec on every edge, so a reader's copy is its own, arrays are read-only, and
what cannot be pickled is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeflow.executors.inline.turns import Turn
from pipeflow.planner.plan import WAITING_JOINS, Plan
from pipeflow.runtime.board import Board
from pipeflow.runtime.flow.assemble import make_inbox, make_outbox
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.targets import Target
from pipeflow.runtime.flow.wiring import ChannelPlan, wire
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.inline import InlineChannel, InlineReceiver, InlineSender
from pipeflow.values import replace

#: Nothing waits for room here: readers have their turn before the next item is made.
_NO_LIMIT: Final = 2**60


class Edges:
    """Every channel of a run, with its counters.

    Attributes:
        channels: As they are planned.
        board: Where they are counted.

    Args:
        plan: Of the run.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.channels = wire(plan)
        words = memoryview(bytearray(8 * Board.size(plan, self.channels))).cast("Q")
        self.board = Board(plan, self.channels, words)
        self._deques = {
            channel.spec.number: InlineChannel(
                replace(channel.spec, capacity=_NO_LIMIT, capacity_bytes=_NO_LIMIT),
                self.board.channel(channel.spec.number),
            )
            for channel in self.channels
        }
        #: Some stage waits for one of several inputs, so its writers should not run far ahead.
        self._bounded = any(stage.join in WAITING_JOINS for stage in plan.stages)
        self._encoder = Encoder(None)
        self._decoder = Decoder(None)

    def inbox(self, turn: Turn) -> Inbox | None:
        """What a replica reads, which its turn gets to know; ``None`` for a source."""

        def receiver(channel: ChannelPlan, reader: int) -> InlineReceiver:
            return self._deques[channel.spec.number].receivers[reader]

        inbox = make_inbox(
            self._plan,
            turn.index,
            self.channels,
            self.board,
            receiver,
            self._decode,
            lambda packet, private: self._decoder.salvage(packet, private=private),
        )
        if inbox is not None:
            turn.inlets = [channel for port in inbox.ports for channel in port.channels]
        return inbox

    def outbox(self, turn: Turn, turns: Sequence[Turn]) -> Outbox:
        """What a replica writes, which its turn gets to know, and who reads it.

        Args:
            turn: The replica's.
            turns: Those of all.
        """

        def sender(channel: ChannelPlan, writer: int) -> InlineSender:
            deque = self._deques[channel.spec.number]
            turn.outlets.append(deque)
            if self._bounded:
                turn.bounds.append((deque, channel.spec.capacity))
            turn.readers += [each for each in turns if each.index in channel.readers]
            return deque.senders[writer]

        return make_outbox(
            self._plan,
            turn.index,
            self.channels,
            self.board,
            sender,
            self._encoder,
            _never_waits,
            batch_items=1,
        )

    def _decode(self, packet: Packet, private: bool) -> list[object]:
        return self._decoder.decode(packet, private=private)


def _never_waits(_targets: Sequence[Target]) -> None:
    raise AssertionError("there is always room in a deque")

"""Opens a worker's ends of channels; who gets one of them owns it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pipeflow.runtime.board import Board
from pipeflow.runtime.brief import WorkerBrief
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.waits.process import ProcessWaits
from pipeflow.transports.bell import Bell
from pipeflow.transports.channel import open_receiver, open_sender
from pipeflow.transports.inline import InlineChannel
from pipeflow.transports.shm import Share


class ChannelEnds:
    """The ends that one worker may open.

    Args:
        brief: What the worker was told.
        board: Where each channel counts.
        share: The worker's share of memory.
        waits: How it waits for the kernel in the middle of a frame.
        links: Number of a channel to it, of those that stay in this process.
    """

    def __init__(
        self,
        brief: WorkerBrief,
        board: Board,
        share: Share,
        waits: ProcessWaits,
        links: Mapping[int, InlineChannel],
    ) -> None:
        self._brief, self._board, self._share = brief, board, share
        self._waits, self._links = waits, links

    def receiver(self, channel: ChannelPlan, reader: int) -> Any:
        """The reading end of a channel, by its number among the readers."""
        number, brief = channel.spec.number, self._brief
        if number in self._links:
            return self._links[number].receivers[reader]
        bells = brief.mail_bells if self._is_mail(channel) else brief.bells
        return open_receiver(
            channel.spec,
            brief.channels[number],
            reader,
            self._board.channel(number),
            brief.attempt,
            [Bell.attach(bells[writer]) for writer in channel.writers],
            self._share.views,
        )

    def sender(self, channel: ChannelPlan, writer: int) -> Any:
        """The writing end of a channel, by its number among the writers."""
        number, brief = channel.spec.number, self._brief
        if number in self._links:
            end = self._links[number].senders[writer]
            self._share.pool.watch(end)
            return end
        opened = open_sender(
            channel.spec,
            brief.channels[number],
            writer,
            self._board.channel(number),
            brief.attempt,
            self._share.pool,
        )
        if not self._is_mail(channel):
            opened.await_kernel = partial(self._waits.for_kernel, channel.edge)
        return opened

    def _is_mail(self, channel: ChannelPlan) -> bool:
        """Whether a mailbox writes to it, by a thread and a bell of its own."""
        return self._brief.plan.edges[channel.edge].overflow.value != "block"

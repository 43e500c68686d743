"""The process of a worker: its inbox and outbox, its share of memory, its waits, its threads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pipeflow.errors import ChannelError
from pipeflow.runtime.at_work import others_at_work
from pipeflow.runtime.board import (
    BUSY_NS,
    WAIT_OUT_NS,
    Board,
    State,
    Words,
)
from pipeflow.runtime.brief import WorkerBrief
from pipeflow.runtime.channel_ends import ChannelEnds
from pipeflow.runtime.flow.arrivals import Seal
from pipeflow.runtime.flow.assemble import make_inbox, make_outbox
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.keyed import UnopenedKeys
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.threads import Linger, Postman
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.waits.process import ProcessWaits
from pipeflow.transports.allocator import keep_freed_memory
from pipeflow.transports.base import Packet
from pipeflow.transports.bell import Bell
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.inline import InlineChannel
from pipeflow.transports.shm import Arena
from pipeflow.transports.views import Views


class Process:
    """The worker's ends. Owns them: ``end`` and ``close`` close them all.

    Args:
        brief: What the worker was told.
        board: The board.
        channels: All channels of the run.
        links: Number of a channel to it, of those that stay in this process.
        sealing: What makes items of packets without opening them, if that is to be so.
        unopened: Knows the keys of these, where a join asks for them.
    """

    def __init__(
        self,
        brief: WorkerBrief,
        board: Board,
        channels: tuple[ChannelPlan, ...],
        links: Mapping[int, InlineChannel] = MappingProxyType({}),
        sealing: Callable[[Views], Seal] | None = None,
        unopened: UnopenedKeys | None = None,
    ) -> None:
        self._row: Words = board.worker(brief.worker)
        self._share = Arena.attach(brief.arena, brief.worker)
        self._bell = Bell.attach(brief.bells[brief.worker])
        stage = brief.plan.stages[brief.plan.workers[brief.worker].stage]
        #: How it waits.
        self.waits = waits = ProcessWaits(
            self._row,
            self._bell,
            board.stopping(),
            self._share.pool,
            spins=stage.spin,
            crowded=brief.plan.processes > brief.plan.cores,
        )
        decoder = self._decoder = Decoder(self._share.views)
        self._encoder = Encoder(self._share.pool)

        ends = ChannelEnds(brief, board, self._share, waits, links)
        self.inbox: Inbox | None = make_inbox(
            brief.plan,
            brief.worker,
            channels,
            board,
            ends.receiver,
            lambda packet, private: decoder.decode(packet, private=private),
            lambda packet, private: decoder.salvage(packet, private=private),
            seal=None if sealing is None else sealing(self._share.views),
            show=decoder.shared if sealing is None else None,
            unopened=unopened,
        )
        self.outbox: Outbox = make_outbox(
            brief.plan,
            brief.worker,
            channels,
            board,
            ends.sender,
            self._encoder,
            waits.for_room,
        )
        waits.connect(self.inbox, self.outbox)
        self._share.pool.before_wait = self.outbox.flush_if_free
        others = others_at_work(brief.plan, board, brief.worker, self._share.is_pinched)
        self._share.pool.claims.others_at_work = lambda: others() or self.beside_at_work()
        #: Whether a process beside this one has an item in hand.
        self.beside_at_work: Callable[[], bool] = lambda: False
        self._linger = Linger(self.outbox)
        waits.in_second_thread = self._linger.is_me
        mailboxes = self.outbox.mailboxes()
        self._postman: Postman | None = None
        if mailboxes:
            self._postman = Postman(mailboxes, Bell.attach(brief.mail_bells[brief.worker]))

    def empty(self, shape: Any, dtype: Any) -> Any:
        """An array in this worker's own pool."""
        return self._share.pool.empty(shape, dtype)

    def begin(self, *, lingers: bool = True, guest: bool = False) -> None:
        """The loop begins.

        Args:
            lingers: It may be long at one item; else it flushes before it waits, all the time.
            guest: The process is not ours: how it keeps its memory is its own affair.
        """
        if "numpy" in sys.modules and not guest:
            keep_freed_memory()
        self.waits.shown.begin()
        if lingers:
            self._linger.start()
            self.outbox.may_keep(self.waits.for_moments)
        if self._postman is not None:
            self._postman.start()

    def encode(self, payloads: list[Any]) -> Packet:
        """Pickle items for a process beside this one."""
        return self._encoder.encode(payloads)

    @property
    def decoder(self) -> Decoder:
        """Makes items of what such a process has sent, and of what came."""
        return self._decoder

    def end(self) -> None:
        """Send the end of input everywhere, and let go of everything."""
        self._linger.stop()
        self.outbox.end()
        if self._postman is not None:
            self._row[BUSY_NS] += self.waits.shown.enter(State.WAITING_OUT, 0)
            self._postman.finish()
            self._row[WAIT_OUT_NS] += self.waits.shown.enter(State.BUSY, 0)
        self._row[BUSY_NS] += self.waits.shown.enter(State.DONE, 0)

    def end_letters(self) -> None:
        """The stage has failed: send what it gave up, and the end of that alone."""
        self._linger.stop()
        try:
            self.outbox.end_letters()
        except ChannelError:
            pass  # whose readers are gone has nobody left to tell

    def close(self) -> None:
        """Let go of everything, however it ended; what is in flight stays where it is."""
        self._linger.stop()
        self.outbox.close()
        if self.inbox is not None:
            self.inbox.close()
        self._share.close()

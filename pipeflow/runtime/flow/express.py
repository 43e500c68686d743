"""The express way of an output port: every item goes to one target, as a unit of its own.

    loop ──append──> run ──cut──> encoder ──> channels of the target

The loops that have it append to its run themselves (``room``, then an append for each item,
``send_if_idle`` now and then); whatever is more than that goes by ``put`` and ``add``.
The lock is the outbox's: it is between the loop's thread and the one that sends what a burst left
behind, and an append needs none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from pipeflow.errors import ItemNotSerializable, PipeflowError
from pipeflow.runtime.board import Words
from pipeflow.runtime.flow.pacing import LATE_S, LOOKS, worth_a_frame
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.flow.runs import Run
from pipeflow.runtime.flow.targets import Target
from pipeflow.runtime.flow.units import births
from pipeflow.runtime.messages import ItemId
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Pile, encode_settled, is_array

if TYPE_CHECKING:
    from pipeflow.runtime.flow.frame_size import FrameSize

#: So many frames with shared arrays fill an edge: in one, reader and writer would take turns.
FRAMES_AT_LEAST: Final = 2
#: Of the room that was last seen, this part is worth to be used before one looks again.
ENOUGH: Final = 4


class Encoder(Protocol):
    """Pickles items: see ``transports.codec``."""

    def encode(self, payloads: list[Any]) -> Packet:
        """A list of payloads that nobody changes any more."""
        ...

    def pile(self) -> Pile:
        """A packet to be made item by item."""
        ...

    def alone(self, array: Any) -> Packet | None:
        """A packet of one large array; ``None``: it is no such."""
        ...


class Pause(Protocol):
    """Waits for others on behalf of some targets."""

    def __call__(self, targets: Sequence[Target], rests: Iterator[float], /) -> None:
        """Wait so many seconds again and again, until there are no more, or something else ends it.

        It is all one wait: one that never ends is seen to be so.
        """
        ...


class Express:
    """One port's express way.

    Args:
        target: Where all items go.
        encoder: Pickles them.
        counter: The board's words, and the cell that counts what the port has emitted.
        lock: The outbox's.
        wait_for_room: Flushes everything, waits until one of the targets may have room, and raises
            if nobody needs the results any more. Called with the lock.
        reader_left: Raises if nobody needs the results any more. Called with the lock.
        batch_items: Most items in one frame.
        now: Seconds.

    Attributes:
        run: What waits to be sent.
        frames: How many were sent.
        least: Items that are worth a frame while a reader is idle: 1 where they come slowly.
        woken: Its one byte says that the second thread knows that something waits.
        takes_many: Several items may be put to its run at once.
        refused: What the second thread met when it sent; whoever comes next raises it.
    """

    takes_many = True

    def __init__(
        self,
        target: Target,
        *,
        encoder: Encoder,
        counter: tuple[Words, int],
        lock: threading.Lock,
        wait_for_room: Callable[[Sequence[Target]], None],
        reader_left: Callable[[], None],
        batch_items: int,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self.target = target
        self.run = Run()
        self.frames = 0
        self.least = 1
        self._began = self._waits_since = now()
        self._now = now
        self.woken = bytearray(1)
        self.refused: PipeflowError | None = None
        self.batch_items = self._most = batch_items
        self._encoder = encoder
        ends = [channel.sender for channel in target.channels]
        self._end = ends[0] if len(ends) == 1 else None
        self._size: FrameSize | None = None
        if self._end is not None and self._end.readers > 1:
            from pipeflow.runtime.flow.frame_size import FrameSize  # few stages have such readers

            self._size = FrameSize(self._end.taken, self._end.readers, now())
            self.batch_items = 1
        bounds = [channel.capacity_bytes for channel in target.channels]
        self._batch_bytes = min(bounds, default=0) // FRAMES_AT_LEAST
        self._hands_over = len(ends) == 1 and ends[0].hands_over
        #: Arrays may go past the run; others have one that notes more than theirs.
        one = self._end is not None and self._end.readers == 1
        self.passes_alone = type(self) is Express and one
        self._is_taken_singly = ends[0].is_taken_singly if one else bool
        self._encode = _handed if self._hands_over else encode_settled
        self._emitted, self._cell = counter
        self._lock = lock
        self._wait_for_room = wait_for_room
        self._reader_left = reader_left
        self._until = 0  # number of the unit for which there may be no room
        self._bytes_left = 0  # so many were left in the edge when it was last looked at
        self._enough = 1  # so much room need not be looked at again
        #: When the first item that waits came, or was about to; see ``Batch.born``.
        self.born = -1
        # The cells that count credits sent and taken: equal when the one reader is idle.
        self._words: Words | None = None
        self._sent = self._taken = 0
        if len(target.channels) == 1:
            cells = target.channels[0].sender.credit_cells()
            if cells is not None:
                self._words, self._sent, self._taken = cells
        #: Called when something waits to be sent, until it was.
        self.wake: Callable[[], None] = lambda: None

    # -- for the loops

    def room(self, prefix: ItemId, ordinal: int) -> int:
        """How many items may be appended now, whose ids go on from this one; never waits.

        With 0 one may be made all the same, and be passed to ``append``, which waits: a stage whose
        edge is full has its next result ready when there is room.

        Args:
            prefix: What their ids begin with.
            ordinal: The last part of the first; see ``Run.listed`` for the others.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        run = self.run
        with self._lock:
            if self.refused is not None:
                raise self.refused
            waiting = run.waiting
            if waiting >= self.batch_items:
                self.flush()
            run.begin(prefix, ordinal)
            if not waiting:  # as most often where items come slowly
                known = min(self._until - run.first, self.batch_items)
                if known >= self._enough:
                    return known
            return self._look()

    def list_ordinals(self) -> list[int]:
        """See ``Run.list_ordinals``."""
        with self._lock:
            return self.run.list_ordinals()

    def append(self, payload: Any, ordinal: int, *, wake: bool = True) -> None:
        """Append one item that nobody can change any more; waits for room.

        Args:
            payload: The item.
            ordinal: Last part of its id.
            wake: Let the second thread know; else ``send_if_idle`` follows before anything else.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        run = self.run
        with self._lock:
            if self.refused is not None or run.first + run.waiting >= self._until:
                self._await_room()
            if not run.waiting:
                self.born = next(births)
            run.append(payload, ordinal)
            if wake and not self.woken[0]:
                self.wake()

    def hold(self) -> int:
        """How many items to append before ``send_if_idle`` is called again, at least 1."""
        self._began = began = self._now()
        waiting, least = self.run.waiting, self.least
        if not waiting:
            self.born, self._waits_since = next(births), began
        return least - waiting if least > waiting else max(1, least // LOOKS)

    def send_if_idle(self, count: int, *, more: Callable[[], bool] | None = None) -> None:
        """Send what was appended if it is worth a frame and a reader has nothing left to do.

        What has waited for long is sent in any case.

        Args:
            count: Items since ``hold`` was called, by which is known how quickly they come.
            more: They were the last of a frame, and this says whether another has come. If not,
                nobody knows when more will, so any number is worth a frame.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        if self.refused is not None:
            raise self.refused
        now, waiting, enough = self._now(), self.run.waiting, self._worth(count, more)
        if waiting >= enough and (
            now - self._waits_since >= LATE_S or waiting >= self.batch_items or self.is_awaited()
        ):
            with self._lock:
                self.flush()
        elif waiting and not self.woken[0]:
            self.wake_up()

    def _worth(self, count: int, more: Callable[[], bool] | None) -> int:
        """How many items are worth a frame, after so many; see ``send_if_idle``."""
        before, rest = self.least, more is not None and not more()
        if not rest or before > 1:
            most = before if rest else self.batch_items // 2
            elapsed_s = self._now() - self._began
            self.least = worth_a_frame(count, elapsed_s, before=before, most=most)
        return 1 if rest else min(before, self.least)

    def wake_up(self) -> None:
        """Let the second thread know that something waits."""
        with self._lock:
            self.wake()

    def put(self, payload: Any, ordinal: int, *, settled: bool = False, wake: bool = True) -> None:
        """Append one item that may still be changed by its maker: it travels as it is now.

        Args:
            payload: The item.
            ordinal: Last part of its id.
            settled: See ``add``.
            wake: See ``append``.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
            ResultNotSerializable: It cannot be pickled.
        """
        with self._lock:
            if not self._pass_alone(payload, ordinal):
                self.add(payload, self.run.prefix, ordinal, settled=settled, wake=wake)

    def send_alone(self, array: Any, ordinal: int) -> bool:
        """Send a large array at once, past the run, if that may be; whether it was.

        It may if its reader has nothing left to do, or takes frames of one array each as quickly as
        those of several, which would be read later.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
            MemoryLimitReached: There is no room for it.
        """
        with self._lock:
            return self._pass_alone(array, ordinal)

    # -- with the lock

    def _pass_alone(self, payload: Any, ordinal: int) -> bool:
        """``send_alone`` for an item of any kind."""
        run, target = self.run, self.target
        if (
            run.payloads
            or not self.passes_alone
            or self.refused is not None
            or not is_array(payload)
            or not (self.is_awaited() or self._is_taken_singly())
            or (run.first >= self._until and self._look() <= 0)
        ):
            return False
        try:
            packet = self._encoder.alone(payload)
        except ItemNotSerializable as error:
            raise ResultNotSerializable((*run.prefix, ordinal), error) from error
        if packet is None:
            return False
        self.frames += 1
        self.born = born = next(births)
        meta = run.pass_by(ordinal)
        self._emitted[self._cell] += 1  # as in ``flush``
        self._bytes_left -= packet.shared_bytes
        if self._bytes_left <= 0:
            self._until = 0
        if target.send_run(meta, packet, 1, born=born):
            self._reader_left()
        return True

    def add(
        self,
        payload: Any,
        prefix: ItemId,
        ordinal: int,
        *,
        settled: bool = False,
        wake: bool = True,
        more: bool = False,
    ) -> None:
        """``put``, with an id that begins like this.

        Args:
            payload: The item.
            prefix: What its id begins with.
            ordinal: Last part of its id.
            settled: Nobody else has the item.
            wake: See ``append``.
            more: Others follow at once, so it leaves with them, though a reader is idle.
        """
        run = self.run
        waiting = run.waiting
        if self.refused is not None or run.first + waiting >= self._until:
            self._await_room()
            waiting = run.waiting
        if not waiting:
            self.born = next(births)
        run.begin(prefix, ordinal)
        try:
            run.add(payload, ordinal, self._encoder.pile, settled=settled)
        except ItemNotSerializable as error:
            raise ResultNotSerializable((*prefix, ordinal), error) from error
        waiting += 1
        pile = run.pile
        shared = 0 if pile is None else pile.shared_bytes
        if shared > self._bytes_left:
            self._until = 0  # there may be no room for more bytes
        if (
            waiting >= self.batch_items
            or shared >= self._batch_bytes
            or (pile is not None and pile.filled)
            or (not more and waiting >= self.least and self.is_awaited())
        ):
            self.flush()
        elif wake and not self.woken[0]:
            self.wake()

    def waits(self) -> bool:
        """Whether anything waits to be sent."""
        return bool(self.run.payloads)

    def oldest(self) -> int:
        """When the first item came of what waits; see ``Batch.born``."""
        return self.born

    def leave_gap(self) -> list[int]:
        """An item gave nothing; as ``list_ordinals``."""
        return self.list_ordinals()

    def may_keep(self, pause: Pause) -> None:
        """There is a second thread, which sends later what is better kept back for a while.

        Args:
            pause: See there. Called with the lock; what waits elsewhere leaves before.
        """

    def kept_for_s(self) -> float:
        """When to flush again what was kept back, in seconds; 0: nothing was."""
        return 0.0

    def flush_all(self) -> None:
        """Send what is there, and what was kept back."""
        self.flush()

    def wind_up(self) -> None:
        """Send what is there, and what was kept back when its time has come; waits for that."""
        self.flush()

    def flush(self) -> None:
        """Send what is there.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        run, target = self.run, self.target
        if not run.payloads:
            return
        self._size_frames()
        target.cost = 0
        self.frames += 1
        born = self.born  # once nothing waits, the loop begins anew
        meta, payloads, pile, plain = run.cut()
        count = len(payloads)
        # Counted before the bytes leave, so that no reader can outrun it.
        self._emitted[self._cell] += count
        if not target.channels:
            target.count(count)
            return
        if plain and pile is None and not self._hands_over:
            if target.send_plain(meta, payloads, born=born):
                self._reader_left()
            return
        packet = pile.packet() if pile is not None else self._encode(payloads, plain)
        if packet.shared_bytes:
            self._bytes_left -= packet.shared_bytes
            if self._bytes_left <= 0:
                self._until = 0  # its bytes may have filled the edge
        if target.send_run(meta, packet, count, born=born):
            self._reader_left()

    def _size_frames(self) -> None:
        """Let a frame hold what one of several readers does in a moment, so that each has some."""
        if self._size is not None:
            now, before = self._now(), self.batch_items
            self.batch_items = self._size.look(now, before=before, most=self._longest())

    def _longest(self) -> int:
        """How many items a frame may hold at most."""
        return self._most

    # -- for a compiled outlet

    def shared(self) -> tuple[Any, ...]:
        """What it does its work on; in the order that it knows (``types.h``)."""
        target = self.target
        (channel,) = target.channels
        return (
            *(self, self.run, self.run.payloads, self.woken, self._lock, births),
            *(self.batch_items, self._cell, self._emitted),
            *(target, target.channels, target.lost_rows, channel.row),
        )

    def is_timed_by(self, clock: Callable[[], float]) -> bool:
        """Whether this is the clock that it asks."""
        return self._now is clock

    def flush_now(self) -> None:
        """Take the lock, and ``flush``."""
        with self._lock:
            self.flush()

    def finish(self, send: Callable[[], None], nbytes: int) -> None:
        """Send what was taken off the run and counted; with the lock.

        Args:
            send: Does so.
            nbytes: Bytes of its pickle.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        if self.target.send_by(send, nbytes, born=self.born):
            self._reader_left()

    def _await_room(self) -> None:
        """Wait until one item more has room, in the edge and in the frame."""
        self._raise_refused()
        run, came = self.run, self._now()
        while run.first + run.waiting >= self._until:
            if run.waiting >= self.batch_items:
                self.flush()
            elif self._look() <= 0:
                self._wait()
        self._began += self._now() - came  # that says nothing of how quickly items come

    def _wait(self) -> None:
        """Wait for room; there may be none then."""
        self._wait_for_room(self._wanted())

    def is_awaited(self) -> bool:
        """Whether a reader has nothing left to do."""
        words = self._words
        return self.target.idle() if words is None else words[self._taken] >= words[self._sent]

    def _wanted(self) -> Sequence[Target]:
        """Those of which one must have room."""
        return (self.target,)

    def _raise_refused(self) -> None:
        if self.refused is not None:
            raise self.refused

    def _look(self) -> int:
        """How many items have room now; never waits."""
        run, target = self.run, self.target
        target.cost = waiting = run.waiting
        known = min(self._until - run.first, self.batch_items) - waiting
        if known >= self._enough:
            return known
        free = max(0, min(target.look(run.shared_bytes), self.batch_items - waiting))
        self._until = run.first + waiting + free
        self._enough = max(1, free // ENOUGH)
        if self._end is not None:
            self._bytes_left = self._end.bytes_left()
        return free


def _handed(payloads: list[Any], _plain: bool) -> Packet:
    """A packet for the one reader, in this process, of what nobody else holds or can change."""
    return Packet(pickled=b"", buffers=(), items=len(payloads), handed=payloads)

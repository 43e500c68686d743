"""The outbox: the writing side of a worker, from results to frames.

    results ──> port ──> placing ──> batch ──┐
                  └────> express ──> run ────┴──> encoder ──> senders

It numbers the units, keeps to the readers' credit, and decides when a batch leaves: at once when a
reader has caught up, else when it is full, has waited a millisecond, or before anything is waited
for. A second thread sends what a quick burst left behind when the user's code then takes its time;
the lock is between these two and nobody else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pipeflow.errors import PipeflowError
from pipeflow.planner.plan import Numbering
from pipeflow.runtime.board import Words
from pipeflow.runtime.flow.express import Encoder, Express, Pause
from pipeflow.runtime.flow.flushes import Flushes
from pipeflow.runtime.flow.joins import ends_around
from pipeflow.runtime.flow.keeping import Keeping
from pipeflow.runtime.flow.outlets import Outlets, end_target
from pipeflow.runtime.flow.placing import Placing
from pipeflow.runtime.flow.ports import OutPort, Place
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.targets import BATCH_ITEMS, Target
from pipeflow.runtime.flow.ways import Ways
from pipeflow.runtime.messages import ItemId
from pipeflow.spec.ports import ERRORS
from pipeflow.transports.base import Sender

if TYPE_CHECKING:
    from pipeflow.runtime.flow.mailbox import Mailbox


class Outbox:
    """The outputs of one worker.

    Args:
        ports: Its output ports that are read, by name.
        numbering: Where the units of results come from.
        encoder: Pickles the items.
        wait_for_room: Waits until one of these targets may have room, or a moment.
        counters: The board's words, and for each port the cell that counts what was emitted.
        batch_items: Most items in one frame.
        now: Seconds, for the linger.
    """

    def __init__(
        self,
        ports: Mapping[str, OutPort],
        *,
        numbering: Numbering,
        encoder: Encoder,
        wait_for_room: Callable[[Sequence[Target]], None],
        counters: tuple[Words, Mapping[str, int]],
        batch_items: int = BATCH_ITEMS,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self._ports = ports
        self._numbering = numbering
        self._wait_for_room = wait_for_room
        self._words, self._cells = counters
        self._outlets = Outlets(ports)
        self._placing = Placing(
            self._outlets,
            encoder=encoder,
            wait_for_room=wait_for_room,
            flush=lambda: self._flushes.flush_all(),
            wake=self._wake_once,
            batch_items=batch_items,
            now=now,
        )
        self._units = 0
        self._refused: PipeflowError | None = None
        self._woken = False
        #: Called when something waits to be sent, once until ``flush_old``.
        self.wake: Callable[[], None] = lambda: None
        self.lock = threading.Lock()
        self._ways = Ways(
            encoder=encoder,
            words=self._words,
            cells=self._cells.__getitem__,
            lock=self.lock,
            wait_for_room=self._wait_for_express,
            reader_left=self._outlets.raise_if_unread,
            batch_items=batch_items,
            wake=self._wake_once,
        )
        self._flushes = Flushes(self._ways, self._outlets, self._placing.send)
        for target in self._outlets.targets:
            for channel in target.channels:
                channel.sender.before_wait = partial(self._flushes.send_older, target)
        self._seen = self._sent_so_far()
        alone = len(ports) == 1  # no other port has to hear of its units
        if numbering is Numbering.PER_PORT or (numbering is Numbering.PER_STAGE and alone):
            for port in ports.values():
                self._ways.open(port)
        elif numbering is Numbering.KEEP:
            for port in ports.values():
                self._ways.open_keeping(port, self._placing.send)
        self._all_keep = all(port.keeping is not None for port in ports.values())

    # ------------------------------------------------------------------ results

    def express(self, port_name: str) -> Express | None:
        """The short way of a port, for a loop that appends itself; ``None``: there is none."""
        port = self._ports.get(port_name)
        return None if port is None else port.express

    def express_at(self, port_name: str, lane: int, unit: int) -> Keeping | None:
        """The same where units are kept, for a row that begins with this one.

        There is none if other ports have to hear where units end.
        """
        port = self._ports.get(port_name) if len(self._ports) == 1 else None
        return None if port is None or not port.keeps(lane, unit) else port.keeping

    def may_keep(self, pause: Pause) -> None:
        """There is a second thread; see ``Express.may_keep``."""
        self._ways.may_keep(pause, self._flushes.flush_all_but)

    def needs_ends(self) -> bool:
        """Whether anybody is told where kept units end."""
        return bool(self._ports)

    def is_read(self, port_name: str) -> bool:
        """Whether anybody reads a port, or did."""
        return port_name in self._ports

    def has_only(self, port_name: str) -> bool:
        """Whether no other port is read."""
        return self._ports.keys() <= {port_name}

    def unread(self, port_name: str) -> tuple[Words, int] | None:
        """The board's words, and the cell that counts what was given to a port, if it has it."""
        cell = self._cells.get(port_name)
        return None if cell is None else (self._words, cell)

    def count_unread(self, port_name: str, count: int) -> None:
        """So many results were given to a port that nobody reads."""
        self._words[self._cells[port_name]] += count

    def emit(
        self,
        port_name: str,
        payload: Any,
        item: ItemId,
        lane: int,
        unit: int,
        *,
        settled: bool = False,
        more: bool = False,
    ) -> None:
        """Send one result; waits while its edges are full.

        Args:
            port_name: Where it goes.
            payload: The result.
            item: Its id.
            lane: Lane of the unit of the item that it comes from.
            unit: That unit.
            settled: Nobody else has it, so it need not be pickled at once.
            more: Others follow at once, with which it may leave.

        Raises:
            ReadersGone: Nobody needs any more results of this stage; a dead letter leaves then all
                the same, and who comes next is told.
            ResultNotSerializable: A result, this one or one before it, cannot be pickled.
        """
        with self.lock:
            if self._refused is not None:
                raise self._refused
            port = self._ports.get(port_name)
            self._outlets.at_letter = port_name == ERRORS
            try:
                if port is not None and port.express is not None:
                    port.express.add(payload, item[:-1], item[-1], settled=settled, more=more)
                    return
                if port is not None:
                    self._emit_to(port, payload, Place(lane, unit, item))
            finally:
                self._outlets.at_letter = False
            self._words[self._cells[port_name]] += 1

    def emit_whole(
        self,
        port_name: str,
        payload: Any,
        item: ItemId,
        lane: int,
        unit: int,
        *,
        over: tuple[int, int] | None = None,
        settled: bool = False,
        more: bool = False,
    ) -> None:
        """Send one result that is all there is of its unit; see ``emit``.

        It is also all there is of those around it that are ``over`` by it, from one up to another.
        """
        first, end = over = (unit, unit + 1) if over is None else over
        port = self._ports.get(port_name)
        told, gone = "", None
        try:
            if port is not None and self._all_keep and port.keeps(lane, unit):
                assert port.keeping is not None
                told, keeping = port_name, port.keeping
                with self.lock:
                    keeping.add_at(payload, item, unit, over=over, settled=settled, more=more)
                if len(self._ports) == 1:
                    return
            else:
                before, first = first, unit
                if before < unit:
                    self.end_unit(lane, before, unit - before, free=True)
                self.emit(port_name, payload, item, lane, unit, settled=settled)
        except ReadersGone as error:
            gone = error
        for _, begin, span, free in ends_around(lane, unit, (first, end)):
            try:
                only = gone is not None
                self.end_unit(lane, begin, span, free=free, letters_only=only, but=told)
            except ReadersGone as error:
                gone = error
        if gone is not None:
            raise gone

    def end_unit(
        self,
        lane: int,
        unit: int,
        span: int,
        *,
        free: bool,
        letters_only: bool = False,
        but: str = "",
    ) -> None:
        """A unit of the input is complete; with ``KEEP`` so is what it gave.

        Dead letters come first: they have a reader of their own, who waits for the unit whether
        anybody needs the results or not.

        Args:
            lane: Lane of the unit.
            unit: The first.
            span: How many there are.
            free: See ``UnitEnd``.
            letters_only: Only who reads dead letters is told.
            but: A port that is not told.

        Raises:
            ReadersGone: Nobody does.
        """
        if self._numbering is not Numbering.KEEP:
            return
        with self.lock:
            letters = self._ports.get(ERRORS)
            if letters is not None:
                self._end_quietly(letters, lane, unit, span, free=free)
            for port in self._ports.values() if not letters_only else ():
                if port is not letters and port.name != but:
                    self._end_units(port, lane, unit, span, free=free)
            if not letters_only:
                self._see_letters()

    def flush(self) -> None:
        """Send all that waits. Called before every wait."""
        if not self._ports:
            return
        with self.lock:
            if self._refused is not None:
                raise self._refused
            self._flushes.flush()
            self._see_letters()

    def flush_quietly(self) -> None:
        """Send all that waits, whoever is gone: what that means is found out by the loop."""
        with self.lock:
            self._flushes.flush(quiet=True)

    def flush_if_free(self) -> None:
        """Send all that waits, unless something is being sent just now; raises nothing."""
        if self.lock.acquire(blocking=False):
            try:
                self._flushes.flush(quiet=True)
            finally:
                self.lock.release()

    def flush_old(self, *, patient: bool = False) -> bool:
        """Send what has waited since ``wake`` was called; for the second thread.

        Args:
            patient: Leave it while frames are being sent all the time: a moment more is cheaper
                then than to get in the way.

        Returns:
            Whether nothing is left to come back for; see ``kept_for_s``.
        """
        with self.lock:
            sent = self._sent_so_far()
            if patient and sent != self._seen:
                self._seen = sent
                return False
            self._note_woken(woken=False)
            self._flushes.flush()
            keeps = self._ways.kept_for_s() > 0
            self._note_woken(woken=keeps)  # who comes back for that need not be called
            return not keeps

    def kept_for_s(self) -> float:
        """When to flush again what was kept back, in seconds; 0: nothing was."""
        return self._ways.kept_for_s()

    def refuse(self, error: PipeflowError) -> None:
        """The second thread could not send: whoever sends next, or ends, raises what it met."""
        self._refused = error
        self._ways.refuse(error)

    # ---------------------------------------------------------------------- end

    def barrier(self, checkpoint: int) -> None:
        """Forward a barrier behind all that came before it."""
        with self.lock:
            self._flushes.flush_all()
            self._outlets.barrier(checkpoint.to_bytes(8, "little"))

    def end_letters(self) -> None:
        """The stage has failed: what it gave up comes to its readers all the same, and the end."""
        port = self._ports.get(ERRORS)
        if port is None:
            return
        with self.lock:
            self._flushes.flush_all(quiet=True)
            for spread in port.spreads:
                for target in spread.targets:
                    end_target(target)

    def end(self) -> None:
        """Send the end of input behind the last item, on every channel but the mailboxes'.

        Raises:
            PipeflowError: The second thread could not send what came before.
        """
        with self.lock:
            if self._refused is not None and not isinstance(self._refused, ReadersGone):
                raise self._refused
            self._flushes.flush(quiet=True)
            self._ways.wind_up()
            self._outlets.end()

    def close(self) -> None:
        """Close every channel, ended or not."""
        self._outlets.close()

    def mailboxes(self) -> Sequence[Mailbox]:
        """All of them; a thread serves them, see ``runtime.worker``."""
        return self._outlets.mailboxes

    def open_ends(self) -> int:
        """How many channels still have a reader."""
        return self._outlets.open_ends()

    def watched(self) -> list[int]:
        """Descriptors that poll as ``POLLERR`` when a reader has closed."""
        return self._outlets.watched()

    def check_readers(self, gone: frozenset[int]) -> None:
        """Drop the channels of these descriptors, whose readers have closed.

        Raises:
            ReadersGone: It was the last one.
        """
        with self.lock:
            self._outlets.lose_readers(gone)

    def lose(self, senders: Sequence[Sender]) -> None:
        """The same for ends that have no descriptor.

        Raises:
            ReadersGone: It was the last one.
        """
        with self.lock:
            self._outlets.lose(senders)

    # ------------------------------------------------------------------ in here

    def _flush_keeping(self, port: OutPort) -> None:
        """What went the short way before must leave before something goes the longer one."""
        if port.keeping is not None:
            port.keeping.flush()

    def _wait_for_express(self, targets: Sequence[Target]) -> None:
        if self._refused is not None:
            raise self._refused
        self._flushes.flush_all()
        if all(target.look() <= 0 for target in targets):
            self._wait_for_room(targets)
        self._outlets.raise_if_unread()

    def _see_letters(self) -> None:
        """Of letters that decide no single one tells that nobody needs more: it is seen here."""
        letters = self._ports.get(ERRORS)
        if letters is not None and letters.needed and letters.closed():
            self._outlets.raise_if_unread()

    def _emit_to(self, port: OutPort, payload: Any, place: Place) -> None:
        """Send a result the longer way, as or in the unit where it belongs."""
        if self._numbering is Numbering.KEEP:
            if port.keeping is not None:
                port.keeping.give_way()
            self._flush_keeping(port)
            self._placing.emit(port, payload, place, whole=False)
        elif self._numbering is Numbering.PER_PORT:
            port.units += 1
            self._emit_unit(port, payload, Place(0, port.units - 1, place.item))
        else:
            self._units += 1
            for other in self._ports.values():
                if other is not port:
                    self._end_quietly(other, 0, self._units - 1, 1, free=True)
            self._emit_unit(port, payload, Place(0, self._units - 1, place.item))

    def _emit_unit(self, port: OutPort, payload: Any, place: Place) -> None:
        """Send a result as a unit of its own; one that cannot be sent leaves it empty, no gap."""
        try:
            self._placing.emit(port, payload, place, whole=True)
        except ReadersGone:
            raise
        except Exception:  # the user's: of its key, or of how it is pickled; nobody has got it
            self._end_quietly(port, place.lane, place.unit, 1, free=True)
            raise

    def _end_quietly(self, port: OutPort, lane: int, unit: int, span: int, *, free: bool) -> None:
        """The same as ``_end_units``, whether anybody needs the results or not."""
        before, self._outlets.at_letter = self._outlets.at_letter, True
        try:
            self._end_units(port, lane, unit, span, free=free)
        finally:
            self._outlets.at_letter = before

    def _end_units(self, port: OutPort, lane: int, unit: int, span: int, *, free: bool) -> None:
        keeping = port.keeping
        if keeping is not None and not lane:
            if keeping.leads:
                keeping.end_at(unit, span, free=free)
                return
            keeping.note_end()
        for number in range(unit, unit + span):
            self._placing.end_unit(port, lane, number, free=free)

    def _wake_once(self) -> None:
        """Let the second thread know that something waits."""
        if not self._woken:
            self._note_woken(woken=True)
            self._seen = self._sent_so_far()
            self.wake()

    def _note_woken(self, *, woken: bool) -> None:
        self._woken = woken
        self._ways.note_woken(woken=woken)

    def _sent_so_far(self) -> tuple[float, int]:
        """Something that changes with each frame."""
        return self._placing.flushed_at, self._ways.frames()

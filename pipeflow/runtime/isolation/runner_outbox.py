"""What a runner's loop writes: an outbox that speaks to the keeper. See ``runner_inbox``.

What was done before is told before the next order is taken in hand, and with each result of an item
that gives many: so the keeper knows all that is done, and only the item in hand is lost with us.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from pipeflow.errors import ItemNotSerializable
from pipeflow.runtime.flow.refused import ReadersGone, ResultNotSerializable
from pipeflow.runtime.isolation.ahead import Ahead
from pipeflow.runtime.isolation.link import Cell, Link
from pipeflow.runtime.isolation.messages import (
    COUNTS,
    Act,
    Emitted,
    Ended,
    LoneFailed,
    Quiet,
    Record,
    Results,
    Told,
    Unread,
    bare,
    pack_quick,
    pack_record,
)
from pipeflow.runtime.messages import ItemId, Logged, WorkerReport
from pipeflow.spec.ports import ERRORS, OUT
from pipeflow.stages.context import StageContext
from pipeflow.transports.codec import Encoder, Pile
from pipeflow.transports.slots import SlotPool

#: How long a runner waits for room before it looks again, should a bell have been missed, in ms.
_LOOK_MS: Final = 100
# Plain numbers: to look a member of an enum up takes longer than to read its cell.
_KEEPER_SLEEPS, _QUIET, _TAKEN = map(int, (Cell.KEEPER_SLEEPS, Cell.QUIET, Cell.TAKEN))
#: Number of a record that is not written yet: no number that is ever confirmed.
_NOT_WRITTEN: Final = sys.maxsize


class RunnerOutbox:
    """The outputs of a stage, as its runner sees them.

    Args:
        link: To the keeper.
        read: Output ports that anybody reads.
        keys: Of some ports the keys by which their items spread: the keeper asks for them once
            more, but then it is too late for the item to fail.
        context: The stage's, for its metrics.
        pool: Where the arrays of results go.
        log_level: Least level of log lines that are sent.
        ahead: How far it may run ahead of what the keeper has sent on.
    """

    def __init__(
        self,
        link: Link,
        *,
        read: Iterable[str],
        keys: Mapping[str, Sequence[Callable[[Any], object]]],
        context: StageContext,
        pool: SlotPool,
        log_level: str,
        ahead: Ahead,
    ) -> None:
        self._link, self._ring = link, link.writer()
        self._read, self._context, self._least = frozenset(read), context, log_level
        self._keys, self._quick_keys = keys, keys.get(OUT, ())
        self._ahead, self._told = ahead, 0
        self._pid = os.getpid()
        self._pool, self._encoder = pool, Encoder(pool)
        self._acts: list[Act] = []
        self._pile: Pile | None = None
        self._counts: tuple[int, ...] = ()
        self._metrics: dict[str, float] = {}
        self._quick = self._nothing = 0  # told quickly since the last counts; what was quiet then
        self._records = self._quiet = 0
        self._keep: deque[tuple[int, tuple[object, ...]]] = deque()
        # The author's threads may write to the log; so may a finalizer, wherever this thread is.
        self._lock = threading.RLock()
        self._writing = False
        self._waiting: deque[bytes] = deque()
        pool.watch(self)

    # -- what the loop asks for

    def express(self, _port: str) -> None:
        """There is no short way."""
        return

    def is_read(self, port: str) -> bool:
        """Whether anybody reads a port."""
        return port in self._read

    def count_unread(self, port: str, count: int) -> None:
        """So many results were given to a port that nobody reads."""
        self._acts += [Unread(port)] * count

    def emit(self, port: str, payload: Any, item: ItemId, lane: int, unit: int) -> None:
        """Take one result; it is pickled at once.

        Raises:
            ReadersGone: Nobody needs it any more.
            ResultNotSerializable: It cannot be pickled.
        """
        if self._link.cells[Cell.LEAVE] and port != ERRORS:  # a letter has a reader of its own
            raise ReadersGone
        if port not in self._read:
            self._acts.append(Unread(port))
            return
        for key in self._keys.get(port, ()):
            key(payload)
        pile = self._pile
        if pile is None:
            pile = self._pile = self._encoder.pile()
        try:
            pile.add(payload)
        except ItemNotSerializable as error:
            raise ResultNotSerializable(item, error) from error
        self._acts.append(Emitted(port, item, lane, unit))

    def end_unit(self, lane: int, unit: int, span: int, *, free: bool) -> None:
        """A unit is complete."""
        self._acts.append(Ended(lane, unit, span, free))

    def fail_lone(self) -> None:
        """What has no partner could not be loaded: it goes on as a call that fails."""
        self._acts.append(LoneFailed())

    def flush(self) -> None:
        """Tell the keeper all that was done."""
        counts, metrics = tuple([self._link.row[cell] for cell in COUNTS]), self._context.metrics
        changed = dict(metrics) if metrics and metrics != self._metrics else None
        if not self._acts and changed is None and counts == self._known_counts():
            return
        packet, acts = None, tuple(self._acts)
        results = sum([type(act) is Emitted for act in acts])
        with self._lock:
            if self._pile is not None and results:
                packet = self._pile.packet()
                # Until it is written nobody knows which record it will be.
                self._keep.append((_NOT_WRITTEN, packet.keep))
                packet = bare(packet)
            self._write(pack_record(Results(counts, acts, packet, changed)))
            if packet is not None:
                self._keep[-1] = (self._records, self._keep[-1][1])
        self._acts.clear()
        self._pile, self._counts = None, counts
        self._quick, self._nothing = 0, self._link.cells[Cell.QUIET]
        if changed is not None:
            self._metrics = changed
        if results:
            self._await_taken(results, packet.shared_bytes if packet is not None else 0)
        self.settle()

    def _known_counts(self) -> tuple[int, ...]:
        """The counts as the keeper has them, by what was told and by what it counts itself."""
        if not self._counts:
            return ()
        processed, empty, *others = self._counts
        nothing = self._link.cells[Cell.QUIET] - self._nothing
        return (processed + self._quick + nothing, empty + nothing, *others)

    def put_nothing(self) -> None:
        """Tell that the call in hand, of one item, is done, and gave nothing.

        Only when all before it was told.
        """
        self._link.cells[Cell.QUIET] += 1
        self._ring_if_asleep()

    def put_quick(self, result: Any) -> bool:
        """Tell that the call in hand, of one item, is done, and gave this.

        Only when all before it was told.

        Returns:
            Whether it could be pickled, and has the keys it needs; if not, nothing was told.
        """
        try:
            for key in self._quick_keys:
                key(result)
            data = pack_quick(result)
        except BaseException:  # the user's own objects: who sends them otherwise says what is wrong
            return False
        with self._lock:
            self._write(data)
        self._quick += 1
        self._told += 1
        if self._link.cells[_TAKEN] < self._told - self._ahead.items:
            self._await_taken(0, 0)
        return True

    def tell(self, report: WorkerReport) -> None:
        """Have the keeper tell the supervisor something."""
        self.put(Told(report))

    def log(self, level: str, text: str) -> None:
        """Send a line of the log, if its level is asked for."""
        line = Logged(level, text)
        if not line.is_worth(self._least):
            return
        if os.getpid() == self._pid:
            self.tell(line)
        else:  # a fork of the user's: the ring has one writer
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def put(self, record: Record) -> None:
        """Send a record by itself."""
        with self._lock:
            self._write(pack_record(record))

    def _write(self, data: bytes) -> None:
        """Write a record; what a finalizer has to say in the middle of it comes after it."""
        cells = self._link.cells
        quiet = cells[_QUIET]
        if quiet != self._quiet:
            self._quiet = quiet
            self._waiting.append(pack_record(Quiet(quiet)))
        self._waiting.append(data)
        if self._writing:
            return
        self._writing = True
        try:
            while self._waiting:
                self._records += 1
                done = self._ring.begin(self._waiting.popleft())
                if cells[_KEEPER_SLEEPS]:
                    self._ring_if_asleep()
                if not done:
                    self._write_rest()
        finally:
            self._writing = False

    def _write_rest(self) -> None:
        while True:
            self._await_room()
            done = self._ring.go_on()
            self._ring_if_asleep()
            if done:
                return

    def _ring_if_asleep(self) -> None:
        if self._link.cells[Cell.KEEPER_SLEEPS]:
            self._link.keeper_bell.ring()

    def _await_room(self) -> None:
        self._sleep_unless(self._ring.has_room)

    def _await_taken(self, results: int, shared_bytes: int) -> None:
        """Wait until no more of what was told waits for the keeper to send it on than may."""
        cells = self._link.cells
        self._told += results
        enough = self._told - self._ahead.results(results, shared_bytes)
        while cells[Cell.TAKEN] < enough and not cells[Cell.LEAVE]:
            self._sleep_unless(lambda: cells[Cell.TAKEN] >= enough or cells[Cell.LEAVE])

    def _sleep_unless(self, ready: Callable[[], object]) -> None:
        """Sleep until the keeper rings, or a moment; what is waited for is not the item's time."""
        link = self._link
        link.stop_clock()
        link.cells[Cell.RUNNER_SLEEPS] = 1
        if not ready():
            poll = select.poll()
            poll.register(link.runner_bell.fileno(), select.POLLIN)
            poll.poll(_LOOK_MS)
        link.cells[Cell.RUNNER_SLEEPS] = 0
        link.runner_bell.clear()
        link.go_on_clock()
        self._pool.tidy()  # what others wait for may be what lets the keeper go on

    # -- what the pool asks for

    def settle(self) -> None:
        """Let go of arrays that the keeper holds by now."""
        confirmed = self._link.cells[Cell.CONFIRMED]
        while self._keep and self._keep[0][0] <= confirmed:
            self._keep.popleft()

    def kept(self) -> Iterable[object]:
        """What the keeper may not hold yet."""
        return [each for _, keep in self._keep for each in keep]

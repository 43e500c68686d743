"""What a runner's loop reads and writes: an inbox and an outbox that speak to the keeper.

What was done before is told before the next order is taken in hand, and with each result of an item
that gives many: so the keeper knows all that is done, and only the item in hand is lost with us.
"""

from __future__ import annotations

import itertools
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, assert_never

from pipeflow.errors import ItemNotSerializable
from pipeflow.runtime.flow.joins import Call, Calls, Lone, Origin, UnitEnd, Unjoinable
from pipeflow.runtime.flow.refused import ReadersGone, ResultNotSerializable
from pipeflow.runtime.flow.unloaded import told_of, without_unloadable
from pipeflow.runtime.isolation.ahead import Ahead
from pipeflow.runtime.isolation.link import Cell, Link
from pipeflow.runtime.isolation.messages import (
    COUNTS,
    Act,
    CallOrder,
    Emitted,
    Ended,
    EndOrder,
    FailedOrder,
    LoneOrder,
    OrderParser,
    Orders,
    Place,
    Record,
    Results,
    RowOrder,
    Told,
    UnitOrder,
    Unread,
    bare,
    pack_quick,
    pack_record,
)
from pipeflow.runtime.isolation.opening import Frames
from pipeflow.runtime.messages import EndOfInput, ItemId, Logged, WorkerReport
from pipeflow.stages.context import StageContext
from pipeflow.transports.codec import Decoder, Encoder, Pile
from pipeflow.transports.slots import SlotPool
from pipeflow.transports.waiting import Poll

_READ_BYTES: Final = 1 << 18
#: How long a runner waits for room before it looks again, should a bell have been missed, in ms.
_LOOK_MS: Final = 100
#: Number of a record that is not written yet: no number that is ever confirmed.
_NOT_WRITTEN: Final = sys.maxsize
#: Stands for where an item came from: that is the keeper's to know.
_NOWHERE: Final = Origin(0, 0, None)
#: What stands for items that are not loaded yet.
_ORDERS: Final = frozenset({CallOrder, RowOrder, FailedOrder})


class RunnerOutbox:
    """The outputs of a stage, as its runner sees them.

    Args:
        link: To the keeper.
        read: Output ports that anybody reads.
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
        context: StageContext,
        pool: SlotPool,
        log_level: str,
        ahead: Ahead,
    ) -> None:
        self._link, self._ring = link, link.writer()
        self._read, self._context, self._least = frozenset(read), context, log_level
        self._ahead, self._told = ahead, 0
        self._pid = os.getpid()
        self._encoder = Encoder(pool)
        self._acts: list[Act] = []
        self._pile: Pile | None = None
        self._counts: tuple[int, ...] = ()
        self._metrics: dict[str, float] = {}
        self._records = 0
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
        if self._link.cells[Cell.LEAVE]:
            raise ReadersGone
        if port not in self._read:
            self._acts.append(Unread(port))
            return
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

    def flush(self) -> None:
        """Tell the keeper all that was done."""
        counts = tuple([self._link.row[cell] for cell in COUNTS])
        if not self._acts and counts == self._counts:
            return
        metrics = self._context.metrics
        changed = dict(metrics) if metrics and metrics != self._metrics else None
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
        if changed is not None:
            self._metrics = changed
        if results:
            self._await_taken(results, packet.shared_bytes if packet is not None else 0)
        self.settle()

    def put_quick(self, result: Any) -> bool:
        """Tell that the call in hand, of one item, is done, and gave this, or nothing.

        Only when all before it was told.

        Returns:
            Whether it could be pickled; if not, nothing was told.
        """
        try:
            data = pack_quick(result)
        except BaseException:  # the user's own objects: who sends them otherwise says what is wrong
            return False
        with self._lock:
            self._write(data)
        if result is not None:
            self._await_taken(1, 0)
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
        self._waiting.append(data)
        if self._writing:
            return
        self._writing = True
        try:
            while self._waiting:
                self._records += 1
                done = self._ring.begin(self._waiting.popleft())
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

    # -- what the pool asks for

    def settle(self) -> None:
        """Let go of arrays that the keeper holds by now."""
        confirmed = self._link.cells[Cell.CONFIRMED]
        while self._keep and self._keep[0][0] <= confirmed:
            self._keep.popleft()

    def kept(self) -> Iterable[object]:
        """What the keeper may not hold yet."""
        return [each for _, keep in self._keep for each in keep]


class RunnerInbox:
    """The inputs of a stage, as its runner sees them.

    Args:
        link: To the keeper.
        decoder: Makes items of packets.
        before: Called before an order is taken in hand.
    """

    def __init__(self, link: Link, decoder: Decoder, before: Callable[[], None]) -> None:
        self._link, self._decoder, self._before = link, decoder, before
        self._frames = Frames(link, decoder)
        self._parser = OrderParser()
        self._ready: deque[tuple[Any, int, bool]] = deque()
        #: How often the last call that was taken was tried before.
        self.tried = 0
        #: It goes to the user's function by itself.
        self.alone = False
        #: Makes what is waited on: the stage's own tasks may go on meanwhile.
        self.poll: Callable[[], Poll] = select.poll
        #: Rows are handed out whole; who takes one says of each call that it begins.
        self.in_rows = False
        #: The end of input was handed out.
        self.ended = False

    def take(self) -> Call | Calls | Lone | Unjoinable | UnitEnd | EndOfInput | None:
        """The next message, as ``flow.inbox.Inbox`` gives them.

        Raises:
            ReadersGone: The keeper needs no more.
        """
        self._before()
        if self._link.cells[Cell.LEAVE]:
            raise ReadersGone
        if not self._ready and not self._receive():
            return None
        message, self.tried, self.alone = self._ready.popleft()
        if type(message) in _ORDERS:
            message = self._open(message, message.place)
        self.ended = type(message) is EndOfInput
        return message  # type: ignore[no-any-return]  # one of the six

    def delivered(self, _call: Call) -> None:
        """A call begins; the keeper counts it."""
        self._link.begin()

    def hold(self, call: Call, _size: int) -> Call:
        """The keeper has seen to the credit."""
        return call

    def unmatched(self, lone: Lone) -> None:
        """The keeper counts it."""

    def no_more_calls(self) -> bool:
        """What has no partner comes as such."""
        return False

    def settle(self) -> None:
        """Another try begins: each has the whole time to itself."""
        self._link.start_clock()

    def close(self) -> None:
        """Nothing here is ours to close."""

    def await_orders(self, timeout_s: float | None = None) -> None:
        """Wait until there is something to do, the keeper needs no more, or the time is up."""
        link = self._link
        if self._ready or link.cells[Cell.LEAVE]:
            return
        poll = self.poll()
        poll.register(link.orders_r, select.POLLIN)
        poll.register(link.runner_bell.fileno(), select.POLLIN)
        poll.poll(None if timeout_s is None else timeout_s * 1000)
        link.runner_bell.clear()

    def _receive(self) -> bool:
        """Read what there is; whether there is anything to do."""
        while not self._ready:
            try:
                data = os.read(self._link.orders_r, _READ_BYTES)
            except BlockingIOError:
                return False
            if not data:
                raise ReadersGone  # the keeper is gone: the kernel ends us in a moment
            for orders in self._parser.feed(data):
                self._ready.extend(self._messages(orders))
        return True

    def _open(self, order: CallOrder | RowOrder | FailedOrder, place: Place) -> Any:
        """Load the items of an order that lie in a frame; what comes next of it."""
        count = len(order.ordinals) if type(order) is RowOrder else 1
        payloads = self._frames.take(place, count)
        match order:
            case RowOrder(prefix, ordinals, lane, unit):
                row = Calls(prefix, ordinals, payloads, lane, unit, _NOWHERE)
                first, *rest = self._parts_of(row)
                self._ready.extendleft([(each, 0, False) for each in reversed(rest)])
                return first
            case CallOrder(item, lane, unit, items):
                call = Call(payloads[0], item, lane, unit, (_NOWHERE,) * items)
                return told_of(call) or call
            case FailedOrder(item, lane, unit, failure, items):
                return Unjoinable(Call(None, item, lane, unit, (_NOWHERE,) * items), failure)
            case _:
                assert_never(order)

    def _parts_of(self, row: Calls) -> list[Any]:
        """A row as it is handed out: whole, in pieces, or call by call."""
        whole: list[Any] = list(without_unloadable(row))
        if self.in_rows:
            return whole
        return [
            single
            for each in whole
            for single in (
                [each.single(at) for at in range(len(each.payloads))]
                if type(each) is Calls
                else [each]
            )
        ]

    def _messages(self, orders: Orders) -> Iterable[tuple[Any, int, bool]]:
        for frame in orders.frames:
            self._frames.add(frame, private=orders.private)
        payloads: Sequence[Any] = ()
        if orders.packet is not None:
            payloads = self._decoder.decode(orders.packet, private=orders.private)
        coming = iter(payloads)
        for order in orders.orders:
            match order:
                case CallOrder() if order.place is not None:
                    yield order, order.tried, order.alone
                case RowOrder() | FailedOrder() if order.place is not None:
                    yield order, 0, False
                case CallOrder(item, lane, unit, items, tried, alone):
                    yield Call(next(coming), item, lane, unit, (_NOWHERE,) * items), tried, alone
                case RowOrder(prefix, ordinals, lane, unit):
                    row = Calls(
                        prefix,
                        ordinals,
                        list(itertools.islice(coming, len(ordinals))),
                        lane,
                        unit,
                        _NOWHERE,
                    )
                    if self.in_rows:
                        yield row, 0, False
                    else:
                        yield from ((row.single(at), 0, False) for at in range(len(ordinals)))
                case FailedOrder(item, lane, unit, failure, items):
                    call = Call(next(coming), item, lane, unit, (_NOWHERE,) * items)
                    yield Unjoinable(call, failure), 0, False
                case LoneOrder(item, lane, unit):
                    yield Lone(next(coming), item, lane, unit, _NOWHERE), 0, False
                case UnitOrder(lane, unit, span, free):
                    yield UnitEnd(lane, unit, span, free), 0, False
                case EndOrder(units, ids):
                    yield EndOfInput(dict(units), ids), 0, False

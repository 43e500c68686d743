"""What a runner's loop reads: an inbox that speaks to the keeper. See ``runner_outbox``."""

from __future__ import annotations

import itertools
import os
import select
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol, assert_never

from pipeflow.runtime.flow.joins import Call, Calls, Lone, Origin, UnitEnd, Unjoinable
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.unloaded import loadable_of, told_of, without_unloadable
from pipeflow.runtime.isolation.link import Cell, Link
from pipeflow.runtime.isolation.messages import (
    CallOrder,
    EndOrder,
    FailedOrder,
    FrameKeys,
    KeyOrder,
    LoneOrder,
    OrderParser,
    Orders,
    Pair,
    Place,
    RowOrder,
    UnitOrder,
)
from pipeflow.runtime.isolation.opening import Frames
from pipeflow.runtime.messages import EndOfInput
from pipeflow.runtime.waits.polls import TIDY_S
from pipeflow.transports.codec import Decoder
from pipeflow.transports.slots import SlotPool
from pipeflow.transports.waiting import Poll

_READ_BYTES: Final = 1 << 18
#: Stands for where an item came from: that is the keeper's to know.
_NOWHERE: Final = Origin(0, 0, None)
#: Where an item without a partner came from that fails as a call does; its keeper was told so.
_LONELY: Final = (Origin(0, 0, None),)
#: What stands for items that are not loaded yet.
_ORDERS: Final = frozenset({CallOrder, RowOrder, FailedOrder, LoneOrder})


class Telling(Protocol):
    """What tells the keeper what was done."""

    def flush(self) -> None:
        """Tell it all."""
        ...

    def fail_lone(self) -> None:
        """What has no partner could not be loaded: it goes on as a call that fails."""
        ...

    def put(self, record: FrameKeys) -> None:
        """Tell it something by itself."""
        ...


class RunnerInbox:
    """The inputs of a stage, as its runner sees them.

    Args:
        link: To the keeper.
        frames: Opens frames.
        decoder: Makes items of packets.
        outbox: Asked to tell all before an order is taken in hand.
        pool: Where the arrays of results go.
    """

    def __init__(
        self, link: Link, frames: Frames, decoder: Decoder, outbox: Telling, pool: SlotPool
    ) -> None:
        self._link, self._frames, self._decoder, self._outbox = link, frames, decoder, outbox
        self._pool = pool
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
        #: Works out the key of an item of one of the inputs, for a join by key.
        self.key_of: Callable[[int, Any], object] | None = None

    def give_rows(self, *, woven: bool, pairs: bool = False) -> None:
        """The keeper tells of every end of a unit by itself."""

    def take(self) -> Call | Calls | Lone | Unjoinable | UnitEnd | EndOfInput | None:
        """The next message, as ``flow.inbox.Inbox`` gives them.

        Raises:
            ReadersGone: The keeper needs no more.
        """
        self._outbox.flush()
        if self._link.cells[Cell.LEAVE]:
            raise ReadersGone
        while True:
            if not self._ready and not self._receive():
                return None
            message, self.tried, self.alone = self._ready.popleft()
            if type(message) is not KeyOrder:
                break
            self._tell_keys(message)
        if type(message) in _ORDERS:
            message = self._open(message, message.place)
        self.ended = type(message) is EndOfInput
        return message  # type: ignore[no-any-return]  # one of the six

    def delivered(self, call: Call) -> None:
        """A call begins; the keeper counts it."""
        if call.origins is not _LONELY:
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
        """Wait until there is something to do, the keeper needs no more, or the time is up.

        A pool that has lent slots looks from time to time whether others need their memory.
        """
        link = self._link
        if self._ready or link.cells[Cell.LEAVE]:
            return
        if self._pool.lends():
            self._pool.tidy()
            timeout_s = TIDY_S if timeout_s is None else min(timeout_s, TIDY_S)
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

    def _tell_keys(self, order: KeyOrder) -> None:
        """Tell the keys of a frame's items: to work one out may end us, as to load it may."""
        assert self.key_of is not None
        link, number, keys = self._link, order.frame, list[object]()
        payloads = self._frames.look(number)
        try:
            for at, payload in enumerate(payloads):
                link.begin_loading(number, at, rings=not at)
                keys.append(self.key_of(order.port, payload))
        finally:
            link.end_loading()
        self._outbox.put(FrameKeys(number, tuple(keys)))

    def _open(
        self, order: CallOrder | RowOrder | FailedOrder | LoneOrder, place: Place | Pair
    ) -> Any:
        """Load the items of an order that lie in a frame; what comes next of it."""
        if isinstance(place, Pair):
            payloads: list[Any] = [self._frames.take_pair(place)]
        else:
            count = len(order.ordinals) if type(order) is RowOrder else 1
            payloads = self._frames.take(place, count)
        match order:
            case RowOrder():
                row = _row_of(order, payloads)
                first, *rest = self._parts_of(row)
                self._ready.extendleft([(each, 0, False) for each in reversed(rest)])
                return first
            case CallOrder(item, lane, unit, items):
                call = Call(payloads[0], item, lane, unit, (_NOWHERE,) * items)
                return told_of(call) or call
            case FailedOrder(item, lane, unit, failure, items):
                rest = loadable_of(payloads[0])
                return Unjoinable(Call(rest, item, lane, unit, (_NOWHERE,) * items), failure)
            case LoneOrder(item, lane, unit):
                broken = told_of(Call(payloads[0], item, lane, unit, _LONELY))
                if broken is None:
                    return Lone(payloads[0], item, lane, unit, _NOWHERE)
                self._outbox.fail_lone()
                return broken
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
            self._frames.add(frame)
        payloads: Sequence[Any] = ()
        if orders.packet is not None:
            payloads = self._decoder.decode(orders.packet, private=orders.private)
        coming = iter(payloads)
        for order in orders.orders:
            match order:
                case CallOrder() if order.place is not None:
                    yield order, order.tried, order.alone
                case RowOrder() | FailedOrder() | LoneOrder() if order.place is not None:
                    yield order, 0, False
                case CallOrder(item, lane, unit, items, tried, alone):
                    yield Call(next(coming), item, lane, unit, (_NOWHERE,) * items), tried, alone
                case RowOrder():
                    count = len(order.ordinals)
                    row = _row_of(order, list(itertools.islice(coming, count)))
                    if self.in_rows:
                        yield row, 0, False
                    else:
                        yield from ((row.single(at), 0, False) for at in range(count))
                case FailedOrder(item, lane, unit, failure, items):
                    call = Call(next(coming), item, lane, unit, (_NOWHERE,) * items)
                    yield Unjoinable(call, failure), 0, False
                case LoneOrder(item, lane, unit):
                    yield Lone(next(coming), item, lane, unit, _NOWHERE), 0, False
                case KeyOrder():
                    yield order, 0, False
                case UnitOrder(lane, unit, span, free):
                    yield UnitEnd(lane, unit, span, free), 0, False
                case EndOrder(units, ids):
                    yield EndOfInput(dict(units), ids), 0, False


def _row_of(order: RowOrder, payloads: list[Any]) -> Calls:
    """A row of calls, as the runner's loop gets it."""
    prefix, ordinals, lane, unit, _, units = order
    return Calls(prefix, ordinals, payloads, lane, unit, _NOWHERE, units=units)

"""The loop of a function or an object that is called with each item."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from sys import getrefcount
from typing import Any, assert_never

from pipeflow.errors import ItemNotSerializable, PipeflowError, ProgramFailed, ProgramGivenUp
from pipeflow.planner.plan import NAMED_JOINS, Numbering
from pipeflow.runtime.board import (
    EMPTY,
    FAILED,
    HAND_DEPTH,
    HAND_DEPTH_MAX,
    PROCESSED,
    RECEIVED,
    end_row,
    put_hand,
)
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.inbox import Inbox, Message
from pipeflow.runtime.flow.joins import Call, Calls, Lone, UnitEnd, Unjoinable
from pipeflow.runtime.flow.keeping import Keeping
from pipeflow.runtime.flow.pacing import FAST_S
from pipeflow.runtime.flow.refused import ReadersGone, ResultNotSerializable, Unplaced
from pipeflow.runtime.flow.runs import ONE, OURS, is_settled
from pipeflow.runtime.loops.base import GOES_ON, REST_S, WAITS, StageLoop
from pipeflow.runtime.loops.copies import as_it_is
from pipeflow.runtime.loops.forgotten import FORGOTTEN, refuse_forgotten
from pipeflow.runtime.loops.hops import IDLE, LONGER, Hops, Rest, hops_of
from pipeflow.runtime.loops.rows import Halt, call_into, call_only
from pipeflow.runtime.loops.stopped import CONTROL, Cancelled
from pipeflow.runtime.messages import Barrier, EndOfInput, Failure, ItemId
from pipeflow.spec.policies import OnError
from pipeflow.spec.ports import OUT
from pipeflow.stages.work import DrainInterrupt, OutputClosed, Routed
from pipeflow.values import dataclass, field


def is_many(result: object) -> bool:
    """Whether the answer to a call is an iterator of results, and no result itself."""
    return type(result) not in ONE and hasattr(type(result), "__next__")


@dataclass(slots=True, kw_only=True)
class CallLoop(StageLoop):
    """A function at work, item by item."""

    _joined: bool = field(init=False)
    _routed_at: float = 0.0  # when a result last went to a port of its own

    def __post_init__(self) -> None:
        StageLoop.__post_init__(self)  # super() knows nothing of a class with slots
        self._joined = self.stage.join in NAMED_JOINS

    def _run(self) -> Iterator[bool]:
        inbox = self.inbox
        assert inbox is not None
        rest_until = math.inf
        # Who keeps the units of others may send nothing between them.
        timed = self.work.due is not None and self.stage.numbering is not Numbering.KEEP
        if self._knows_rows():
            inbox.give_rows(woven=True, pairs=True)
        hops = None if timed else self._hops(inbox)
        while True:
            if timed:
                yield from self._give_due()
            elif hops is not None and hops.may_go() and not self._spending.ahead:
                wants = yield from self._hop(hops, inbox)
                if wants is not None:
                    yield wants
                    continue
            message = inbox.take()
            if type(message) is Calls:
                rest = self._call_all(message)
            elif type(message) is Call:
                rest = self._call(message)
            elif message is None:
                self.outbox.flush()
                if inbox.no_more_calls():
                    now = time.monotonic()
                    rest_until = min(rest_until, now + REST_S)
                    if now >= rest_until:
                        yield from self._finish({})
                        return
                yield WAITS
                continue
            elif isinstance(message, EndOfInput):
                self._ordinal = max(self._ordinal, message.ids)
                yield from self._finish(message.units)
                return
            else:
                self._heed(message)
                continue
            message = None
            if rest is not None:
                yield from rest
                rest = None
            if self._spending.ahead:
                self._judge_at_mark()
            yield GOES_ON

    def _hops(self, inbox: Inbox) -> Hops | None:
        """The compiled way of plain frames, if the stage can have it; see ``hops``."""
        if type(self) is not CallLoop or self.looks is None or self._joined:
            return None
        outbox, unread = self.outbox, self.outbox.unread(OUT)
        if self.stage.numbering is Numbering.KEEP:
            express: Express | None = outbox.express_at(OUT, inbox.lane_bases[0], 0)
            told = outbox.needs_ends()
        else:
            express, told = outbox.express(OUT), outbox.is_read(OUT)
        if unread is None or (express is None and told):
            return None
        return hops_of(
            inbox,
            express=express,
            unread=unread,
            looks=self.looks,
            may_look=outbox.has_only(OUT),
        )

    def _hop(self, hops: Hops, inbox: Inbox) -> Generator[bool, None, bool | None]:
        """Go on as long as all is plain; what the step wants then, ``None``: see the inbox."""
        assert self.work.call is not None
        self.hand = ()
        over = hops.go(self.work.call)
        if over == LONGER:
            return None
        if over == IDLE:
            inbox.settle()
            self.outbox.flush()
            return WAITS
        if isinstance(over, Rest):
            way, halt = (hops.express, hops.keeping), over.halt
            if halt is None:
                halt = self._call_tight(over.calls, over.at, *way)
            if halt is not None:
                yield from self._call_rest(over.calls, halt, *way)
        return GOES_ON

    def _heed(self, message: Message) -> None:
        """What comes beside calls, and is not the end."""
        match message:
            case UnitEnd(lane, unit, span, free):
                self.outbox.end_unit(lane, unit, span, free=free)
            case Lone():
                self._lone(message)
            case Unjoinable(call, error):
                self._cannot_join(call, error)
            case Barrier(checkpoint):
                self.outbox.barrier(checkpoint)
            case Call() | Calls() | EndOfInput():
                raise AssertionError(message)
            case _:
                assert_never(message)

    def _knows_rows(self) -> bool:
        """Whether rows of calls may come where the stage keeps units; see ``Calls.end_units``."""
        return True

    def _call_all(self, calls: Calls) -> Iterator[bool] | None:
        """A row of calls: the tight loop as far as it goes, the rest one by one.

        Returns:
            What is left to do if the tight loop does not go all the way.
        """
        outbox = self.outbox
        express: Express | None = None
        keeping: Keeping | None = None
        if calls.end_units:
            express = keeping = outbox.express_at(OUT, calls.lane, calls.unit)
            tight = keeping is not None or not outbox.needs_ends()
        else:
            express = outbox.express(OUT)
            tight = express is not None or not outbox.is_read(OUT)
        if not tight or len(calls.prefix) >= HAND_DEPTH_MAX:
            return self._call_each(calls)
        halt = self._call_tight(calls, 0, express, keeping)
        return None if halt is None else self._call_rest(calls, halt, express, keeping)

    def _call_tight(
        self, calls: Calls, at: int, express: Express | None, keeping: Keeping | None
    ) -> Halt | None:
        """Calls from this one on, as far as the tight loop goes; ``None``: all the way.

        Those for whose results there is room, and whose credit may be given back together, go in
        one span.
        """
        inbox, row, call = self.inbox, self.row, self.work.call
        assert inbox is not None
        assert call is not None
        prefix, ordinals, count = calls.prefix, calls.ordinals, len(calls.payloads)
        route = partial(self._route, calls)
        width, joined = 1 + len(calls.partners), self._joined
        port, lot, more = inbox.port_of(calls), inbox.lot(calls), inbox.arrivals.is_sent_more
        self.hand = ()
        while at < count:
            if express is None:
                most = count
            elif keeping is not None:
                most = keeping.room_for(calls, at)
            else:
                most = express.room(prefix, ordinals[at])
            end = min(count, at + (most or 1), at + lot)
            alone = end == at + 1
            if alone:
                inbox.pay(calls, 1, at=at)  # what is in hand does not count against the edge
            span, edge = (at, end), port.edge
            if keeping is not None:
                keeping.announce(calls, at, end)
            if express is not None:
                wait = not most
                halt = call_into(
                    call,
                    calls,
                    span,
                    row=row,
                    edge=edge,
                    express=express,
                    wait=wait,
                    more=more,
                    route=route,
                    joined=joined,
                )
            else:
                halt = call_only(call, calls, span, row=row, edge=edge, route=route, joined=joined)
                if halt.unread:
                    self.outbox.count_unread(OUT, halt.unread)
            reached = halt.at
            called = reached - at
            row[PROCESSED] += called * width
            if halt.empty:
                row[EMPTY] += halt.empty * width
            if reached != end:
                called += 1  # the one that is still to be answered for
            row[RECEIVED] += called * width
            inbox.delivered_in(calls, called)
            end_row(row)
            if not alone:
                inbox.pay(calls, called, at=at)
            if reached != end:
                if keeping is not None:
                    keeping.retract()
                return halt
            at = end
        return None

    def _route(self, calls: Calls, result: Routed, at: int, *, alone: bool) -> bool:
        """Pass on what goes to a port of its own, if that has a short way; see ``rows.Route``."""
        port, payload = result.port, result.item
        if (
            payload is None
            or type(payload) in FORGOTTEN
            or port not in self._own_ports
            or self.outbox.express(port) is None
        ):
            return False
        before, self._routed_at = self._routed_at, time.perf_counter()
        more = at + 1 < len(calls.payloads) and self._routed_at - before < FAST_S
        # The result has it too, and the row its own items.
        own = alone and getrefcount(payload) == OURS + 1 + (payload is calls.payloads[at])
        item = (*calls.prefix, calls.ordinals[at])
        settled = is_settled(payload, alone=own)
        self.outbox.emit(port, payload, item, 0, 0, settled=settled, more=more)
        return True

    def _call_rest(
        self, calls: Calls, halt: Halt | None, express: Express | None, keeping: Keeping | None
    ) -> Iterator[bool]:
        """Answer for the call at which the tight loop came to a halt, and go on behind it."""
        while halt is not None:
            at, call = halt.at, calls.single(halt.at)
            many = self._answer(call, halt)
            halt = None
            if many is not None:
                yield from many
            if calls.end_units:
                self.outbox.end_unit(call.lane, call.unit, 1, free=False)
            del call
            halt = self._call_tight(calls, at + 1, express, keeping)
            if halt is None and at + 1 == len(calls.payloads):
                self._pass_gap(calls, at + 1)  # what was announced had told of those before

    def _call_each(self, calls: Calls) -> Iterator[bool]:
        """A row of calls, one by one."""
        for index in range(len(calls.payloads)):
            self._pass_gap(calls, index)
            call = calls.single(index)
            many = self._call(call)
            if many is not None:
                yield from many
            if calls.end_units:
                self.outbox.end_unit(call.lane, call.unit, 1, free=False)
            if self._spending.ahead:
                self._judge_at_mark()
        self._pass_gap(calls, len(calls.payloads))

    def _pass_gap(self, calls: Calls, index: int) -> None:
        """The units between a call of a row and the one before are not this replica's."""
        gap = calls.gap_before(index)
        if gap is not None:
            self.outbox.end_unit(gap.lane, gap.unit, gap.span, free=True)

    def _answer(self, call: Call, halt: Halt) -> Iterator[bool] | None:
        """What follows the call that ended a row."""
        self.hand, self._payload, self._emitted = call.id, call.payload, 0
        result = halt.result
        if isinstance(halt.error, Unplaced):
            result = halt.error.payload
        elif halt.error is not None:
            self._call_failed(halt.error, call)
            return None
        return self._pass_on(result, call)

    def _call(self, call: Call) -> Iterator[bool] | None:
        """One call of the user's function, by the stage's policy.

        Returns:
            What is left to do if the call gave many results: they leave as they are yielded.
        """
        assert self.work.call is not None
        self._receive(call)
        try:
            given = call.payload if self._joined else (call.payload,)
            result = self.work.call(*given)
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            self._call_failed(error, call)
            return None
        return self._pass_on(result, call)

    def _receive(self, call: Call) -> None:
        """An item is in hand from now on."""
        row, inbox = self.row, self.inbox
        assert inbox is not None
        row[RECEIVED] += len(call.origins)
        put_hand(row, call.id)
        inbox.delivered(call)
        self.hand, self._payload, self._emitted = call.id, call.payload, 0

    def _pass_on(self, result: Any, call: Call) -> Iterator[bool] | None:
        """Send what a call gave.

        Returns:
            What is left to do if it gave many results: they leave as they are yielded.
        """
        try:
            if is_many(result):
                return self._call_many(call, result)
            if type(result) in FORGOTTEN:
                refuse_forgotten(result)
            if result is not None:
                self._emit(result, call.id, (call.lane, call.unit))
        except BaseException as error:  # what the result is made of is the user's: a boundary
            self._call_failed(error, call)
        else:
            self._call_done(call)
        return None

    def _call_many(self, call: Call, results: Iterator[Any]) -> Iterator[bool]:
        """Send the results of one call, one by one."""
        try:
            try:
                yield from self._send_many(results, call)
            finally:
                close = getattr(results, "close", None)
                if close is not None:
                    close()
        except GeneratorExit:
            if self.unneeded:
                self._call_done(call)
            raise
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            self._call_failed(error, call)
        else:
            self._call_done(call)

    def _send_many(self, results: Iterator[Any], call: Call) -> Iterator[bool]:
        while True:
            got = self._gather(results, call.id, self._emitted)
            self._emitted += got.appended
            if isinstance(got.error, StopIteration):
                return
            if got.error is not None:
                raise got.error
            result = got.result
            del got
            if result is not None:
                self._emit(result, (*call.id, self._emitted), (call.lane, call.unit))
                result = None
            yield GOES_ON

    def _cannot_join(self, call: Call, error: Exception | Failure) -> None:
        """An item failed before it came to a call.

        Raises:
            StageStopped: The policy ends the run.
        """
        self._receive(call)
        self._attempt = 1
        failure = self._told_of(error)
        self._attempt = failure.attempt
        self._give_up_for(failure, len(call.origins), (call.lane, call.unit))
        self.row[HAND_DEPTH], self._attempt = 0, 1
        self._payload = None

    def _call_done(self, call: Call) -> None:
        count = len(call.origins)
        self.row[PROCESSED] += count
        if not self._emitted:
            self.row[EMPTY] += count
        self._payload = None

    def _call_failed(self, error: BaseException, call: Call) -> None:
        """What follows when a call, or sending what it gave, went wrong.

        Raises:
            StageStopped: The policy ends the run.
        """
        count, place = len(call.origins), (call.lane, call.unit)
        match error:
            case ReadersGone() | OutputClosed():
                self.row[PROCESSED] += count
                raise error
            case ResultNotSerializable() if self.stage.on_error.then is OnError.STOP:
                self.row[FAILED] += count
                raise self._not_serializable(error) from None
            case ResultNotSerializable(cause=cause):
                self._give_up(cause, "pickling", count, place)
            case ProgramGivenUp() if self.stopping[0]:
                # Nobody waits before a try in a drain: it has died too often for this item alone.
                self._give_up(ProgramFailed(str(error)), "program", count, place)
            case PipeflowError() | DrainInterrupt() | Cancelled():
                self.row[FAILED] += count
                raise error
            case _:
                self._give_up(error, "item", count, place)
        self.row[HAND_DEPTH] = 0
        self._payload = None

    def _held(self, result: Any, item: ItemId) -> Any:
        """One of many results, as it is now; what would be wrong with it later is found here."""
        port, payload = self._port_of(result)
        try:
            kept = as_it_is(payload)
        except ItemNotSerializable as error:
            raise ResultNotSerializable(item, error) from error
        return Routed(port, kept) if type(result) is Routed else kept

    def _back_off(self, seconds: float) -> None:
        """Wait before another try. Nobody else waits for what is here meanwhile.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        assert self.inbox is not None
        self.outbox.flush()
        self.inbox.settle()
        if seconds > 0:
            self.waits.back_off(seconds)

    def _give_due(self) -> Iterator[bool]:
        """What is due by now though no item has come, and when there is more."""
        due, tick = self.work.due, self.work.tick
        assert due is not None
        assert tick is not None
        self.alarm = due()
        if self.alarm is None or self.alarm > time.monotonic():
            return
        yield from self._give(tick, (0, 0), "item")
        self.alarm = due()

    def _finish(self, units: Mapping[int, int]) -> Iterator[bool]:
        """All input was worked on: what the stage still has to say."""
        place = (0, units.get(0, 0))
        self.alarm = None
        self._judge_at_end()
        if self.work.finish is not None:
            yield from self._give(self.work.finish, place, "finish")
        if self.work.keeps_state:
            self.outbox.end_unit(*place, 1, free=True)

    def _give(
        self, results: Callable[[], Any], place: tuple[int, int], phase: str
    ) -> Iterator[bool]:
        """Send what the stage gives that is no answer to an item.

        Raises:
            StageStopped: The user's code failed.
        """
        self.hand, self._payload, self.row[HAND_DEPTH] = (), None, 0
        try:
            for result in self._items_of(results()):
                if result is not None:
                    self._emit(result, self._new_id(), place)
                    yield GOES_ON
        except ResultNotSerializable as error:
            raise self._not_serializable(error) from None
        except CONTROL:
            raise
        except BaseException as error:  # the user's code: a boundary
            raise self._stopped(error, phase) from None

"""The loop of a stream function: it pulls the items, and keeps what it likes between them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any, assert_never

from pipeflow.planner.plan import Numbering
from pipeflow.runtime.board import FAILED, HAND_DEPTH, PROCESSED, RECEIVED, note_edge, put_hand
from pipeflow.runtime.flow.joins import Call, Calls, Lone, UnitEnd, Unjoinable
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.loops.base import GOES_ON, StageLoop
from pipeflow.runtime.loops.stopped import CONTROL
from pipeflow.runtime.messages import Barrier, EndOfInput
from pipeflow.values import dataclass


@dataclass(slots=True, kw_only=True)
class StreamLoop(StageLoop):
    """A stream function at work."""

    _place: tuple[int, int] = (0, 0)
    _end: Mapping[int, int] | None = None

    def pull(self) -> Generator[Any, None, None]:
        """The items, for a caller that takes them itself and has no function that wants them."""
        return self._pull()

    def put_down(self) -> None:
        """The caller is done with the item that it pulled last."""
        self._let_go()

    def _run(self) -> Iterator[bool]:
        start = self.work.stream
        assert start is not None
        payloads = self._pull()
        results: Iterator[Any] = iter(())
        try:
            results = iter(start(payloads) or ())
            yield from self._send(results)
        except ResultNotSerializable as error:
            raise self._not_serializable(error) from None
        except CONTROL:
            if self.unneeded:
                self._let_go()
            raise
        except BaseException as error:  # the user's code: a boundary
            if self.hand:
                self.row[FAILED] += 1
            raise self._stopped(error, "item") from None
        finally:
            payloads.close()
            close = getattr(results, "close", None)
            if close is not None:
                self._guard("close", close)
        self._let_go()
        if self._end is not None:
            self.outbox.end_unit(0, self._end.get(0, 0), 1, free=True)

    def _send(self, results: Iterator[Any]) -> Iterator[bool]:
        """Send what the stream gives, until it ends."""
        step = self.stage.replicas
        while True:
            first = self._ordinal * step + self.replica
            got = self._gather(results, (self.stage.index,), first, step=step)
            self._ordinal += got.appended
            if isinstance(got.error, StopIteration):
                return
            if got.error is not None:
                raise got.error
            result = got.result
            del got
            if result is not None:
                place = self._place if self._end is None else (0, self._end.get(0, 0))
                self._emit(result, self._new_id(), place)
                result = None
            yield GOES_ON

    def _pull(self) -> Generator[Any, None, None]:
        """The items of the whole stream, for the user's function."""
        inbox, row = self.inbox, self.row
        assert inbox is not None
        if self.stage.numbering is not Numbering.KEEP:
            inbox.give_rows(woven=True)  # that end no units
        while True:
            message = inbox.take()
            match message:
                case Call():
                    self._let_go()
                    row[RECEIVED] += 1
                    inbox.delivered(message)
                    self.hand, self._payload = message.id, message.payload
                    self._place = (message.lane, message.unit)
                    put_hand(row, message.id)
                    payload = message.payload
                    message = None
                    yield payload
                    payload = self._payload = None
                case Calls():
                    yield from self._pull_row(message)
                    message = None
                case UnitEnd(lane, unit, span, free):
                    self.outbox.end_unit(lane, unit, span, free=free)
                case EndOfInput(units):
                    self._let_go()
                    self._end = units
                    return
                case None:
                    yield from self._nothing_yet()
                case Lone():
                    self._lone(message)
                case Barrier(checkpoint):
                    self.outbox.barrier(checkpoint)
                case Unjoinable():
                    raise AssertionError(message)  # stream functions take no named inputs
                case _:
                    assert_never(message)

    def _nothing_yet(self) -> Iterator[Any]:
        """No item is there: wait for one."""
        self.outbox.flush()
        self.waits.for_input(None)
        yield from ()

    def _pull_row(self, calls: Calls) -> Iterator[Any]:
        """The items of a row."""
        inbox, row = self.inbox, self.row
        assert inbox is not None
        payloads, prefix, ordinals = calls.payloads, calls.prefix, calls.ordinals
        edge = inbox.port_of(calls).edge
        for index in range(len(payloads)):
            self._let_go()
            note_edge(row, edge)
            row[RECEIVED] += 1
            inbox.delivered_in(calls, 1)
            inbox.pay(calls, 1, at=index)
            payload, payloads[index] = payloads[index], None
            self.hand, self._payload = (*prefix, ordinals[index]), payload
            self._place = (calls.lane, calls.unit + index)
            put_hand(row, self.hand)
            yield payload
            payload = self._payload = None

    def _let_go(self) -> None:
        """The item that a stream function pulled last is done with."""
        if self.hand:
            self.row[PROCESSED] += 1
            self.row[HAND_DEPTH] = 0
            self.hand = ()

"""The loop of a function or an object that is called with each item."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from pipeflow.errors import PipeflowError
from pipeflow.planner.plan import Join
from pipeflow.runtime.board import EMPTY, FAILED, HAND_DEPTH, PROCESSED, RECEIVED, put_hand
from pipeflow.runtime.flow.joins import Call, Lone, UnitEnd
from pipeflow.runtime.flow.outbox import ReadersGone, ResultNotSerializable
from pipeflow.runtime.loops.base import (
    CONTROL,
    GOES_ON,
    WAITS,
    Cancelled,
    DrainInterrupt,
    StageLoop,
)
from pipeflow.runtime.messages import Barrier, EndOfInput
from pipeflow.spec.policies import OnError
from pipeflow.stages.work import OutputClosed

#: Types of results that are surely no iterators.
PLAIN: Final = frozenset({dict, list, tuple, str, int, float, bool, bytes, type(None)})
#: How long what the longer inputs of a zip still bring is counted, after the shortest has ended.
REST_S: Final = 1.0


@dataclass(slots=True, kw_only=True)
class CallLoop(StageLoop):
    """A function at work, item by item."""

    _joined: bool = field(init=False)

    def __post_init__(self) -> None:
        self._joined = self.stage.join in {Join.ZIP_BY_ID, Join.ZIP_BY_POSITION}

    def _run(self) -> Iterator[bool]:
        inbox = self.inbox
        assert inbox is not None
        rest_until: float | None = None
        while True:
            message = inbox.take()
            if type(message) is Call:
                many = self._call(message)
                message = None
                if many is not None:
                    yield from many
                continue
            match message:
                case UnitEnd(lane, unit, span, free):
                    self.outbox.end_unit(lane, unit, span, free=free)
                case EndOfInput(units):
                    yield from self._finish(units)
                    return
                case None:
                    self.outbox.flush()
                    if inbox.no_more_calls():
                        rest_until = rest_until or time.monotonic() + REST_S
                        if time.monotonic() >= rest_until:
                            yield from self._finish({})
                            return
                    yield WAITS
                case Lone():
                    self._lone(message)
                case Barrier(checkpoint):
                    self.outbox.barrier(checkpoint)
                case Call():
                    raise AssertionError(message)
                case _:
                    assert_never(message)

    def _call(self, call: Call) -> Iterator[bool] | None:
        """One call of the user's function, by the stage's policy.

        Returns:
            What is left to do if the call gave many results: they leave as they are yielded.
        """
        row, inbox = self.row, self.inbox
        assert inbox is not None
        assert self.work.call is not None
        row[RECEIVED] += len(call.origins)
        put_hand(row, call.id)
        inbox.delivered(call)
        self.hand, self._payload, self._emitted = call.id, call.payload, 0
        try:
            given = call.payload if self._joined else (call.payload,)
            result = self.work.call(*given)
            if type(result) not in PLAIN and hasattr(type(result), "__next__"):
                return self._call_many(call, result)
            if result is not None:
                self._emit(result, call.id, (call.lane, call.unit))
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            self._call_failed(error, call)
        else:
            self._call_done(call)
        return None

    def _call_many(self, call: Call, results: Iterator[Any]) -> Iterator[bool]:
        """Send the results of one call, one by one."""
        try:
            try:
                for result in results:
                    if result is not None:
                        self._emit(result, (*call.id, self._emitted), (call.lane, call.unit))
                        yield GOES_ON
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
            case ResultNotSerializable() if self.stage.on_error is OnError.STOP:
                self.row[FAILED] += count
                raise self._not_serializable(error) from None
            case ResultNotSerializable(cause=cause):
                self._give_up(cause, "pickling", count, place)
            case PipeflowError() | DrainInterrupt() | Cancelled():
                self.row[FAILED] += count
                raise error
            case _:
                self._give_up(error, "item", count, place)
        self.row[HAND_DEPTH] = 0
        self._payload = None

    def _finish(self, units: Mapping[int, int]) -> Iterator[bool]:
        """All input was worked on: what the stage still has to say."""
        place = (0, units.get(0, 0))
        if self.work.finish is not None:
            self.hand, self._payload = (), None
            try:
                for result in self.work.finish() or ():
                    if result is not None:
                        self._emit(result, self._new_id(), place)
                        yield GOES_ON
            except CONTROL:
                raise
            except BaseException as error:  # the user's code: a boundary
                raise self._stopped(error, "finish") from None
        if self.work.keeps_state:
            self.outbox.end_unit(*place, 1, free=True)

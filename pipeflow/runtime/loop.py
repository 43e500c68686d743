"""The loop of a stage: messages in, calls of the user's code, results out.

Starts no process, opens nothing and reads no clock but for the end of a zip, so a test can drive it with
plain lists. It is written as steps: a generator that yields ``WAITS`` when it cannot go on before
something comes, and ``GOES_ON`` where another stage may have its turn. A worker process waits at the
one and ignores the other; the inline executor turns to another stage at both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, assert_never

from pipeflow.errors import ItemNotLoadable, MemoryLimitReached, PipeflowError
from pipeflow.planner.plan import Join, StagePlan
from pipeflow.runtime.board import (
    DEAD_LETTERED,
    EMPTY,
    FAILED,
    HAND_DEPTH,
    PROCESSED,
    RECEIVED,
    SKIPPED,
    TOTAL,
    Words,
    id_text,
    put_hand,
)
from pipeflow.runtime.failures import kind_of, message_of, traceback_of, view_of
from pipeflow.runtime.inbox import Inbox
from pipeflow.runtime.joins import Call, Lone, UnitEnd
from pipeflow.runtime.messages import (
    Barrier,
    EndOfInput,
    Failure,
    ItemGivenUp,
    ItemId,
    Logged,
    WorkerReport,
)
from pipeflow.runtime.outbox import Outbox, ReadersGone, ResultNotSerializable
from pipeflow.spec.pipeline import ERRORS, OUT, UNMATCHED
from pipeflow.spec.policies import OnError
from pipeflow.stages.work import BadRecord, OutputClosed, Routed, Work

#: How long what the longer inputs of a zip still bring is counted, after the shortest has ended.
REST_S: Final = 1.0


#: What a step yields: something must come first, or not.
WAITS: Final = True
GOES_ON: Final = False


class StageStopped(PipeflowError):
    """The stage failed and its policy ends the run.

    Attributes:
        failure: What went wrong.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class DrainInterrupt(BaseException):
    """Raised in a source's blocking call when its grace is over."""


class Cancelled(BaseException):
    """Ends a stage where it is: nobody will feed it any more."""


#: What passes through the user's code without being a failure of it.
_CONTROL: Final = (PipeflowError, OutputClosed, GeneratorExit, DrainInterrupt, Cancelled)


class Waits(Protocol):
    """How a stage waits for others."""

    def for_input(self, timeout_s: float | None) -> None:
        """Until something may have come.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        ...


@dataclass(slots=True, kw_only=True)
class StageLoop:
    """One replica at work.

    Args:
        stage: Its stage.
        replica: Which of the stage's workers.
        names: Names of all stages, for the ids.
        work: The user's code.
        inbox: Its inputs; ``None`` for a source.
        outbox: Its outputs.
        row: Its row of the board.
        tell: Reports to the supervisor.
        waits: How to wait.
        stopping: Whether the run is being drained.
        now: Seconds since 1970, for dead letters.
        in_users_source: The user's source is being asked for its next item.
        unneeded: It is being ended because all its readers have closed, not because of a failure.
        hand: Id of the item in hand.
    """

    stage: StagePlan
    replica: int
    names: tuple[str, ...]
    work: Work
    inbox: Inbox | None
    outbox: Outbox
    row: Words
    tell: Callable[[WorkerReport], None]
    waits: Waits
    stopping: Callable[[], bool]
    now: Callable[[], float] = time.time
    in_users_source: bool = False
    unneeded: bool = False
    hand: ItemId = ()
    _payload: Any = None
    _place: tuple[int, int] = (0, 0)
    _ordinal: int = 0
    _emitted: int = 0
    _end: Mapping[int, int] | None = None
    _joined: bool = field(init=False)

    def __post_init__(self) -> None:
        self._joined = self.stage.join in {Join.ZIP_BY_ID, Join.ZIP_BY_POSITION}

    def steps(self) -> Iterator[bool]:
        """Do everything there is to do; yields ``WAITS`` or ``GOES_ON``.

        Raises:
            StageStopped: The stage failed, and its policy ends the run.
            ChannelError: A neighbour is gone, or a frame is wrong.
        """
        work = self.work
        try:
            if work.source is not None:
                yield from self._run_source(work.source)
            elif work.stream is not None:
                yield from self._run_stream(work.stream)
            else:
                yield from self._run_calls()
        except (ReadersGone, OutputClosed):
            self._processed()  # an early end: nobody needs more

    def wind_up(self) -> None:
        """The work is over, early or not: close the user's code and the inputs.

        Raises:
            StageStopped: The user's ``close`` failed.
        """
        self._close_work()
        if self.inbox is not None:
            self.inbox.close()

    # ------------------------------------------------------------------ sources

    def _run_source(self, start: Callable[[], Any]) -> Iterator[bool]:
        items = iter(())
        try:
            try:
                self.in_users_source = True
                items = iter(start() or ())
                self._note_total()
            except DrainInterrupt:
                return
            except Exception as error:  # the user's code: a boundary
                raise self._stopped(error, "item") from None
            finally:
                self.in_users_source = False
            yield from self._pump(items)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                self._guard("close", close)

    def _pump(self, items: Iterator[Any]) -> Iterator[bool]:
        """Give out a source's items until it ends, is drained, or nobody needs more."""
        me = self.stage.index
        while not self.stopping():
            try:
                self.in_users_source = True
                result = next(items)
            except (StopIteration, DrainInterrupt):
                return
            except BaseException as error:  # the user's code: a boundary
                self.hand = (me, self._ordinal)
                raise self._stopped(error, "item") from None
            finally:
                self.in_users_source = False
            if result is None:
                continue
            item = (me, self._ordinal)
            self._ordinal += 1
            put_hand(self.row, item)
            if type(result) is BadRecord:
                self._give_up_record(result, item)
            else:
                try:
                    self._emit(result, item, (0, 0))
                except ResultNotSerializable as error:
                    raise self._not_serializable(error) from None
            self.row[HAND_DEPTH] = 0
            result = None
            yield GOES_ON

    def _note_total(self) -> None:
        if self.work.total is not None:
            total = self.work.total()
            self.row[TOTAL] = 0 if total is None else total + 1

    def _give_up_record(self, record: BadRecord, item: ItemId) -> None:
        """A record that a built-in source could not read."""
        self.row[RECEIVED] += 1
        self._payload, self.hand = record.item, item
        self._give_up(record.error, "item", count=1, place=(0, 0))

    # -------------------------------------------------------------------- calls

    def _run_calls(self) -> Iterator[bool]:
        inbox = self.inbox
        assert inbox is not None
        rest_until: float | None = None
        while True:
            message = inbox.take()
            match message:
                case Call():
                    many = self._call(message)
                    message = None
                    if many is not None:
                        yield from many
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
                            return
                    yield WAITS
                case Lone():
                    self._lone(message)
                case Barrier(checkpoint):
                    self.outbox.barrier(checkpoint)
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
            if self._joined:
                result = self.work.call(*call.payload)
            else:
                result = self.work.call(call.payload)
            if hasattr(type(result), "__next__"):
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
        self.row[HAND_DEPTH] = 0
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

    def _emit(self, result: Any, item: ItemId, place: tuple[int, int]) -> None:
        port = OUT
        if type(result) is Routed:
            port, result = result.port, result.item
            if port not in self.stage.ports or port in {ERRORS, UNMATCHED}:
                known = ", ".join(
                    name for name in self.stage.ports if name not in {ERRORS, UNMATCHED}
                )
                raise ValueError(f"stage '{self.stage.name}' has no output port '{port}': {known}")
            if result is None:
                return
        self.outbox.emit(port, result, item, *place)
        self._emitted += 1

    def _lone(self, lone: Lone) -> None:
        assert self.inbox is not None
        self.inbox.unmatched(lone)
        self.outbox.emit(UNMATCHED, lone.payload, lone.id, lone.lane, lone.unit)

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
            except _CONTROL:
                raise
            except BaseException as error:  # the user's code: a boundary
                raise self._stopped(error, "finish") from None
        if self.work.keeps_state:
            self.outbox.end_unit(*place, 1, free=True)

    # ------------------------------------------------------------------ streams

    def _run_stream(self, start: Callable[[Iterator[Any]], Any]) -> Iterator[bool]:
        payloads = self._pull()
        results: Iterator[Any] = iter(())
        try:
            results = iter(start(payloads) or ())
            while True:
                try:
                    result = next(results)
                except StopIteration:
                    break
                if result is not None:
                    place = self._place if self._end is None else (0, self._end.get(0, 0))
                    self._emit(result, self._new_id(), place)
                result = None
                yield GOES_ON
        except ResultNotSerializable as error:
            raise self._not_serializable(error) from None
        except _CONTROL:
            if self.unneeded:
                self._processed()
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
        self._processed()
        if self._end is not None:
            self.outbox.end_unit(0, self._end.get(0, 0), 1, free=True)

    def _pull(self) -> Iterator[Any]:
        """The items of the whole stream, for the user's function."""
        inbox, row = self.inbox, self.row
        assert inbox is not None
        while True:
            message = inbox.take()
            match message:
                case Call():
                    self._processed()
                    row[RECEIVED] += 1
                    inbox.delivered(message)
                    self.hand, self._payload = message.id, message.payload
                    self._place = (message.lane, message.unit)
                    put_hand(row, message.id)
                    payload = message.payload
                    message = None
                    yield payload
                    payload = self._payload = None
                case UnitEnd(lane, unit, span, free):
                    self.outbox.end_unit(lane, unit, span, free=free)
                case EndOfInput(units):
                    self._processed()
                    self._end = units
                    return
                case None:
                    self.outbox.flush()
                    self.waits.for_input(None)
                case Lone():
                    self._lone(message)
                case Barrier(checkpoint):
                    self.outbox.barrier(checkpoint)
                case _:
                    assert_never(message)

    def _processed(self) -> None:
        """The item that a stream function pulled last is done with."""
        if self.hand and self.work.stream is not None:
            self.row[PROCESSED] += 1
            self.row[HAND_DEPTH] = 0
            self.hand = ()

    def _new_id(self) -> ItemId:
        """Results of streams and of ``finish`` count anew; replicas take turns."""
        ordinal = self._ordinal * self.stage.replicas + self.replica
        self._ordinal += 1
        return (self.stage.index, ordinal)

    # ----------------------------------------------------------------- failures

    def _give_up(
        self, error: BaseException, phase: str, count: int, place: tuple[int, int]
    ) -> None:
        """An item failed: what the stage's policy says.

        Raises:
            StageStopped: The policy is ``stop``.
        """
        failure = self._failure(error, phase)
        match self.stage.on_error:
            case OnError.STOP:
                self.row[FAILED] += count
                raise StageStopped(failure) from None
            case OnError.SKIP:
                self.row[SKIPPED] += count
                self.tell(ItemGivenUp(failure, dead_lettered=False))
            case OnError.DEAD_LETTER:
                self._dead_letter(failure, place)
                self.row[DEAD_LETTERED] += count
                self.tell(ItemGivenUp(failure, dead_lettered=True))

    def _dead_letter(self, failure: Failure, place: tuple[int, int]) -> None:
        letter = {
            "item": self._payload,
            "id": failure.item,
            "stage": self.stage.name,
            "replica": self.replica,
            "attempt": 1,
            "emitted": self._emitted,
            "time": self.now(),
            "error": {
                "type": failure.kind,
                "message": failure.message,
                "traceback": failure.traceback,
            },
        }
        try:
            self.outbox.emit(ERRORS, letter, self.hand, *place)
        except ResultNotSerializable:
            letter["item"] = failure.view
            self.outbox.emit(ERRORS, letter, self.hand, *place)

    def _failure(self, error: BaseException, phase: str, item: ItemId | None = None) -> Failure:
        return Failure(
            phase=phase,
            kind=kind_of(error),
            message=message_of(error),
            traceback="" if isinstance(error, PipeflowError) else traceback_of(error),
            item=id_text(self.hand if item is None else item, self.names),
            view="" if self._payload is None else view_of(self._payload),
        )

    def _stopped(self, error: BaseException, phase: str) -> StageStopped:
        return StageStopped(self._failure(error, phase))

    def _not_serializable(self, error: ResultNotSerializable) -> StageStopped:
        return StageStopped(self._failure(error.cause, "pickling", error.item))

    def _guard(self, phase: str, action: Callable[[], object]) -> None:
        """Run a closing call of the user's; its failure ends the run."""
        try:
            action()
        except Exception as error:  # the user's code: a boundary
            raise self._stopped(error, phase) from None

    def _close_work(self) -> None:
        if self.work.close is not None:
            close, self.work.close = self.work.close, None
            self.hand, self._payload = (), None
            self._guard("close", close)

    def abandon(self) -> None:
        """The stage failed: ``close`` is called all the same; the first failure counts."""
        try:
            self._close_work()
        except StageStopped as second:
            self.tell(Logged("error", f"close() failed as well: {second.failure.message}"))


def failure_of(
    error: BaseException, names: tuple[str, ...], worker_stage: tuple[int, ...]
) -> Failure:
    """What ended a worker, of all that can end one besides the user's code."""
    if isinstance(error, StageStopped):
        return error.failure
    if isinstance(error, MemoryLimitReached):
        holders = ", ".join(
            f"stage '{names[worker_stage[worker]]}' holds {nbytes / 2**20:.0f} MiB"
            for worker, nbytes in error.holders[:3]
        )
        text = f"shared arrays would pass limits.memory ({error.limit / 2**20:.0f} MiB): {holders}"
        return Failure(phase="run", kind="MemoryLimitReached", message=text)
    if isinstance(error, ItemNotLoadable):
        return Failure(phase="unpickling", kind="ItemNotLoadable", message=str(error))
    return Failure(phase="run", kind=kind_of(error), message=str(error) or kind_of(error))

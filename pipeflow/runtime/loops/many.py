"""What the loops share that have several items in hand: lists of them, or many awaited at once.

    inbox ──> gathered ──> the user's function ──> answers, in the order of their items ──> outbox

Each item that is taken keeps its place (``leaving``), so order, units, ids and the ledger are those
of single calls.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, assert_never

from pipeflow.planner.plan import Numbering
from pipeflow.runtime.board import (
    DEAD_LETTERED,
    FAILED,
    HAND_DEPTH,
    PROCESSED,
    RECEIVED,
    SKIPPED,
    id_text,
    put_hand,
)
from pipeflow.runtime.flow.inbox import Message
from pipeflow.runtime.flow.joins import Call, Calls, Lone, UnitEnd, Unjoinable
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.loops.attempts import Answer, splits, tries_again
from pipeflow.runtime.loops.base import GOES_ON, REST_S, WAITS
from pipeflow.runtime.loops.calls import CallLoop
from pipeflow.runtime.loops.copies import AsItCame
from pipeflow.runtime.loops.cutter import Cutter
from pipeflow.runtime.loops.leaving import InOrder, Leaving
from pipeflow.runtime.messages import Barrier, EndOfInput, Failure, ItemId
from pipeflow.spec.ports import UNMATCHED
from pipeflow.stages.work import OutputClosed
from pipeflow.values import dataclass, field

#: How long nothing comes for a batch that others may wait for, before it is seen whether they do.
QUIET_S: Final = 0.05
#: What has its place among single items, so that what was gathered in rows becomes such.
_SINGLE: Final = frozenset({Call, Unjoinable, UnitEnd, Lone})


@dataclass(slots=True, kw_only=True)
class ManyLoop(CallLoop):
    """A function at work on several items at a time.

    Args:
        clock: Seconds, for the wait of a batch.
        starved: Whether a stage above waits for room elsewhere, so that nothing will come here
            before this stage has given something out; ``None``: that cannot be.
    """

    clock: Callable[[], float] = time.monotonic
    starved: Callable[[], bool] | None = None
    _size: int = field(init=False)
    _wait_s: float | None = field(init=False)
    _gathered: list[Answer] = field(default_factory=list)
    #: How many of them could not be joined: they keep their place, and the function gets others.
    _broken: int = 0
    #: The same in rows, while nothing but rows has come: then nothing else is gathered.
    _rows: list[Calls] = field(default_factory=list)
    _in_rows: int = 0
    _since: float = 0.0
    _quiet_since: float | None = None
    _cutter: Cutter = field(default_factory=Cutter)
    _leaving: Leaving = field(default_factory=InOrder)

    def __post_init__(self) -> None:
        CallLoop.__post_init__(self)
        batch = self.stage.batch
        self._size = 1 if batch is None else batch.size
        self._wait_s = None if batch is None else batch.wait_s

    def _run(self) -> Iterator[bool]:
        assert self.inbox is not None
        if self.stage.numbering is not Numbering.KEEP:
            self.inbox.give_rows(woven=True)  # that end no units
        elif self._knows_rows():
            self.inbox.give_rows(woven=False)
        try:
            yield from self._go_round()
        except BaseException as error:
            self._drop_all()
            self._account_for_rest(error)
            raise

    def _go_round(self) -> Iterator[bool]:
        inbox = self.inbox
        assert inbox is not None
        rest_until: float | None = None
        while True:
            yield from self._make_way()
            if self._is_due():
                yield from self._begin()
                continue
            message = self._next()
            if message is not None:
                self._quiet_since = None
            if self._rows and type(message) in _SINGLE:
                self._single_out()
            match message:
                case Calls() | Call() | Unjoinable():
                    alone = type(message) is Call and self.alone()
                    if alone:
                        yield from self._begin()
                    enough = self._gather_in(message) or alone
                    message = None
                    if enough:
                        yield from self._begin()
                case UnitEnd():
                    if self.stage.numbering is Numbering.KEEP:
                        self._leaving.pass_by(message)
                        self._settle()
                case Lone():
                    inbox.unmatched(message)
                    self._leaving.pass_by(message)
                    self._settle()
                case None:
                    if inbox.no_more_calls():
                        yield from self._complete()
                        rest_until = rest_until or time.monotonic() + REST_S
                        if time.monotonic() >= rest_until:
                            yield from self._finish({})
                            return
                    yield from self._await_more()
                case Barrier(checkpoint):
                    yield from self._complete()
                    self.outbox.barrier(checkpoint)
                case EndOfInput(units, ids):
                    self._ordinal = max(self._ordinal, ids)
                    yield from self._complete()
                    yield from self._finish(units)
                    return
                case _:
                    assert_never(message)

    def _gather_in(self, message: Calls | Call | Unjoinable) -> bool:
        """More to be gathered; whether it is enough by now."""
        match message:
            case Calls():
                self._gather_row(message)
                return self._in_rows >= self._size
            case Call():
                self._gather_one(message)
                return len(self._gathered) - self._broken >= self._size
            case Unjoinable():
                self._gather_failed(message)
                return self._broken == len(self._gathered)

    def _next(self) -> Message | None:
        """The next message; rows of calls come one by one, or as much of them as is gathered."""
        assert self.inbox is not None
        if not self._cutter:
            message = self.inbox.take()
            if not isinstance(message, Calls):
                return message
            self._cutter.put(message)
        left = self._cutter.left()
        return self._cutter.take(0 if left is None or self._gathered else self._fits(left))

    def _knows_rows(self) -> bool:
        """Whether rows may come that end their units; each may be cut in calls all the same."""
        return False

    def _fits(self, _calls: Calls) -> int:
        """How many of a row may be gathered as one; 0: each is gathered by itself."""
        return 0

    def _gather_row(self, calls: Calls) -> None:
        if not self._rows:
            self._since = self.clock()
        self._rows.append(calls)
        self._in_rows += len(calls.payloads)

    def _single_out(self) -> None:
        """What was gathered in rows is so one by one from now on."""
        rows, self._rows, self._in_rows = self._rows, [], 0
        for calls in rows:
            for at in range(len(calls.payloads)):
                answer = Answer(calls.single(at))
                self._gathered.append(answer)
                self._leaving.add(answer)
                if calls.end_units:
                    self._leaving.pass_by(UnitEnd(calls.lane, calls.unit + at, 1, free=False))

    # ------------------------------------------------------------------ what is gathered

    def _gather_one(self, call: Call) -> None:
        if not self._gathered:
            self._since = self.clock()
        answer = Answer(call, tried=self.tried())
        self._gathered.append(answer)
        self._leaving.add(answer)

    def _gather_failed(self, message: Unjoinable) -> None:
        """The same for an item that came to no call: it fails in its place among the others."""
        call, error = message
        answer = Answer(call, attempt=error.attempt if isinstance(error, Failure) else 1)
        self._turn_to(answer)
        self._payload = call.payload
        answer.failure = self._told_of(error)
        self._payload = None
        self._broken += 1
        self._gathered.append(answer)
        self._leaving.add(answer)

    def _is_due(self) -> bool:
        """Whether what is gathered goes as it is: its time is over, or others wait for it."""
        if not self._gathered and not self._rows:
            return False
        now, quiet = self.clock(), self._quiet_since
        if self._wait_s is not None and now - self._since >= self._wait_s:
            return True
        if self.starved is None or quiet is None or now - quiet < QUIET_S:
            return False
        return self.starved()

    def _await_more(self) -> Iterator[bool]:
        """Nothing is here: wait, but no longer than what is gathered may."""
        inbox = self.inbox
        assert inbox is not None
        for one in self._gathered:
            one.call = inbox.hold(one.call, self._size)
        if self._rows:
            self._rows = [inbox.hold_row(calls, self._size) for calls in self._rows]
        self.outbox.flush()
        if self._has_more():
            return
        self.alarm = self._next_look()
        yield WAITS
        self.alarm = None

    def _next_look(self) -> float | None:
        """When to look again at what is gathered though nothing has come."""
        if not self._gathered and not self._rows:
            return None
        now = self.clock()
        if self._quiet_since is None:
            self._quiet_since = now
        times: list[float] = []
        if self._wait_s is not None:
            times.append(self._since + self._wait_s)
        if self.starved is not None:
            times.append(now + QUIET_S)
        return min(times, default=None)

    def _begin(self) -> Iterator[bool]:
        """Work on what is gathered."""
        if self._rows:
            if self._work_on_rows():
                yield GOES_ON
                return
            self._single_out()
        answers, self._gathered, self._broken = self._gathered, [], 0
        if not answers:
            return
        whole = [one for one in answers if one.failure is None]
        inbox, row = self.inbox, self.row
        assert inbox is not None
        again = tries_again(self.stage.on_error, len(whole))
        for one in answers:
            row[RECEIVED] += len(one.call.origins)
            inbox.delivered(one.call)
            if one.failure is not None:
                one.done = True
                self._leaving.touch([one])
            elif again:
                one.copy = AsItCame(one.call.payload)
        if whole:
            yield from self._work_on(whole)
        else:
            self._settle()

    @abstractmethod
    def _work_on(self, answers: Sequence[Answer]) -> Iterator[bool]:
        """See to it that these are answered, now or by and by."""

    def _work_on_rows(self) -> bool:
        """The same for what is gathered in rows; ``False``: it has to go one by one."""
        return False

    def _make_way(self) -> Iterator[bool]:
        """Whatever must be before more is taken."""
        yield from ()

    def _has_more(self) -> bool:
        """Whether there is more to do though nothing has come."""
        return False

    def _complete(self) -> Iterator[bool]:
        """Until everything that was taken has left."""
        yield from self._begin()

    # -------------------------------------------------------------------- what leaves

    def _settle(self) -> None:
        """Let leave what can."""
        leaving = self._leaving
        while (first := leaving.next()) is not None:
            self._let_leave(first)
        if self._spending.ahead:
            self._judge_at_mark()

    def _let_leave(self, first: Answer | UnitEnd | Lone) -> None:
        """What may leave now leaves."""
        match first:
            case Answer():
                self._send_results(first)
                if first.done:
                    self._leaving.gone(first)
                    self._account(first)
            case UnitEnd(lane, unit, span, free):
                self.outbox.end_unit(lane, unit, span, free=free)
            case Lone():
                self.outbox.emit(UNMATCHED, first.payload, first.id, first.lane, first.unit)
            case _:
                assert_never(first)

    def _turn_to(self, answer: Answer) -> None:
        """What is sent or told from now on is of this item."""
        self.hand, self._attempt = answer.call.id, answer.attempt
        self._emitted = answer.sent

    def _send_results(self, answer: Answer) -> None:
        """Send what there is of one answer; what goes wrong with it ends the answer."""
        self._turn_to(answer)
        place = (answer.call.lane, answer.call.unit)
        try:
            while answer.results:
                item, result = answer.results.popleft()
                self._emit(result, item, place)
                answer.sent = self._emitted
        except (ReadersGone, OutputClosed):
            raise
        except BaseException as error:  # what the result is made of is the user's: a boundary
            answer.error, answer.done = error, True
            answer.results.clear()
        self._have_left(answer)

    def _have_left(self, answer: Answer) -> None:
        """All results that an answer had were sent."""

    def _account(self, answer: Answer) -> None:
        """An answer is done with: count it, or go by the policy."""
        self._turn_to(answer)
        if answer.failure is not None:
            self._payload = answer.payload()
            place = (answer.call.lane, answer.call.unit)
            self._give_up_for(answer.failure, len(answer.call.origins), place)
            self.row[HAND_DEPTH] = 0
            self._payload = None
            return
        if answer.error is None:
            self._call_done(answer.call)
            return
        self._payload = answer.payload()
        self._call_failed(answer.error, answer.call)

    def _keep(self, some: Sequence[Answer], results: Sequence[Any]) -> None:
        """The function gave a result for each of these."""
        for one, result in zip(some, results, strict=True):
            if result is None:
                continue
            try:
                kept = self._kept(result, one.call.id)
            except BaseException as error:  # what the result is made of is the user's: a boundary
                one.error = error
            else:
                one.results.append((one.call.id, kept))

    def _kept(self, result: Any, item: ItemId) -> Any:
        """A result that leaves in a moment; one that may be thrown away again is looked at now."""
        return self._held(result, item) if self.stage.on_error.retries else result

    def _note_failure(self, some: Sequence[Answer], error: BaseException) -> None:
        """The function failed for all of these."""
        for one in some:
            one.error = error
        if len(some) > 1 and not splits(self.stage.on_error, len(some)):
            first, last = (id_text(one.call.id, self.names) for one in (some[0], some[-1]))
            error.add_note(f"in a batch of {len(some)} items, {first} to {last}")

    def _note_hand(self, answer: Answer | None) -> None:
        """Should we be killed, the board tells which item was in hand."""
        if answer is None:
            self.row[HAND_DEPTH] = 0
        else:
            put_hand(self.row, answer.call.id)

    def _drop_all(self) -> None:
        """It ends here: what is at work is stopped."""

    def _account_for_rest(self, error: BaseException) -> None:
        """It ends here, whatever is in hand: all of that is accounted for."""
        row = self.row
        answered = row[PROCESSED] + row[SKIPPED] + row[DEAD_LETTERED] + row[FAILED]
        early = self.unneeded or isinstance(error, ReadersGone | OutputClosed)
        row[PROCESSED if early else FAILED] += row[RECEIVED] - answered

"""The loop of a function that gets its items in lists: ``batch``.

Rows are gathered as rows, as long as nothing but them comes: a list of items is slices of them, and
a list of results leaves as a run. What fails, or has to keep a place of its own, goes item by item,
as ``many`` has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any

from pipeflow.runtime.board import (
    EMPTY,
    HAND_DEPTH_MAX,
    PROCESSED,
    RECEIVED,
    RETRIED,
    WORKER_WORDS,
    Words,
    put_hand,
)
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.keeping import Keeping
from pipeflow.runtime.loops.attempts import (
    Answer,
    Attempt,
    Pause,
    arguments_of,
    results_of,
    script,
    tries_again,
)
from pipeflow.runtime.loops.base import GOES_ON
from pipeflow.runtime.loops.many import ManyLoop
from pipeflow.runtime.loops.rows import Halt, call_into
from pipeflow.spec.pipeline import OUT
from pipeflow.stages.context import draw_anew
from pipeflow.stages.work import Routed
from pipeflow.values import dataclass, field


def _notes() -> Words:
    return memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")


@dataclass(slots=True, kw_only=True)
class BatchLoop(ManyLoop):
    """A function at work, batch by batch."""

    #: A batch is called once, whatever comes of it.
    _once: bool = field(init=False)
    #: Stands for the board where results leave: it knows of their items already.
    _notes: Words = field(default_factory=_notes)

    def __post_init__(self) -> None:
        ManyLoop.__post_init__(self)
        self._once = not tries_again(self.stage.on_error, self._size)

    # ---------------------------------------------------------------------- in rows

    def _knows_rows(self) -> bool:
        return self._once

    def _fits(self, calls: Calls) -> int:
        deep = len(calls.prefix) >= HAND_DEPTH_MAX
        if deep or not self._once or self._way_of(calls) is None:
            return 0
        return self._size - self._in_rows

    def _way_of(self, calls: Calls) -> Express | bool | None:
        """The way of a row's results; ``False``: nobody reads them. ``None``: one by one."""
        outbox = self.outbox
        if calls.end_units:
            keeping = outbox.express_at(OUT, calls.lane, calls.unit)
            return keeping or (None if outbox.needs_ends() else False)
        return outbox.express(OUT) or (None if outbox.is_read(OUT) else False)

    def _work_on_rows(self) -> bool:
        ways = [self._way_of(calls) for calls in self._rows]
        if None in ways:
            return False
        inbox, row = self.inbox, self.row
        assert inbox is not None
        rows, self._rows, self._in_rows = self._rows, [], 0
        for calls in rows:
            count = len(calls.payloads)
            row[RECEIVED] += count
            inbox.delivered_in(calls, count)
            inbox.pay(calls, count)
        first = rows[0]
        self.hand, self._attempt, self._emitted = (*first.prefix, first.ordinals[0]), 1, 0
        put_hand(row, self.hand)
        for way in ways:
            if isinstance(way, Express):
                way.hold()
        draw_anew()
        try:
            results = self._results_of(rows)
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            self._have_failed(rows, error)
            return True
        at = 0
        for calls, way in zip(rows, ways, strict=True):
            count = len(calls.payloads)
            own = results[at : at + count]
            results[at : at + count] = repeat(None, count)
            at += count
            if isinstance(way, Express):
                self._send_row(own, calls, way, last=at == len(results))
            else:
                self._count_row(own, calls)
        return True

    def _results_of(self, rows: Sequence[Calls]) -> list[Any]:
        """What the function gives for all of these; nobody holds its lists any more then."""
        assert self.work.call is not None
        batch = self.stage.batch
        assert batch is not None
        payloads = list(chain.from_iterable([calls.payloads for calls in rows]))
        given = arguments_of(payloads, joined=False, stack=batch.stack)
        count = len(payloads)
        del payloads
        return results_of(self.work.call(*given), count, self.stage.name)

    def _have_failed(self, rows: Sequence[Calls], error: BaseException) -> None:
        """The one call for these has failed."""
        answers = [Answer(calls.single(at)) for calls in rows for at in range(len(calls.payloads))]
        self._note_failure(answers, error)
        for answer in answers:
            answer.done = True
            self._leaving.add(answer)
        self._settle()

    def _send_row(self, results: list[Any], calls: Calls, way: Express, *, last: bool) -> None:
        """Send the results of a row, in their order.

        They leave as those of single calls do, so each is given up by us before it is looked at: a
        function in the place of the user's gives the next one.
        """
        count, at, row = len(results), 0, self.row
        results.reverse()
        give = partial(next, map(results.pop, repeat(-1, count)))
        more: Callable[[], bool] = self._goes_on if last else _surely
        while at < count:
            if isinstance(way, Keeping):
                most = way.room_at(calls.prefix, calls.ordinals[at], calls.unit + at)
            else:
                most = way.room(calls.prefix, calls.ordinals[at])
            end = min(count, at + (most or 1))
            halt = call_into(
                give,
                calls,
                (at, end),
                row=self._notes,
                edge=0,
                express=way,
                wait=not most,
                more=more,
                at_once=True,
            )
            row[PROCESSED] += halt.at - at
            row[EMPTY] += halt.empty
            at = halt.at
            if at < end:
                self._answer_alone(calls, at, halt)
                at += 1

    def _goes_on(self) -> bool:
        """Whether more items have come than those of this batch."""
        assert self.inbox is not None
        return bool(self._cutter) or self.inbox.arrivals.is_sent_more()

    def _answer_alone(self, calls: Calls, at: int, halt: Halt) -> None:
        """Send a result that is more than a row can pass on; or what follows that it cannot."""
        call = calls.single(at)
        self.hand, self._payload, self._emitted = call.id, call.payload, 0
        error = halt.error
        if error is None:
            try:
                if halt.result is not None:
                    self._emit(halt.result, call.id, (call.lane, call.unit))
            except BaseException as raised:  # what the result is made of is the user's: a boundary
                error = raised
        if error is not None:
            self._call_failed(error, call)
        else:
            self._call_done(call)
        if calls.end_units:
            self.outbox.end_unit(call.lane, call.unit, 1, free=False)

    def _count_row(self, results: list[Any], calls: Calls) -> None:
        """Nobody reads these, unless they name a port."""
        if Routed in map(type, results):
            for at, result in enumerate(results):
                self._answer_alone(calls, at, Halt(at, result=result))
            return
        unread = sum([result is not None for result in results])
        self.outbox.count_unread(OUT, unread)
        self.row[PROCESSED] += len(results)
        self.row[EMPTY] += len(results) - unread

    # ------------------------------------------------------------------- item by item

    def _work_on(self, answers: Sequence[Answer]) -> Iterator[bool]:
        inbox, tries = self.inbox, 0
        assert inbox is not None
        for step in script(answers, self.stage.on_error):
            match step:
                case Attempt(some):
                    if tries:
                        inbox.settle()  # each try has the whole time to itself
                    tries += 1
                    self._try(some)
                case Pause(some, seconds):
                    self._settle()
                    self._back_off(seconds)
                    self.row[RETRIED] += sum([len(one.call.origins) for one in some])
            self._settle()
            yield GOES_ON
        self._settle()

    def _try(self, some: Sequence[Answer]) -> None:
        """Call the function with these, and note what it gives for each."""
        assert self.work.call is not None
        batch = self.stage.batch
        assert batch is not None
        self._turn_to(some[0])
        self._note_hand(some[0])
        draw_anew()
        try:
            payloads = [one.payload() for one in some]
            given = arguments_of(payloads, joined=self._joined, stack=batch.stack)
            results = results_of(self.work.call(*given), len(some), self.stage.name)
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            self._note_failure(some, error)
            return
        self._keep(some, results)


def _surely() -> bool:
    return True

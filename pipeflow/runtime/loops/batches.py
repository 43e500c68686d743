"""The loop of a function that gets its items in lists: ``batch``.

Rows are gathered as rows, as long as nothing but them comes: a list of items is slices of them, and
a list of results leaves as a run. What fails, or has to keep a place of its own, goes item by item,
as ``many`` has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any

from pipeflow.runtime.board import (
    HAND_DEPTH_MAX,
    RECEIVED,
    RETRIED,
    put_hand,
)
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.joins import Calls
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
from pipeflow.runtime.loops.cutter import is_simple
from pipeflow.runtime.loops.together import TogetherLoop
from pipeflow.spec.ports import OUT
from pipeflow.stages.context import draw_anew
from pipeflow.values import dataclass, field


@dataclass(slots=True, kw_only=True)
class BatchLoop(TogetherLoop):
    """A function at work, batch by batch."""

    #: A batch is called once, whatever comes of it.
    _once: bool = field(init=False)

    def __post_init__(self) -> None:
        TogetherLoop.__post_init__(self)
        self._once = not tries_again(self.stage.on_error, self._size)

    # ---------------------------------------------------------------------- in rows

    def _knows_rows(self) -> bool:
        return self._once

    def _fits(self, calls: Calls) -> int:
        deep = len(calls.prefix) >= HAND_DEPTH_MAX
        if deep or not self._once or not is_simple(calls) or self._way_of(calls) is None:
            return 0
        return self._size - self._in_rows

    def _way_of(self, calls: Calls) -> Express | bool | None:
        """The way of a row's results; see ``TogetherLoop``."""
        outbox = self.outbox
        if not calls.end_units:
            return self._own_way()
        keeping = outbox.express_at(OUT, calls.lane, calls.unit)
        return keeping or (None if outbox.needs_ends() else False)

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
            self._send_together(own, calls, way, last=at == len(results))
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

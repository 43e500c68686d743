"""What the loops share whose results are there together: they leave as a run, not one by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import repeat
from typing import Any

from pipeflow.runtime.board import EMPTY, PROCESSED, WORKER_WORDS, Words
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.keeping import Keeping
from pipeflow.runtime.loops.many import ManyLoop
from pipeflow.runtime.loops.rows import Halt, call_into, nowhere
from pipeflow.spec.ports import OUT
from pipeflow.stages.work import Routed
from pipeflow.values import dataclass, field


def _words() -> Words:
    return memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")


@dataclass(slots=True, kw_only=True)
class TogetherLoop(ManyLoop):
    """A function at work on several items at a time, whose results may leave as a run."""

    #: Stands for the board where results leave: it knows of their items already.
    _notes: Words = field(default_factory=_words)

    def _own_way(self) -> Express | bool | None:
        """The way of its results: ``False``: nobody reads them. ``None``: they go one by one."""
        return self.outbox.express(OUT) or (None if self.outbox.is_read(OUT) else False)

    def _send_together(
        self, results: list[Any], calls: Calls, way: Express | bool | None, *, last: bool
    ) -> None:
        """Send the results of a row of calls, one for each, and count them.

        Args:
            results: They are let go of.
            calls: Whose results they are.
            way: Where they go; not ``None``.
            last: Nothing is here that leaves behind them.

        Raises:
            StageStopped: The policy ends the run.
            ReadersGone: Nobody needs any more results of this stage.
        """
        if isinstance(way, Express):
            self._send_row(results, calls, way, last=last)
        else:
            self._count_row(results, calls)

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
            keeping = way if isinstance(way, Keeping) else None
            if keeping is not None:
                most = keeping.room_for(calls, at)
            else:
                most = way.room(calls.prefix, calls.ordinals[at])
            end = min(count, at + (most or 1))
            if keeping is not None:
                keeping.announce(calls, at, end)
            halt = call_into(
                give,
                calls,
                (at, end),
                row=self._notes,
                edge=0,
                express=way,
                wait=not most,
                more=more,
                route=nowhere,
                at_once=True,
            )
            row[PROCESSED] += halt.at - at
            row[EMPTY] += halt.empty
            at = halt.at
            if at < end:
                if keeping is not None:
                    keeping.retract()
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


def _surely() -> bool:
    return True

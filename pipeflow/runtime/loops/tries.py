"""What follows when a try of an item fails, and others are left: ``on_error: {retries: …}``.

An item's results are held until it is done, and leave together: what a failed try has given was
never there. So ``TryLoop`` goes item by item, and the price is paid by such stages alone; in an
isolated stage only by items that give many results, or fail (``isolation.row_loop``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeflow.runtime.board import RETRIED
from pipeflow.runtime.flow.joins import Call, Calls
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.loops.calls import CallLoop, is_many
from pipeflow.runtime.loops.copies import AsItCame
from pipeflow.runtime.loops.forgotten import FORGOTTEN, refuse_forgotten
from pipeflow.runtime.loops.stopped import CONTROL
from pipeflow.runtime.messages import ItemId
from pipeflow.runtime.retry import wait_before_next
from pipeflow.stages.context import draw_anew
from pipeflow.values import dataclass


@dataclass(slots=True, kw_only=True)
class Tries(CallLoop):
    """Calls that are tried several times if need be."""

    def _call(self, call: Call) -> None:
        """Try an item until it is done, or has failed for the last time."""
        self._receive(call)
        item = AsItCame(call.payload)
        self._attempt = self.tried() + 1
        self._see_through(call, item, self._try(call, item))

    def _see_through(self, call: Call, item: AsItCame, error: BaseException | None) -> None:
        """An item was tried once; try it until it is done, or has failed for the last time.

        Args:
            call: Its call.
            item: What the user's function gets.
            error: Why the first try failed; ``None``: it did not.
        """
        while error is not None:
            wait_s = self._wait_after(error)
            if wait_s is None:
                self._payload = item.take()
                self._call_failed(error, call)
                return
            self._attempt += 1
            error = None  # what its frames hold is let go of before we wait
            error = self._try_again(call, item, wait_s)
        self._call_done(call)

    def _try_again(self, call: Call, item: AsItCame, wait_s: float) -> BaseException | None:
        """One more try, after a wait; why it failed."""
        try:
            self._back_off(wait_s)
        except BaseException as error:  # what ends the wait: the loop tells it from a failure
            return error
        self.row[RETRIED] += len(call.origins)
        draw_anew()
        return self._try(call, item)

    def _try(self, call: Call, item: AsItCame) -> BaseException | None:
        """One try; why it failed."""
        assert self.work.call is not None
        try:
            self._emitted, self._payload = 0, item.take()
            given = self._payload if self._joined else (self._payload,)
            return self._send_all(self.work.call(*given), call)
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            return error

    def _send_all(self, result: Any, call: Call) -> BaseException | None:
        """Send all that one try gives, once it has given it; why that failed."""
        try:
            for item, each in self._results(result, call):
                self._emit(each, item, (call.lane, call.unit))
        except BaseException as error:  # what the result is made of is the user's: a boundary
            return error
        return None

    def _results(self, result: Any, call: Call) -> list[tuple[ItemId, Any]]:
        """All that one try gives, each with its id."""
        if type(result) in FORGOTTEN:
            refuse_forgotten(result)
        if not is_many(result):
            return [] if result is None else [(call.id, result)]
        held: list[tuple[ItemId, Any]] = []
        try:
            for each in result:
                if each is not None:
                    item = (*call.id, len(held))
                    held.append((item, self._held(each, item)))
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return held

    def _wait_after(self, error: BaseException) -> float | None:
        """Seconds to wait before the next try; ``None``: there is none."""
        ours = isinstance(error, CONTROL) and not isinstance(error, ResultNotSerializable)
        if ours or self._emitted:  # what has left cannot be taken back
            return None
        return wait_before_next(self.stage.on_error, self._attempt)


@dataclass(slots=True, kw_only=True)
class TryLoop(Tries):
    """A function at work, item by item."""

    def _knows_rows(self) -> bool:
        return False

    def _call_all(self, calls: Calls) -> Iterator[bool]:
        for index in range(len(calls.payloads)):
            self._call(calls.single(index))
            if self._spending.ahead:
                self._judge_at_mark()
        yield from ()

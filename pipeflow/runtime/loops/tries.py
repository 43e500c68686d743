"""The loop of a stage whose failing items are tried again: ``on_error: {retries: …}``.

An item's results are held until it is done, and leave together: what a failed try has given was
never there. So it goes item by item, and the price is paid by such stages alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeflow.errors import ItemNotSerializable
from pipeflow.runtime.board import RETRIED
from pipeflow.runtime.flow.joins import Call, Calls
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.loops.base import CONTROL
from pipeflow.runtime.loops.calls import CallLoop, is_many
from pipeflow.runtime.loops.copies import AsItCame, as_it_is
from pipeflow.runtime.messages import ItemId
from pipeflow.runtime.retry import wait_before_next
from pipeflow.stages.context import current
from pipeflow.stages.work import Routed
from pipeflow.values import dataclass


@dataclass(slots=True, kw_only=True)
class TryLoop(CallLoop):
    """A function at work, item by item, several times if need be."""

    def _call_all(self, calls: Calls) -> Iterator[bool]:
        for index in range(len(calls.payloads)):
            self._call(calls.single(index))
            if self._spending.ahead:
                self._judge_at_mark()
        yield from ()

    def _call(self, call: Call) -> None:
        """Try an item until it is done, or has failed for the last time."""
        self._receive(call)
        item, place = AsItCame(call.payload), (call.lane, call.unit)
        before = self.tried()
        self._attempt, wait_s = before + 1, 0.0
        while True:
            try:
                if self._attempt > before + 1:
                    self._back_off(wait_s)
                    self.row[RETRIED] += len(call.origins)
                    _draw_anew()
                self._emitted, self._payload = 0, item.take()
                for each, result in self._results(self._payload, call):
                    self._emit(result, each, place)
            except BaseException as error:  # the user's code, sys.exit too: a boundary
                more = self._wait_after(error)
                if more is None:
                    self._payload = item.take()
                    self._call_failed(error, call)
                    return
                wait_s = more
                self._attempt += 1
            else:
                self._call_done(call)
                return

    def _results(self, payload: Any, call: Call) -> list[tuple[ItemId, Any]]:
        """All that one try gives, each with its id."""
        assert self.work.call is not None
        result = self.work.call(*(payload if self._joined else (payload,)))
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

    def _held(self, result: Any, item: ItemId) -> Any:
        """One of many results, as it is now; what would be wrong with it later is found here."""
        port, payload = self._port_of(result)
        try:
            kept = as_it_is(payload)
        except ItemNotSerializable as error:
            raise ResultNotSerializable(item, error) from error
        return Routed(port, kept) if type(result) is Routed else kept

    def _wait_after(self, error: BaseException) -> float | None:
        """Seconds to wait before the next try; ``None``: there is none."""
        ours = isinstance(error, CONTROL) and not isinstance(error, ResultNotSerializable)
        if ours or self._emitted:  # what has left cannot be taken back
            return None
        return wait_before_next(self.stage.on_error, self._attempt)

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


def _draw_anew() -> None:
    """Each try draws the random numbers of its item from the first one on."""
    context = current()
    if context is not None:
        context.drawn = None

"""The loop of a stage whose failing items are tried again: ``on_error: {retries: …}``.

An item's results are held until it is done, and leave together: what a failed try has given was
never there. So it goes item by item, and the price is paid by such stages alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeflow.runtime.board import RETRIED
from pipeflow.runtime.flow.joins import Call, Calls
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.loops.base import CONTROL
from pipeflow.runtime.loops.calls import CallLoop, is_many
from pipeflow.runtime.loops.copies import AsItCame
from pipeflow.runtime.loops.forgotten import FORGOTTEN, refuse_forgotten
from pipeflow.runtime.messages import ItemId
from pipeflow.runtime.retry import wait_before_next
from pipeflow.stages.context import draw_anew
from pipeflow.values import dataclass


@dataclass(slots=True, kw_only=True)
class TryLoop(CallLoop):
    """A function at work, item by item, several times if need be."""

    def _knows_rows(self) -> bool:
        return False

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
                    draw_anew()
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

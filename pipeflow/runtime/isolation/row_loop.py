"""The runner's loop for the plainest of stages: a function that answers each item by itself.

What it gives travels in a form of its own as long as it is plain; all else goes the way of the
ordinary loop.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from pipeflow.runtime.board import EMPTY, HAND, HAND_DEPTH, HAND_DEPTH_MAX, PROCESSED, RECEIVED
from pipeflow.runtime.flow.joins import Call, Calls
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.runs import UNCHANGING, is_settled
from pipeflow.runtime.isolation.link import Cell, Link
from pipeflow.runtime.loops.base import GOES_ON
from pipeflow.runtime.loops.calls import CallLoop, is_many
from pipeflow.runtime.loops.copies import AsItCame
from pipeflow.runtime.loops.rows import Halt
from pipeflow.runtime.loops.tries import Tries
from pipeflow.spec.ports import OUT
from pipeflow.stages.work import Routed
from pipeflow.values import dataclass

#: A plain number: to look a member of an enum up takes longer than to read its cell.
_LEAVE: Final = int(Cell.LEAVE)


@dataclass(slots=True, kw_only=True)
class RowLoop(CallLoop):
    """Calls in a row.

    Args:
        link: To the keeper.
        put_quick: Tells it that a call is done, and what it gave; whether that could be told so.
        put_nothing: Tells it that one is done that gave nothing.
    """

    link: Link
    put_quick: Callable[[Any], bool]
    put_nothing: Callable[[], None]
    _halt: Halt | None = None

    def _call_all(self, calls: Calls) -> Iterator[bool]:
        deep = len(calls.prefix) >= HAND_DEPTH_MAX
        cells = self.link.cells
        for at in range(len(calls.payloads)):
            if cells[_LEAVE]:
                raise ReadersGone
            if deep:
                many = self._call(calls.single(at))
                told = False
            else:
                self._halt = self._call_quickly(calls, at)
                told = self._halt is None
                many = None if told else self._go_on(calls.single(at))
            if many is not None:
                yield from many
            if not told:
                yield GOES_ON
            if self._spending.ahead:
                self._judge_at_mark()

    def _go_on(self, call: Call) -> Iterator[bool] | None:
        """What follows the call that could not be told quickly."""
        return self._answer(call, self._halted())

    def _halted(self) -> Halt:
        """What came of it; whoever takes it is the only one to hold it."""
        halt, self._halt = self._halt, None
        assert halt is not None
        return halt

    def _for_call(self, payload: Any) -> Any:
        """What the user's function gets."""
        return payload

    def _call_quickly(self, calls: Calls, at: int) -> Halt | None:
        """One call; what came of it, if that is more than can be told quickly."""
        row, call, prefix = self.row, self.work.call, calls.prefix
        assert call is not None
        self.hand = ()
        depth = len(prefix)
        if depth == 1:  # most are: what a stage has made
            row[HAND] = prefix[0]
        else:
            for place, part in enumerate(prefix):
                row[HAND + place] = part
        row[HAND + depth], row[HAND_DEPTH] = calls.ordinals[at], depth + 1
        self.link.begin()
        row[RECEIVED] += 1
        try:
            result = call(self._for_call(calls.payloads[at]))
            plain = result is None or (_is_plain(result) and self.outbox.is_read(OUT))
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            return Halt(at, error=error)
        # Outside: an item of which something was told has not failed.
        if not plain or (result is not None and not self.put_quick(result)):
            return Halt(at, result=result)
        row[PROCESSED] += 1
        if result is None:
            row[EMPTY] += 1
            self.put_nothing()
        return None


@dataclass(slots=True, kw_only=True)
class RowTryLoop(Tries, RowLoop):
    """Calls in a row, of which one that fails is tried again: all tries but the first go slowly."""

    _item: AsItCame | None = None

    def _for_call(self, payload: Any) -> Any:
        self._item = None
        if type(payload) in UNCHANGING:
            return payload
        self._item = AsItCame(payload)
        return self._item.take()

    def _go_on(self, call: Call) -> None:
        self.hand, self._payload, self._emitted, self._attempt = call.id, call.payload, 0, 1
        item, self._item = self._item, None
        self._see_through(call, item or AsItCame(call.payload), self._error_of_first(call))

    def _error_of_first(self, call: Call) -> BaseException | None:
        """Why the first try failed, unless what it gave could be sent after all."""
        halt = self._halted()
        return halt.error if halt.error is not None else self._send_all(halt.result, call)


def _is_plain(result: Any) -> bool:
    """Whether a result is one item, without arrays that could stay where they are."""
    kind = type(result)
    if kind in UNCHANGING:
        return True
    if "numpy" in sys.modules:
        return is_settled(result, alone=True)
    return kind is not Routed and not is_many(result)

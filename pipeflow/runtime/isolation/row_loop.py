"""The runner's loop for the plainest of stages: a function that answers each item by itself.

What it gives travels in a form of its own as long as it is plain; all else goes the way of the
ordinary loop.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from pipeflow.runtime.board import EMPTY, HAND, HAND_DEPTH, HAND_DEPTH_MAX, PROCESSED, RECEIVED
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.runs import UNCHANGING, is_settled
from pipeflow.runtime.isolation.link import Cell, Link
from pipeflow.runtime.loops.base import GOES_ON
from pipeflow.runtime.loops.calls import CallLoop, is_many
from pipeflow.runtime.loops.rows import Halt
from pipeflow.spec.pipeline import OUT
from pipeflow.stages.work import Routed
from pipeflow.values import dataclass


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

    def _call_all(self, calls: Calls) -> Iterator[bool]:
        deep = len(calls.prefix) >= HAND_DEPTH_MAX
        for at in range(len(calls.payloads)):
            if self.link.cells[Cell.LEAVE]:
                raise ReadersGone
            if deep:
                many = self._call(calls.single(at))
                told = False
            else:
                halt = self._call_quickly(calls, at)
                told = halt is None
                many = None if halt is None else self._answer(calls.single(at), halt)
                del halt
            if many is not None:
                yield from many
            if not told:
                yield GOES_ON
            if self._spending.ahead:
                self._judge_at_mark()

    def _call_quickly(self, calls: Calls, at: int) -> Halt | None:
        """One call; what came of it, if that is more than can be told quickly."""
        row, call, depth = self.row, self.work.call, len(calls.prefix)
        assert call is not None
        self.hand = ()
        for place, part in enumerate(calls.prefix):
            row[HAND + place] = part
        row[HAND + depth], row[HAND_DEPTH] = calls.ordinals[at], depth + 1
        self.link.begin()
        row[RECEIVED] += 1
        try:
            result = call(calls.payloads[at])
            if result is not None:
                plain = _is_plain(result) and self.outbox.is_read(OUT)
                if not (plain and self.put_quick(result)):
                    return Halt(at, result=result)
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            return Halt(at, error=error)
        row[PROCESSED] += 1
        if result is None:
            row[EMPTY] += 1
            self.put_nothing()
        return None


def _is_plain(result: Any) -> bool:
    """Whether a result is one item, without arrays that could stay where they are."""
    kind = type(result)
    if kind in UNCHANGING:
        return True
    if "numpy" in sys.modules:
        return is_settled(result, alone=True)
    return kind is not Routed and not is_many(result)

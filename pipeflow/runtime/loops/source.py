"""The loop of a source: ask the user's code for items until it ends or nobody needs more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeflow.runtime.board import HAND_DEPTH, RECEIVED, TOTAL, put_hand
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.loops.base import GOES_ON, StageLoop
from pipeflow.runtime.loops.stopped import CONTROL
from pipeflow.runtime.messages import ItemId
from pipeflow.stages.work import BadRecord, DrainInterrupt
from pipeflow.values import dataclass


@dataclass(slots=True, kw_only=True)
class SourceLoop(StageLoop):
    """A source at work."""

    def _run(self) -> Iterator[bool]:
        start = self.work.source
        assert start is not None
        items: Iterator[Any] = iter(())
        try:
            try:
                self.asking[0] = True
                items = iter(self._items_of(start()))
                self._note_total()
            except DrainInterrupt:
                return
            except CONTROL:
                raise
            except BaseException as error:  # the user's code, sys.exit too: a boundary
                raise self._stopped(error, "item") from None
            finally:
                self.asking[0] = False
            yield from self._pump(items)
            self._judge_at_end()
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                self._guard("close", close)

    def _pump(self, items: Iterator[Any]) -> Iterator[bool]:
        """Give out a source's items until it ends, is drained, or nobody needs more."""
        while not self.stopping[0]:
            got = self._gather(items, (self.stage.index,), self._ordinal, stopping=self.stopping)
            self._ordinal += got.appended
            if got.error is not None:
                self._over(got.error)
                return
            if self._spending.ahead:
                self._judge_at_mark()
            result = got.result
            del got
            if result is not None:
                self._emit_one(result)
                result = None
            yield GOES_ON

    def _over(self, error: BaseException) -> None:
        """The source has ended, one way or another.

        Raises:
            StageStopped: The user's code failed.
        """
        if isinstance(error, StopIteration | DrainInterrupt):
            return
        if isinstance(error, ResultNotSerializable):
            self._ordinal += 1
            raise self._not_serializable(error) from None
        if isinstance(error, CONTROL):
            raise error
        self.hand = (self.stage.index, self._ordinal)
        raise self._stopped(error, "item") from None

    def _emit_one(self, result: Any) -> None:
        """Send an item of any kind."""
        item = (self.stage.index, self._ordinal)
        self._ordinal += 1
        put_hand(self.row, item)
        if type(result) is BadRecord:
            self._give_up_record(result, item)
        else:
            try:
                self._emit(result, item, (0, 0))
            except ResultNotSerializable as error:
                raise self._not_serializable(error) from None
            except CONTROL:
                raise
            except BaseException as error:  # a partition key of the user's: a boundary
                self.hand, self._payload = item, result
                raise self._stopped(error, "item") from None
        self.row[HAND_DEPTH] = 0

    def _seen(self) -> int:
        """A source receives only what it cannot read; its budget is for all its records."""
        return self._ordinal

    def _note_total(self) -> None:
        if self.work.total is not None:
            total = self.work.total()
            self.row[TOTAL] = 0 if total is None else total + 1

    def _give_up_record(self, record: BadRecord, item: ItemId) -> None:
        """A record that a built-in source could not read."""
        self.row[RECEIVED] += 1
        # The address of a server may have a key in it.
        found = self.mask(record.item) if isinstance(record.item, str) else record.item
        self._payload, self.hand = found, item
        self._give_up(record.error, "item", count=1, place=(0, 0))

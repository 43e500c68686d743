"""The loop of a source: ask the user's code for items until it ends or nobody needs more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from sys import getrefcount
from typing import Any

from pipeflow.runtime.board import HAND_DEPTH, RECEIVED, TOTAL, put_hand
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.flow.runs import HOLDING, OURS, UNCHANGING, all_unchanging
from pipeflow.runtime.loops.base import CONTROL, GOES_ON, DrainInterrupt, StageLoop
from pipeflow.runtime.messages import ItemId
from pipeflow.spec.pipeline import OUT
from pipeflow.stages.work import BadRecord


@dataclass(slots=True, kw_only=True)
class SourceLoop(StageLoop):
    """A source at work.

    Args:
        in_users_source: The user's code is being asked for its next item.
    """

    in_users_source: bool = False

    def _run(self) -> Iterator[bool]:
        start = self.work.source
        assert start is not None
        items: Iterator[Any] = iter(())
        try:
            try:
                self.in_users_source = True
                items = iter(start() or ())
                self._note_total()
            except DrainInterrupt:
                return
            except Exception as error:  # the user's code: a boundary
                raise self._stopped(error, "item") from None
            finally:
                self.in_users_source = False
            yield from self._pump(items)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                self._guard("close", close)

    def _pump(self, items: Iterator[Any]) -> Iterator[bool]:
        """Give out a source's items until it ends, is drained, or nobody needs more."""
        while not self.stopping():
            express, most = self.outbox.express(OUT), 1
            if express is not None:
                most = express.room()
                express.begin((self.stage.index,))
            try:
                result = self._append(items, most, express)
            except (StopIteration, DrainInterrupt):
                return
            finally:
                self.in_users_source = False
            if result is not None:
                self._emit_one(result)
                result = None
            yield GOES_ON

    def _append(self, items: Iterator[Any], most: int, express: Express | None) -> Any:
        """The tight loop: append items that can travel as they are; the first that is more.

        See ``rows.call_into`` for which those are.

        Returns:
            The item that is more, or ``None``.

        Raises:
            StopIteration: There are no more.
        """
        stopping = self.stopping
        if express is None or express.run.pile is not None:
            return self._next(items)
        run, words, sent, taken = express.run, express.words, express.sent, express.taken
        waiting = run.payloads
        append, append_ordinal = waiting.append, run.ordinals.append
        for _ in range(most):
            # Only what happens in the user's code may be cut short by a drain.
            self.in_users_source = True
            try:
                result = next(items)
            except (StopIteration, DrainInterrupt):
                raise
            except BaseException as error:  # the user's code: a boundary
                self.hand = (self.stage.index, self._ordinal)
                raise self._stopped(error, "item") from None
            self.in_users_source = False
            kind = type(result)
            if kind is dict:
                if getrefcount(result) != OURS:
                    return result
                for key, value in result.items():
                    if type(value) not in UNCHANGING or type(key) not in UNCHANGING:
                        return result
            elif kind in HOLDING:
                if getrefcount(result) != OURS or not all_unchanging(result):
                    return result
            elif result is None:
                if stopping():
                    return None
                continue
            elif kind not in UNCHANGING:
                return result
            append_ordinal(self._ordinal)
            append(result)
            self._ordinal += 1
            if len(waiting) >= express.least and (
                words[taken] >= words[sent] if words is not None else express.target.idle()
            ):
                express.send()
            elif not express.woken:
                express.wake_up()
            if stopping():
                return None
        return None

    def _next(self, items: Iterator[Any]) -> Any:
        """The next item; ``None`` too means nothing to pass on."""
        try:
            self.in_users_source = True
            return next(items)
        except (StopIteration, DrainInterrupt):
            raise
        except BaseException as error:  # the user's code: a boundary
            self.hand = (self.stage.index, self._ordinal)
            raise self._stopped(error, "item") from None
        finally:
            self.in_users_source = False

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
            except Exception as error:  # a partition key of the user's: a boundary
                self.hand, self._payload = item, result
                raise self._stopped(error, "item") from None
        self.row[HAND_DEPTH] = 0

    def _note_total(self) -> None:
        if self.work.total is not None:
            total = self.work.total()
            self.row[TOTAL] = 0 if total is None else total + 1

    def _give_up_record(self, record: BadRecord, item: ItemId) -> None:
        """A record that a built-in source could not read."""
        self.row[RECEIVED] += 1
        self._payload, self.hand = record.item, item
        self._give_up(record.error, "item", count=1, place=(0, 0))

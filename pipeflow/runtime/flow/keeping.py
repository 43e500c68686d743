"""The express way of a stage that keeps the units of its input: rows of one result for one item.

    calls    17   18   19      20            21   22       numbers of their units
    results  a    b    c       many          d    e
             └─ run ────┘      └ batch ┘     └ run ┘       in this order on one channel

What is more than one result, or none, goes the outbox's longer way. Each way sends what it holds
before the other begins, so units rise on the channel, as its reader needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.targets import Target
from pipeflow.runtime.messages import ItemId


class Keeping(Express):
    """See ``Express`` for the arguments.

    Args:
        target: Where all items go.
        send_batch: Sends what waits there on the longer way. Called with the lock.
    """

    def __init__(self, target: Target, *, send_batch: Callable[[], None], **settings: Any) -> None:
        super().__init__(target, **settings)
        self._send_batch = send_batch

    def room_at(self, prefix: ItemId, ordinal: int, unit: int) -> int:
        """``room``, for items that are units from this one on.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        run = self.run
        with self._lock:
            self._raise_refused()
            self._go_on_at(unit)
            run.begin(prefix, ordinal)
            return self._look()

    def add_at(
        self, payload: Any, item: ItemId, unit: int, *, settled: bool, more: bool = False
    ) -> None:
        """One result that is this unit, by itself; see ``add``. With the lock.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
            ResultNotSerializable: It cannot be pickled.
        """
        self._go_on_at(unit)
        self.add(payload, item[:-1], item[-1], settled=settled, more=more)

    def flush(self) -> None:
        super().flush()
        # What went here the longer way has not counted, nor this what goes there: both look again.
        self.target.credit = self._until = 0

    def _go_on_at(self, unit: int) -> None:
        """The next item is this unit: what cannot stand before it in a frame leaves."""
        run = self.run
        self._send_batch()
        waiting = len(run.payloads)
        if run.first + waiting != unit or waiting >= self.batch_items:
            self.flush()
            run.go_on_at(unit)

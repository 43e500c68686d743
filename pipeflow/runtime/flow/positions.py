"""The zip of ports from different sources, by position. Pure, as all joins."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pipeflow.runtime.flow.abreast import Row, cut, is_run, pairs, rows_of
from pipeflow.runtime.flow.collector import Arrived, Collector
from pipeflow.runtime.flow.joins import Lone, Origin, Output, Passed, UnitEnd


class ZipByPosition:
    """Ports from different sources: the first of each, the second of each, and so on.

    Ends with its shortest input; what the others still bring is lone. Each position is a unit then
    as before, so that readers of several replicas know the order.

    Args:
        collectors: One for each port, in the order of the arguments.
        first: Position of the first call that this replica makes.
        step: Distance between its positions.
        unit_ends: Whether the stage wants to know where units end: if it keeps them.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        *,
        first: int = 0,
        step: int = 1,
        unit_ends: bool = True,
    ) -> None:
        self._collectors = collectors
        self._unit_ends = unit_ends
        self._items: list[deque[Row]] = [deque() for _ in collectors]
        self._ready: deque[Output] = deque()
        self._position = first
        self._step = step
        self._rows = False
        self.cut_short = False

    def give_rows(self) -> None:
        """From now on calls may come as ``Calls``."""
        self._rows = self._step == 1

    def take(self) -> Output | None:
        while not self._ready:
            if not self._pull():
                self._find_end()
                return self._ready.popleft() if self._ready else None
        return self._ready.popleft()

    def _pull(self) -> bool:
        moved = False
        for port, collector in enumerate(self._collectors):
            arrived = collector.take()
            if arrived is None:
                continue
            moved = True
            self._hold(port, arrived)
        while all(self._items):
            self._pair(min([len(queue[0].payloads) for queue in self._items]))
        return moved

    def _hold(self, port: int, arrived: Arrived) -> None:
        part = arrived.part
        origin = Origin(port, arrived.writer, arrived.frame)
        if is_run(part):
            self._items[port].extend(rows_of(part, origin))
        else:
            self._items[port].extend(
                [Row(part.unit, item[:-1], [item[-1]], [load], origin) for item, load in part.items]
            )
        if part.cost:
            self._ready.append(Passed(origin, part.cost))

    def _pair(self, count: int) -> None:
        """Make calls of the next items of all ports."""
        rows = [cut(queue, count) for queue in self._items]
        calls = pairs(rows, 0, self._position, end_units=self._unit_ends)
        if self._rows:
            self._ready.append(calls)
            self._position += count
            return
        for at in range(count):
            self._ready.append(calls.single(at)._replace(unit=self._position))
            self._ready.append(UnitEnd(0, self._position, 1, free=False))
            self._position += self._step

    def _find_end(self) -> None:
        """Once one port has ended, what the others hold has no partner: position by position."""
        over = [collector.exhausted() for collector in self._collectors]
        ports = list(zip(self._items, over, strict=True))
        if not any(ended and not queue for queue, ended in ports):
            return
        while any(self._items) and all(queue or ended for queue, ended in ports):
            self.cut_short = True
            for row in [cut(queue, 1) for queue in self._items if queue]:
                (ordinal,), (payload,) = row.ordinals, row.payloads
                item = (*row.prefix, ordinal)
                self._ready.append(Lone(payload, item, 0, self._position, row.origin))
            self._ready.append(UnitEnd(0, self._position, 1, free=True))
            self._position += self._step

    def shortest_ended(self) -> bool:
        """Whether an input has ended, so that no more calls will come."""
        return any(
            not queue and collector.exhausted()
            for queue, collector in zip(self._items, self._collectors, strict=True)
        )

    def over(self) -> bool:
        if self._ready:
            return False
        return all(
            not queue and collector.exhausted()
            for queue, collector in zip(self._items, self._collectors, strict=True)
        )

    def waits_for(self) -> int | None:
        for port, queue in enumerate(self._items):
            if not queue and not self._collectors[port].exhausted():
                return port
        return None

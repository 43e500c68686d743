"""The joins of a stage whose every call takes one item: of one edge, or of several as they come.

Pure, as all joins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from pipeflow.runtime.flow.collector import Arrived, Collector
from pipeflow.runtime.flow.gapped import GAPPED_FORM, GappedItems
from pipeflow.runtime.flow.joins import Call, Calls, Origin, Output, Passed, UnitEnd
from pipeflow.runtime.flow.runs import PLAIN_FORM, Items, plain_run
from pipeflow.runtime.flow.units import Part, parts_of, parts_with_gaps, row_of

#: The shortest way to make what is made for each frame.
_make_origin: Final[Callable[[tuple[Any, ...]], Origin]] = partial(tuple.__new__, Origin)
_make_calls: Final[Callable[[tuple[Any, ...]], Calls]] = partial(tuple.__new__, Calls)
#: What a row of calls says beside that, if it does not end its units.
_WITHOUT_GAPS: Final = tuple(Calls._field_defaults.values())


class Straight:
    """One edge whose units are due as they come.

    Most stages have it so. It is the edge's collector and the join at once, for what comes needs
    neither: a frame of a run becomes one ``Calls``.

    Args:
        writers: How many workers write the edge to this reader.
        lanes: How many lanes it has.
        lane_base: Number of its first lane among all lanes of the stage.
        unit_ends: Whether the stage wants to know where units end: if it keeps them.

    Attributes:
        unit_ends: See there.
        ordered: Nothing has to be waited for.
    """

    ordered = False

    def __init__(
        self, *, writers: int, lanes: int, lane_base: int, unit_ends: bool = False
    ) -> None:
        self._open = set(range(writers))
        self._base = lane_base
        self.unit_ends = unit_ends
        self._rows = not unit_ends
        self._more = _WITHOUT_GAPS if not unit_ends else (True, *_WITHOUT_GAPS[1:])
        #: What was made of frames and not taken yet.
        self.ready: deque[Output] = deque()
        #: For each lane, the number after the last unit that came.
        self.frontier = [0] * lanes

    def give_rows(self) -> None:
        """From now on units that are one item each may come as ``Calls`` that end them."""
        self._rows = True

    def feed_frame(self, writer: int, meta: bytes, payloads: list[Any], frame: object) -> None:
        """A frame has come."""
        if self._rows and meta[0] == PLAIN_FORM:
            self.ready.append(self._calls_of(writer, meta, payloads, frame))
            return
        whole = meta[0] == GAPPED_FORM if not self.unit_ends else self._rows
        row = row_of(meta, payloads) if whole else None
        for part in parts_of(meta, payloads) if row is None else (row,):
            self.feed(writer, part, frame)

    def row_of(self, writer: int, meta: bytes, payloads: list[Any], frame: object) -> Calls | None:
        """``feed_frame`` and ``take`` at once, while nothing is ready; ``None``: ``take`` it."""
        if self._rows and meta[0] == PLAIN_FORM:
            return self._calls_of(writer, meta, payloads, frame)
        self.feed_frame(writer, meta, payloads, frame)
        return None

    def _calls_of(self, writer: int, meta: bytes, payloads: list[Any], frame: object) -> Calls:
        """What a frame is whose meta begins with ``PLAIN_FORM``."""
        count = len(payloads)
        unit, prefix, ordinals = plain_run(meta, count)
        self.frontier[0] = max(self.frontier[0], unit + count)
        origin = _make_origin((0, writer, frame))
        return _make_calls((prefix, ordinals, payloads, self._base, unit, origin, *self._more))

    def feed(self, writer: int, part: Part, frame: object) -> None:
        """A part has come."""
        lane, unit, span, *_ = part
        self.frontier[lane] = max(self.frontier[lane], unit + span)
        lane, origin = lane + self._base, Origin(0, writer, frame)
        if self.unit_ends:
            _append_units(self.ready, part, lane, origin, over=part.closed, rows=self._rows)
        else:
            _append_calls(self.ready, part, lane, origin)

    def end(self, writer: int) -> None:
        """Nothing more comes from this writer."""
        self._open.discard(writer)

    def take(self) -> Output | None:
        return self.ready.popleft() if self.ready else None

    def over(self) -> bool:
        return not self.ready and not self._open

    def waits_for(self) -> int | None:
        return 0


class Merge:
    """One input, or several as they come: each item is a call.

    Args:
        collectors: One for each edge.
        lane_bases: Number of each edge's first lane among all lanes of the stage.
        unit_ends: Whether the stage wants to know where units end: if it keeps them.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        lane_bases: Sequence[int],
        *,
        unit_ends: bool = True,
    ) -> None:
        self._collectors = collectors
        self._bases = lane_bases
        self._unit_ends = unit_ends
        self._rows = False
        self._ready: deque[Output] = deque()
        self._next = 0

    def give_rows(self, *, woven: bool) -> None:
        """From now on units that are one item each may come as ``Calls`` that end them.

        Args:
            woven: Where nobody asks for the ends of units, rows may be of several frames.
        """
        self._rows = self._unit_ends and not any(c.shared for c in self._collectors)
        for collector in self._collectors:
            known = self._rows if self._unit_ends else woven or not collector.shared
            collector.keeps_rows = known and collector.may_keep_rows

    def take(self) -> Output | None:
        ready = self._ready
        while not ready:
            if not self._take_next():
                return None
        return ready.popleft()

    def _lay_out(self, port: int, arrived: Arrived) -> None:
        """Make calls of a part, and tell where its units end."""
        part, ready = arrived.part, self._ready
        origin = Origin(port, arrived.writer, arrived.frame)
        lane = part.lane + self._bases[port]
        if self._unit_ends:
            _append_units(ready, part, lane, origin, over=arrived.ends_unit, rows=self._rows)
        else:
            _append_calls(ready, part, lane, origin)

    def _take_next(self) -> bool:
        """Lay out what is next, of the edges in turn, so that a busy one does not starve others.

        Returns:
            Whether there was anything.
        """
        count = len(self._collectors)
        for offset in range(count):
            port = (self._next + offset) % count
            collector = self._collectors[port]
            pieces = collector.take_rows()
            arrived = None if pieces else collector.take()
            if pieces:
                from pipeflow.runtime.flow.weaving import weave  # few stages have several writers

                lane = pieces[0][0].lane + self._bases[port]
                self._ready.extend(weave(pieces, port, lane))
            elif arrived is not None:
                self._lay_out(port, arrived)
            else:
                continue
            self._next = port + 1
            return True
        return False

    def over(self) -> bool:
        return not self._ready and all(c.exhausted() for c in self._collectors)

    def waits_for(self) -> int | None:
        return 0 if len(self._collectors) == 1 else None


def _append_units(
    ready: deque[Output], part: Part, lane: int, origin: Origin, *, over: bool, rows: bool
) -> None:
    """Make calls of a part, and tell where its units end.

    Args:
        ready: Where they are appended.
        part: The part.
        lane: Of its units, among all lanes of the stage.
        origin: Where it came from.
        over: Its unit is complete with it.
        rows: Units that are one item each may be ``Calls`` that end them.
    """
    unit, items = part.unit, part.items
    if type(items) is GappedItems:
        _append_row(ready, items, lane, origin)
    elif rows and type(items) is Items and part.closed:
        for prefix, ordinals, loads in items.stretches():
            ready.append(Calls(prefix, ordinals, loads, lane, unit, origin, end_units=True))
            unit += len(loads)
    elif part.span > 1 and items:
        for item, load in items:
            ready.append(Call(load, item, lane, unit, (origin,)))
            ready.append(UnitEnd(lane, unit, 1, free=False))
            unit += 1
    else:
        _append_calls(ready, part, lane, origin)
        if over:
            ready.append(_end_of(part, lane))


def _append_row(ready: deque[Output], items: GappedItems, lane: int, origin: Origin) -> None:
    """Make calls that end their units, and those between them."""
    told = items.told
    if told.empties or not items.payloads:
        for part in parts_with_gaps(items):
            _append_calls(ready, part, lane, origin)
            ready.append(_end_of(part, lane))
        return
    whole = Calls(
        (),
        told.ordinals,
        items.payloads,
        lane,
        told.unit,
        origin,
        end_units=True,
        units=told.units,
        end=told.end,
    )
    start = 0
    for prefix, ordinals, _ in items.stretches():
        stop = start + len(ordinals)
        ready.append(whole.part(start, stop)._replace(prefix=prefix))
        start = stop


def _append_calls(ready: deque[Output], part: Part, lane: int, origin: Origin) -> None:
    """Make calls of a part, and give back what it costs beside them."""
    _, unit, _, items, _, cost, _ = part
    if isinstance(items, Items):
        # One that gave nothing is no row: who keeps an isolated stage asks for its first item.
        for prefix, ordinals, payloads in items.stretches() if len(items) else ():
            ready.append(Calls(prefix, ordinals, payloads, lane, unit, origin))
            unit += len(payloads)
    else:
        ready.extend([Call(load, item, lane, unit, (origin,)) for item, load in items])
    if cost:
        ready.append(Passed(origin, cost))


def _end_of(part: Part, lane: int) -> UnitEnd:
    """What says that the units of a part are complete."""
    return UnitEnd(lane, part.unit, part.span, not part.items and not part.cost)

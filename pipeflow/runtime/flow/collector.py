"""The collector: parts of units from several writers become units in their order. Pure.

One collector serves one edge of one reader. Each writer's units rise on each lane (a channel is
first in, first out), so the next unit is always at the head of some writer's queue or not here yet.

    writer 0   [18][21]                  waiting for 17: nothing is given out
    writer 1   [17][20][22]      ──>     17, 18, then 19 is waited for
    writer 2   [19 ...

What decides is three facts of the plan: whether order is wanted at all, whether a unit comes whole
from one writer or in parts from each, and which units this reader gets (all, or every m-th).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from pipeflow.errors import ProtocolError
from pipeflow.runtime.flow.gapped import GappedItems
from pipeflow.runtime.flow.runs import PLAIN_FORM
from pipeflow.runtime.flow.units import Part, cut_row, parts_of, parts_with_gaps, row_of
from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Arrived:
    """A part that may be worked on now.

    Attributes:
        part: The part; its items are next.
        writer: Who sent it, for giving back the credit.
        frame: What the inbox wants back when the part is used up.
        ends_unit: With it the unit is complete, from all its writers.
    """

    part: Part
    writer: int
    frame: object
    ends_unit: bool


#: A part, the number of its writer, and what the inbox wants back when it is used up.
Piece = tuple[Part, int, object]


@dataclass(slots=True)
class _Lane:
    """One lane: the unit that is due, and what has come of later ones.

    Attributes:
        number: Which of the edge's lanes it is.
        due: Number of the unit that is next.
        turn: Of units in parts: the writer whose part is next.
        heads: A queue for each writer.
    """

    number: int
    due: int
    turn: int = 0
    heads: list[deque[tuple[Part, object]]] = field(default_factory=list)


class Collector:
    """Puts the units of one edge in order.

    Args:
        writers: How many workers write the edge to this reader.
        lanes: How many lanes it has.
        ordered: Whether units are waited for; otherwise parts leave as they come.
        in_parts: Whether each writer brings a part of each unit.
        first: Number of the first unit that this reader gets.
        step: Distance between its units: 1, or the number of reading replicas.
        cut_short: Whether a replica has ended early that may leave gaps (``gaps``): units may be
            missing between those that others still send. ``None``: none can.

    Attributes:
        in_parts: See there.
        ordered: Units are waited for, as there are several writers.
        shared: Whether the parts of a unit are put together here.
        frontier: For each lane, the number after the last unit given out.
        keeps_rows: Whether runs are given out as wholes, with their gaps; see ``GappedItems``.
        may_keep_rows: Whether that may be asked for.
    """

    may_keep_rows = True

    def __init__(
        self,
        *,
        writers: int,
        lanes: int,
        ordered: bool,
        in_parts: bool,
        first: int,
        step: int,
        cut_short: Callable[[], bool] | None = None,
    ) -> None:
        self.ordered = ordered and writers > 1
        self._cut_short = cut_short if self.ordered and not in_parts else None
        self.in_parts = in_parts
        self.shared = in_parts and self.ordered
        self.keeps_rows = False
        self._step = step
        self._ended = [False] * writers
        self._some_ended = False
        self._ready: deque[Arrived] = deque()
        self._lanes = [
            _Lane(number=number, due=first, heads=[deque() for _ in range(writers)])
            for number in range(lanes)
        ]
        self.frontier = [0] * lanes

    def feed_frame(self, writer: int, meta: bytes, payloads: list[Any], frame: object) -> None:
        """A frame has come."""
        if self.keeps_rows and (self.shared or meta[0] != PLAIN_FORM):
            row = row_of(meta, payloads)
            if row is not None:
                self._feed(writer, row, frame)
                return
        for part in parts_of(meta, payloads):
            self.feed(writer, part, frame)

    def feed(self, writer: int, part: Part, frame: object) -> None:
        """A part has come."""
        for one in part.singly() if self.shared else (part,):
            self._feed(writer, one, frame)

    def _feed(self, writer: int, part: Part, frame: object) -> None:
        if self.ordered:
            self._lanes[part.lane].heads[writer].append((part, frame))
        else:
            self._ready.append(Arrived(part, writer, frame, part.closed))

    def end(self, writer: int) -> None:
        """Nothing more comes from this writer."""
        self._ended[writer] = self._some_ended = True

    def take(self) -> Arrived | None:
        """The next part that may be worked on, or ``None`` when it is not here yet.

        Raises:
            ProtocolError: A unit came twice, or will never come.
        """
        if self.ordered and not self._ready:
            for lane in self._lanes:
                self._ready.extend(self._due(lane))
        if not self._ready:
            return None
        arrived = self._ready.popleft()
        part = arrived.part
        reached = part.unit + part.span
        self.frontier[part.lane] = max(self.frontier[part.lane], reached)
        return arrived

    def take_rows(self) -> list[Piece]:
        """What the writers have of the units that are due on a lane, as far as all have sent.

        Each has a part of them. Nothing if a unit among them is more than one part of each.
        """
        if self.keeps_rows and self.shared and not self._ready:
            for lane in self._lanes:
                end = self._end_of_rows(lane)
                if end is not None:
                    return self._cut_rows(lane, end)
        return []

    def _end_of_rows(self, lane: _Lane) -> int | None:
        """The unit up to which the first of each writer's parts tell all there is.

        Only where units come in parts from each.
        """
        end = None
        if lane.turn:
            return None
        for queue, ended in zip(lane.heads, self._ended, strict=True):
            if not queue:
                if not ended:
                    return None
                continue  # it ended early: no part of these units comes
            part, _ = queue[0]
            if not _is_row(part) or part.unit != lane.due:
                return None
            reached = part.unit + part.span
            end = reached if end is None or reached < end else end
        return end

    def _cut_rows(self, lane: _Lane, end: int) -> list[Piece]:
        pieces: list[Piece] = []
        for writer, queue in enumerate(lane.heads):
            if queue:
                part, frame = queue[0]
                piece, rest = cut_row(part, end)
                pieces.append((piece, writer, frame))
                if rest is None:
                    queue.popleft()
                else:
                    queue[0] = (rest, frame)
        lane.due = end
        self.frontier[lane.number] = max(self.frontier[lane.number], end)
        return pieces

    def exhausted(self) -> bool:
        """Whether all writers have ended and everything was taken.

        Raises:
            ProtocolError: Units are left over, since one before them is missing.
        """
        if not all(self._ended) or self._ready:
            return False
        for number, lane in enumerate(self._lanes):
            if any(lane.heads):
                raise ProtocolError(f"unit {lane.due} of lane {number} never came")
        return True

    @property
    def may_gape(self) -> bool:
        """Whether units may be missing between those that come."""
        return self._cut_short is not None

    def holds(self) -> bool:
        """Whether anything is held because one before it has not come."""
        return any(any(lane.heads) for lane in self._lanes)

    def gapes(self) -> bool:
        """Whether something is held because of one that may never come."""
        return self._cut_short is not None and self.holds() and self._cut_short()

    def held(self) -> Iterator[Any]:
        """What the inbox wants back of all that is held; what came first comes first."""
        for lane in self._lanes:
            for queue in lane.heads:
                yield from (frame for _, frame in queue)

    def _due(self, lane: _Lane) -> Iterator[Arrived]:
        """All parts of a lane that are due, in order; of units that are rows, one at most."""
        while True:
            arrived = self._next_part(lane) if self.in_parts else self._next_whole(lane)
            if arrived is None:
                return
            yield arrived
            if self.keeps_rows and self.shared and self._end_of_rows(lane) is not None:
                return

    def _next_whole(self, lane: _Lane) -> Arrived | None:
        """The due unit, or a piece of it, from whichever writer has it."""
        for writer, queue in enumerate(lane.heads):
            if not queue:
                continue
            part, frame = queue[0]
            if part.unit + part.span <= lane.due or (part.unit < lane.due and part.span == 1):
                raise ProtocolError(f"unit {part.unit} came again; {lane.due} is due")
            if part.unit <= lane.due:
                queue.popleft()
                if part.closed:
                    lane.due = part.unit + part.span - 1 + self._step
                return Arrived(part, writer, frame, part.closed)
        return self._missing(lane) if self._some_ended and self.may_gape else None

    def _missing(self, lane: _Lane) -> Arrived | None:
        """The due unit as an empty one, if no writer can bring it any more; see ``cut_short``."""
        silent = [ended for queue, ended in zip(lane.heads, self._ended, strict=True) if not queue]
        if not any(lane.heads) or not silent or not all(silent):
            return None
        if not self._cut_short or not self._cut_short():
            return None
        due, lane.due = lane.due, lane.due + self._step
        return Arrived(Part(lane.number, due, 1, [], closed=True, cost=0), 0, None, True)

    def _next_part(self, lane: _Lane) -> Arrived | None:
        """The due part of the due unit: writer 0's first."""
        while True:
            turn, last = lane.turn, lane.turn == len(lane.heads) - 1
            queue = lane.heads[turn]
            if not queue:
                begun = turn > 0 or any(lane.heads)
                if not self._ended[turn] or not begun:
                    return None
                # It ended early: no part of this or a later unit comes.
                nothing = Part(lane.number, lane.due, 1, [], closed=True, cost=0)
                self._pass_turn(lane)
                if last:
                    return Arrived(nothing, turn, None, ends_unit=True)
                continue
            part, frame = queue[0]
            if part.unit > lane.due:
                raise ProtocolError(f"unit {lane.due} never came; {part.unit} did")
            if type(part.items) is GappedItems:
                return self._next_of_row(lane, part, frame)
            if part.span > 1:
                return self._shorten_run(lane, part, frame)
            queue.popleft()
            if part.closed:
                self._pass_turn(lane)
            return Arrived(part, turn, frame, part.closed and last)

    def _next_of_row(self, lane: _Lane, part: Part, frame: object) -> Arrived:
        """Give out the first unit of a row, keep the rest: others have not sent that much yet."""
        turn = lane.turn
        first, rest = cut_row(part, lane.due + 1)
        assert type(first.items) is GappedItems
        (one,) = parts_with_gaps(first.items)
        if rest is None:
            lane.heads[turn].popleft()
        else:
            lane.heads[turn][0] = (rest, frame)
        self._pass_turn(lane)
        return Arrived(one, turn, frame, turn == len(lane.heads) - 1)

    def _shorten_run(self, lane: _Lane, part: Part, frame: object) -> Arrived:
        """Give out the first unit of a run of empty ones, keep the rest."""
        turn = lane.turn
        rest = Part(part.lane, part.unit + 1, part.span - 1, [], closed=True, cost=0)
        lane.heads[turn][0] = (rest, frame)
        self._pass_turn(lane)
        one = Part(part.lane, part.unit, 1, [], closed=True, cost=0)
        return Arrived(one, turn, frame, turn == len(lane.heads) - 1)

    def _pass_turn(self, lane: _Lane) -> None:
        lane.turn += 1
        if lane.turn == len(lane.heads):
            lane.turn, lane.due = 0, lane.due + self._step


def _is_row(part: Part) -> bool:
    """Whether it tells of units in a row of which each has one item at most."""
    return type(part.items) is GappedItems or (part.closed and not part.items)

"""The joins of a stage whose every call takes one item of each of several edges. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

from pipeflow.runtime.flow.collector import Arrived, Collector
from pipeflow.runtime.flow.joins import Call, Kept, Lone, Origin, Output, Passed, UnitEnd
from pipeflow.runtime.flow.refused import NotOneToOne
from pipeflow.runtime.messages import ItemId
from pipeflow.values import dataclass, field

#: An item that a zip holds: its id, its payload, where it came from.
_Entry = tuple[ItemId, Any, Origin]


@dataclass(slots=True)
class _Held:
    """What one port holds for units that are not complete on all ports yet, on one lane.

    Attributes:
        fresh: Unit to its items whose partners were not looked for yet.
        waiting: Items of the unit that is due, by id, in order: their partners may still come.
        reached: Number after the last unit that is complete on this port.
    """

    fresh: dict[int, list[_Entry]] = field(default_factory=dict)
    waiting: OrderedDict[ItemId, _Entry] = field(default_factory=OrderedDict)
    reached: int = 0


class ZipById:
    """Ports that come from one stage: items with equal ids are one call.

    The stages between keep units and most keep the order in them, so a unit that is complete on
    every port holds all partners, and of a unit that is not, whatever lies before a pair has none.
    Where one of them does not keep that order, a unit is paired once it is complete, by rising ids.

    A unit may be larger than the edges: what waits for its partner in an open unit gives its credit
    back at once, for the partner may lie behind items that would never find room.

    Args:
        collectors: One for each port, in the order of the arguments.
        lanes: Lanes of each of them.
        first: First unit that this replica gets.
        step: Distance between its units.
        in_order: Whether the items of a unit come to all ports in one order.
        inputs: Names of the ports.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        lanes: int,
        *,
        first: int = 0,
        step: int = 1,
        in_order: bool = True,
        inputs: Sequence[str] = (),
    ) -> None:
        self._in_order = in_order
        self._inputs = inputs
        self._collectors = collectors
        self._held = [[_Held() for _ in range(lanes)] for _ in collectors]
        self._due = [first] * lanes
        self._step = step
        self._ready: deque[Output] = deque()

    def take(self) -> Output | None:
        while not self._ready:
            if not self._pull() and not self._give_up():
                return None
        return self._ready.popleft()

    def _give_up(self) -> bool:
        """All is over: units that were never ended are complete; whether there was one.

        Who ends early may do so in the middle of a unit.
        """
        if not all(collector.exhausted() for collector in self._collectors):
            return False
        for lane, due in enumerate(self._due):
            held = [ports[lane] for ports in self._held]
            begun = [unit for each in held for unit in each.fresh]
            begun += [due for each in held if each.waiting]
            if begun:
                for each in held:
                    each.reached = max(begun) + 1
                self._advance(lane)
        return bool(self._ready)

    def _pull(self) -> bool:
        """Take one part from each port that has one; whether anything moved."""
        moved = False
        for port, collector in enumerate(self._collectors):
            arrived = collector.take()
            if arrived is None:
                continue
            moved = True
            self._hold(port, arrived)
        if moved:
            for lane in range(len(self._due)):
                self._advance(lane)
        return moved

    def _hold(self, port: int, arrived: Arrived) -> None:
        part = arrived.part
        held = self._held[port][part.lane]
        origin = Origin(port, arrived.writer, arrived.frame)
        for one in part.singly():
            if one.items:
                held.fresh.setdefault(one.unit, []).extend(
                    [(item, payload, origin) for item, payload in one.items]
                )
        if part.cost:
            self._ready.append(Passed(origin, part.cost))
        if arrived.ends_unit:
            held.reached = part.unit + part.span

    def _advance(self, lane: int) -> None:
        """Pair all units that are complete on every port, and what can be of the next."""
        held = [ports[lane] for ports in self._held]
        reached = min(each.reached for each in held)
        due = self._due[lane]
        full = {unit for each in held for unit in each.fresh if unit < reached}
        if due < reached and any(each.waiting for each in held):
            full.add(due)
        for unit in sorted(full):
            self._pass_empty(lane, unit)
            self._pair(held, lane, unit, whole=True)
            self._leave(held, lane, unit)
            self._ready.append(UnitEnd(lane, unit, 1, free=False))
            self._due[lane] = unit + self._step
        self._pass_empty(lane, reached)
        self._keep(held, self._pair(held, lane, self._due[lane]))

    def _pass_empty(self, lane: int, until: int) -> None:
        """All own units before ``until`` have nothing on any port."""
        if self._step == 1 and self._due[lane] < until:
            self._ready.append(UnitEnd(lane, self._due[lane], until - self._due[lane], free=True))
            self._due[lane] = until
        while self._due[lane] < until:
            self._ready.append(UnitEnd(lane, self._due[lane], 1, free=True))
            self._due[lane] += self._step

    def _pair(
        self, held: Sequence[_Held], lane: int, unit: int, *, whole: bool = False
    ) -> list[tuple[int, ItemId]]:
        """Make calls of a unit's fresh items that have partners; port and id of those left over."""
        fresh = [each.fresh.pop(unit, []) for each in held]
        if not any(fresh):
            return []
        ids = {entries[0][0] if len(entries) == 1 else None for entries in fresh}
        single = len(ids) == 1 and None not in ids and not any(each.waiting for each in held)
        if single and (whole or self._in_order):
            # The plain case, for speed: one item on each port, and they are partners.
            self._match([entries[0] for entries in fresh], lane, unit)
            return []
        for each, entries in zip(held, fresh, strict=True):
            each.waiting.update({entry[0]: entry for entry in entries})
        came = {entry[0] for entries in fresh for entry in entries}
        if not self._in_order:
            came = set()  # what else the unit brings may come before them
        paired = {item for item in came if all(item in each.waiting for each in held)}
        for _ in range(len(paired)):
            item = next(each for each in held[0].waiting if each in paired)
            self._call(held, item, lane, unit)
        return [
            (port, entry[0])
            for port, entries in enumerate(fresh)
            for entry in entries
            if entry[0] in held[port].waiting
        ]

    def _call(self, held: Sequence[_Held], item: ItemId, lane: int, unit: int) -> None:
        """The next pair of a unit; what lies before it on any port has no partner."""
        pair: list[_Entry] = []
        for each in held:
            while (first := each.waiting.popitem(last=False)[1])[0] != item:
                self._ready.append(Lone(first[1], first[0], lane, unit, first[2]))
            pair.append(first)
        self._match(pair, lane, unit)

    def _match(self, pair: Sequence[_Entry], lane: int, unit: int) -> None:
        payload, origins = tuple([each[1] for each in pair]), tuple([each[2] for each in pair])
        self._ready.append(Call(payload, pair[0][0], lane, unit, origins))

    def _leave(self, held: Sequence[_Held], lane: int, unit: int) -> None:
        """The unit is complete: what still waits has no partner, or waited only for the others.

        Raises:
            NotOneToOne: On one port items wait that began as one of those on another. What a plain
                function gives is known only when it runs; else nobody would miss the pairs.
        """
        for port, each in enumerate(held):
            for item in each.waiting:
                if any(item[:-1] in other.waiting for other in held):
                    raise NotOneToOne(item[:-1], self._inputs[port])
        if not self._in_order:
            self._pair_by_rising_ids(held, lane, unit)
        for each in held:
            self._ready.extend(
                [
                    Lone(load, item, lane, unit, origin)
                    for item, load, origin in each.waiting.values()
                ]
            )
            each.waiting.clear()

    def _pair_by_rising_ids(self, held: Sequence[_Held], lane: int, unit: int) -> None:
        """All that waits, in the order in which it began: pairs, and those without a partner."""
        for item in sorted(set().union(*(each.waiting for each in held))):
            entries = [each.waiting.pop(item, None) for each in held]
            there = [entry for entry in entries if entry is not None]
            if len(there) == len(held):
                self._match(there, lane, unit)
            else:
                self._ready.extend([Lone(load, item, lane, unit, at) for _, load, at in there])

    def _keep(self, held: Sequence[_Held], rest: Sequence[tuple[int, ItemId]]) -> None:
        """Hold items of an open unit at our own expense."""
        for port, item in rest:
            _, payload, origin = held[port].waiting[item]
            held[port].waiting[item] = (item, payload, origin._replace(frame=None))
            self._ready.append(Kept(origin))

    def over(self) -> bool:
        return not self._ready and all(c.exhausted() for c in self._collectors)

    def waits_for(self) -> int | None:
        for lane, due in enumerate(self._due):
            for port, held in enumerate(self._held):
                if held[lane].reached <= due:
                    return port
        return None


class ZipByPosition:
    """Ports from different sources: the first of each, the second of each, and so on.

    Ends with its shortest input; what the others still bring is lone. Each position is a unit then
    as before, so that readers of several replicas know the order.

    Args:
        collectors: One for each port, in the order of the arguments.
        first: Position of the first call that this replica makes.
        step: Distance between its positions.
    """

    def __init__(self, collectors: Sequence[Collector], *, first: int = 0, step: int = 1) -> None:
        self._collectors = collectors
        self._items: list[deque[tuple[ItemId, Any, Origin]]] = [deque() for _ in collectors]
        self._ready: deque[Output] = deque()
        self._position = first
        self._step = step
        self.cut_short = False

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
            origin = Origin(port, arrived.writer, arrived.frame)
            self._items[port].extend((item, load, origin) for item, load in arrived.part.items)
            if arrived.part.cost:
                self._ready.append(Passed(origin, arrived.part.cost))
        while all(self._items):
            row = [queue.popleft() for queue in self._items]
            payload, origins = tuple(r[1] for r in row), tuple(r[2] for r in row)
            self._ready.append(Call(payload, row[0][0], 0, self._position, origins))
            self._ready.append(UnitEnd(0, self._position, 1, free=False))
            self._position += self._step
        return moved

    def _find_end(self) -> None:
        """Once one port has ended, what the others hold has no partner: position by position."""
        over = [collector.exhausted() for collector in self._collectors]
        ports = list(zip(self._items, over, strict=True))
        if not any(ended and not queue for queue, ended in ports):
            return
        while any(self._items) and all(queue or ended for queue, ended in ports):
            self.cut_short = True
            for item, payload, origin in [queue.popleft() for queue in self._items if queue]:
                self._ready.append(Lone(payload, item, 0, self._position, origin))
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

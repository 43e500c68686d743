"""The zip of ports that come from one stage: items with equal ids are one call. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

from pipeflow.runtime.flow.abreast import Row, are_alike, cut, is_run, pairs, rows_of
from pipeflow.runtime.flow.collector import Arrived, Collector
from pipeflow.runtime.flow.joins import Call, Kept, Lone, Origin, Output, Passed, UnitEnd
from pipeflow.runtime.flow.refused import NotOneToOne
from pipeflow.runtime.flow.units import Part
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

    Most units are one item on each port, and come in runs. What all ports have of those is paired
    in rows; what stands beside anything else is looked at unit by unit, as that is.

    Args:
        collectors: One for each port, in the order of the arguments.
        lanes: Lanes of each of them.
        first: First unit that this replica gets.
        step: Distance between its units.
        in_order: Whether the items of a unit come to all ports in one order.
        inputs: Names of the ports.
        unit_ends: Whether the stage wants to know where units end: if it keeps them.
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
        unit_ends: bool = True,
    ) -> None:
        self._unit_ends = unit_ends
        self._in_order = in_order
        self._inputs = inputs
        self._collectors = collectors
        self._held = [[_Held() for _ in range(lanes)] for _ in collectors]
        self._due = [first] * lanes
        self._step = step
        self._ready: deque[Output] = deque()
        self._rows = False
        #: What each port has in runs and what came behind it, while rows are given.
        self._coming: list[deque[Row | Arrived]] = [deque() for _ in collectors]

    def give_rows(self) -> None:
        """From now on units that are one item on each port may come as ``Calls``."""
        self._rows = len(self._due) == 1 and self._step == 1

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
        for port, coming in enumerate(self._coming):
            while coming:
                self._hold_first(port)
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
            if self._rows:
                self._queue(port, arrived)
            else:
                self._hold(port, arrived)
        if moved and self._rows:
            self._pair_rows()
        elif moved:
            for lane in range(len(self._due)):
                self._advance(lane)
        return moved

    # ------------------------------------------------------------------------- rows

    def _queue(self, port: int, arrived: Arrived) -> None:
        """Something has come, where rows are given."""
        if is_run(arrived.part):
            origin = Origin(port, arrived.writer, arrived.frame)
            self._coming[port].extend(rows_of(arrived.part, origin))
        else:
            self._coming[port].append(arrived)

    def _pair_rows(self) -> None:
        """Pair what has come, in rows as long as nothing else stands beside them."""
        while True:
            held = [ports[0] for ports in self._held]
            until = max(each.reached for each in held)
            even = until == min(each.reached for each in held)
            if even and any(each.fresh or each.waiting for each in held):
                until += 1  # the unit that is due is open
            elif even and self._pair_row():
                continue
            moved = False
            for port, coming in enumerate(self._coming):
                if coming and (type(coming[0]) is not Row or coming[0].unit < until):
                    self._hold_first(port, until)
                    moved = True
            if not moved:
                return
            self._advance(0)

    def _pair_row(self) -> bool:
        """Make calls of what all ports have in runs from the due unit on; whether there was any."""
        heads = [coming[0] for coming in self._coming if coming and type(coming[0]) is Row]
        if len(heads) < len(self._coming):
            return False
        count = min(len(row.payloads) for row in heads)
        rows = [cut(coming, count) for coming in self._coming]
        unit = self._due[0]
        if are_alike(rows) and rows[0].unit == unit:
            self._ready.append(pairs(rows, 0, unit, end_units=self._unit_ends))
            self._due[0] = unit + count
            for ports in self._held:
                ports[0].reached = unit + count
        else:
            for port, row in enumerate(rows):
                self._hold_part(port, row.part(), row.origin, ends_unit=True)
            self._advance(0)
        return True

    def _hold_first(self, port: int, until: int | None = None) -> None:
        """Hold what came first on a port, of a row no more than the units before this one."""
        coming = self._coming[port]
        first = coming[0]
        if type(first) is Row:
            row = cut(coming, (until or first.reached()) - first.unit)
            self._hold_part(port, row.part(), row.origin, ends_unit=True)
        else:
            arrived = coming.popleft()
            assert type(arrived) is Arrived
            self._hold(port, arrived)

    # ----------------------------------------------------------------- unit by unit

    def _hold(self, port: int, arrived: Arrived) -> None:
        origin = Origin(port, arrived.writer, arrived.frame)
        self._hold_part(port, arrived.part, origin, ends_unit=arrived.ends_unit)

    def _hold_part(self, port: int, part: Part, origin: Origin, *, ends_unit: bool) -> None:
        held = self._held[port][part.lane]
        for one in part.singly():
            if one.items:
                held.fresh.setdefault(one.unit, []).extend(
                    [(item, payload, origin) for item, payload in one.items]
                )
        if part.cost:
            self._ready.append(Passed(origin, part.cost))
        if ends_unit:
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
        if self._ready or any(self._coming):
            return False
        return all(collector.exhausted() for collector in self._collectors)

    def waits_for(self) -> int | None:
        for lane, due in enumerate(self._due):
            for port, held in enumerate(self._held):
                if held[lane].reached <= due and not self._coming[port]:
                    return port
        return None

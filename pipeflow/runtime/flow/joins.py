"""Joins: from the parts of one or more edges to the calls of a stage. Pure.

A join pulls from the collectors of a stage's edges and gives out ``Call``s (one call of the user's
function each), ``Lone`` items (no partner) and ``UnitEnd``s. It owns no channel and waits for
nothing: ``None`` means that more must come first. The kinds are in ``merging``, ``zipping``,
``keyed`` and ``latest``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from pipeflow.runtime.messages import Failure, ItemId


class Origin(NamedTuple):
    """Where an item came from, so that its credit can be given back.

    Attributes:
        port: Position of the edge among the stage's inputs.
        writer: Number of the writer within the edge.
        frame: The inbox's own note of the frame; ``None``: its credit has gone back already.
    """

    port: int
    writer: int
    frame: Any


class Call(NamedTuple):
    """One call of the user's function.

    Attributes:
        payload: What it gets: an item, or a tuple with one item for each port.
        id: Of the item; of a pair: of the first port's.
        lane: Lane of its unit, counted over all inputs.
        unit: Its unit.
        origins: One for each item that the call takes.
    """

    payload: Any
    id: ItemId
    lane: int
    unit: int
    origins: tuple[Origin, ...]


#: The shortest way to make what is made for each item.
_make_call: Final[Callable[[tuple[Any, ...]], Call]] = partial(tuple.__new__, Call)


class Calls(NamedTuple):
    """Calls in a row, each with one item of one edge, or a pair of items, in a unit of its own.

    Attributes:
        prefix: What the items' ids begin with.
        ordinals: Last part of their ids.
        payloads: The items; of pairs: tuples with one item for each port.
        lane: Lane of their units, counted over all inputs.
        unit: Unit of the first; they count on. With gaps: the first that the row tells of.
        origin: Where all of them came from; where they differ, one of the edge's; of pairs: where
            those of the first port came from.
        end_units: Each ends its unit: no ``UnitEnd`` follows, though the stage keeps units.
        units: With gaps, their units: all others of the row had nothing here, at no cost.
        end: With gaps, the unit after the last that the row tells of.
        origins: Where they came from, if not all from one frame.
        froms: Then, of each of them, which of these.
        partners: Of pairs: where those of the other ports came from.
    """

    prefix: ItemId
    ordinals: Sequence[int]
    payloads: list[Any]
    lane: int
    unit: int
    origin: Origin
    end_units: bool = False
    units: Sequence[int] | None = None
    end: int = 0
    origins: tuple[Origin, ...] = ()
    froms: Sequence[int] = ()
    partners: tuple[Origin, ...] = ()

    def single(self, index: int) -> Call:
        """One of them by itself."""
        item = (*self.prefix, self.ordinals[index])
        unit = self.unit + index if self.units is None else self.units[index]
        origin = self.origins[self.froms[index]] if self.origins else self.origin
        origins = (origin, *self.partners) if self.partners else (origin,)
        return _make_call((self.payloads[index], item, self.lane, unit, origins))

    def units_of(self, start: int, stop: int) -> Sequence[int]:
        """Units of some of them."""
        if self.units is None:
            return range(self.unit + start, self.unit + stop)
        return self.units[start:stop]

    def begin_of(self, index: int) -> int:
        """The first unit that the rest of the row tells of, from one of the calls on."""
        if self.units is None:
            return self.unit + index
        if index == len(self.units):
            return self.end
        return self.units[index - 1] + 1 if index else self.unit

    def gap_before(self, index: int) -> UnitEnd | None:
        """The units between one of them and the call before it; ``None``: there are none."""
        if self.units is None or not self.end_units:
            return None
        begin = self.units[index - 1] + 1 if index else self.unit
        span = (self.units[index] if index < len(self.units) else self.end) - begin
        return UnitEnd(self.lane, begin, span, free=True) if span else None

    def part(self, start: int, stop: int) -> Calls:
        """Some of them, in a row of their own, with the gap before each; the row itself if all."""
        if not start and stop >= len(self.payloads):
            return self
        ordinals, payloads = self.ordinals[start:stop], self.payloads[start:stop]
        rest = self._replace(
            ordinals=ordinals,
            payloads=payloads,
            unit=self.begin_of(start),
            froms=self.froms[start:stop],
        )
        if self.units is None:
            return rest
        units = self.units[start:stop]
        end = self.end if stop >= len(self.units) else units[-1] + 1
        return rest._replace(units=units, end=end)


class Lone(NamedTuple):
    """An item whose partner will never come."""

    payload: Any
    id: ItemId
    lane: int
    unit: int
    origin: Origin


class Unjoinable(NamedTuple):
    """An item that cannot be joined: what its key is made by has failed.

    Attributes:
        call: The item alone, as if the user's function had been called with it.
        error: What was raised; from the process that keeps an isolated stage: the same as text.
    """

    call: Call
    error: Exception | Failure


class UnitEnd(NamedTuple):
    """A unit, or a run of empty ones, is complete.

    Attributes:
        lane: Lane, counted over all inputs.
        unit: First unit of the run.
        span: How many units.
        free: The run cost no credit, and passing it on shall cost none.
    """

    lane: int
    unit: int
    span: int
    free: bool


def ends_around(lane: int, unit: int, over: tuple[int, int]) -> Iterator[UnitEnd]:
    """Ends of a unit and of those around it that are over by it, from one up to another."""
    begin, end = over
    if begin < unit:
        yield UnitEnd(lane, begin, unit - begin, free=True)
    yield UnitEnd(lane, unit, 1, free=False)
    if unit + 1 < end:
        yield UnitEnd(lane, unit + 1, end - unit - 1, free=True)


class Passed(NamedTuple):
    """An empty part was passed: its credit goes back."""

    origin: Origin
    cost: int


class Kept(NamedTuple):
    """An item is kept until its partner comes: its credit goes back before it is delivered.

    Its ``Call`` or ``Lone`` bears an origin without a frame.
    """

    origin: Origin


Output = Call | Calls | Lone | Unjoinable | UnitEnd | Passed | Kept


class Join(Protocol):
    """How the inputs of a stage become calls."""

    def take(self) -> Output | None:
        """The next thing to do; ``None``: more must come first, or all is over."""
        ...

    def over(self) -> bool:
        """Whether nothing will come any more."""
        ...

    def waits_for(self) -> int | None:
        """Position of the edge that the next call waits for; ``None``: any of them."""
        ...

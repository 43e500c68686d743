"""Joins: from the parts of one or more edges to the calls of a stage. Pure.

A join pulls from the collectors of a stage's edges and gives out ``Call``s (one call of the user's
function each), ``Lone`` items (no partner) and ``UnitEnd``s. It owns no channel and waits for
nothing: ``None`` means that more must come first. The kinds are in ``merging``, ``zipping``,
``keyed`` and ``latest``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """Calls in a row, each with one item of one edge, that is a unit of its own.

    Attributes:
        prefix: What the items' ids begin with.
        ordinals: Last part of their ids.
        payloads: The items.
        lane: Lane of their units, counted over all inputs.
        unit: Unit of the first; they count on.
        origin: Where all of them came from.
        end_units: Each ends its unit: no ``UnitEnd`` follows, though the stage keeps units.
    """

    prefix: ItemId
    ordinals: Sequence[int]
    payloads: list[Any]
    lane: int
    unit: int
    origin: Origin
    end_units: bool = False

    def single(self, index: int) -> Call:
        """One of them by itself."""
        prefix, ordinals, payloads, lane, unit, origin, _ = self
        item = (*prefix, ordinals[index])
        return _make_call((payloads[index], item, lane, unit + index, (origin,)))

    def part(self, start: int, stop: int) -> Calls:
        """Those from one on until before another, or to the end; the row itself if it is all."""
        if not start and stop >= len(self.payloads):
            return self
        return self._replace(
            ordinals=self.ordinals[start:stop],
            payloads=self.payloads[start:stop],
            unit=self.unit + start,
        )


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

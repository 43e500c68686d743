"""Output ports: the edges that read one, and whether all its items go the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeflow.planner.plan import Route
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.keeping import Keeping
from pipeflow.runtime.flow.targets import Spread, Target
from pipeflow.runtime.messages import ItemId

if TYPE_CHECKING:
    from pipeflow.runtime.flow.mailbox import DropEdge


class Place(NamedTuple):
    """Where a result belongs: lane and number of its unit, and its id."""

    lane: int
    unit: int
    item: ItemId


class OutPort:
    """One output port.

    Args:
        name: Its name.
        spreads: Where its items go.
        drops: Its edges that drop instead of waiting.
        needed: Whether the stage ends early when all its readers have closed.
    """

    def __init__(
        self,
        name: str,
        spreads: Sequence[Spread],
        drops: Sequence[DropEdge] = (),
        *,
        needed: bool = True,
    ) -> None:
        self.name = name
        self.needed = needed
        self.spreads = spreads
        self.drops = drops
        self.units = 0
        #: The short way, if every item goes to one target as a unit of its own.
        self.express: Express | None = None
        #: The same for rows of units that are kept.
        self.keeping: Keeping | None = None
        #: Each item is pickled by itself, once for all: batches differ from reader to reader.
        self.mixed = bool(drops) or len(spreads) > 1

    def only_target(self) -> Target | None:
        """The target to which every item goes, if there is but one."""
        if self.mixed or len(self.spreads[0].targets) != 1:
            return None
        return self.spreads[0].targets[0]

    def keeps(self, lane: int, unit: int) -> bool:
        """Whether all there is of a unit may go the short way of kept ones."""
        keeping = self.keeping
        return keeping is not None and not lane and not keeping.target.has_part(lane, unit)

    def replicas(self) -> Sequence[Target]:
        """The targets of which whoever has room may get any item; none: there are no such."""
        if self.mixed or self.spreads[0].route is not Route.BALANCE:
            return ()
        targets = self.spreads[0].targets
        ends = [channel.sender for target in targets for channel in target.channels]
        alone = all(end.credit_cells() is not None for end in ends)
        return targets if alone and len(ends) == len(targets) else ()

    def keyed(self) -> Spread | None:
        """What spreads all items by their keys; ``None``: nothing does, or there is more."""
        if self.mixed or self.spreads[0].route is not Route.KEY or self.spreads[0].recounted:
            return None
        return self.spreads[0]

    def closed(self) -> bool:
        """Whether every reader is gone."""
        return all(spread.closed() for spread in self.spreads) and all(
            drop.closed() for drop in self.drops
        )

"""How far a runner may be ahead of what its keeper has sent on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pipeflow.planner.plan import EdgePlan
from pipeflow.values import dataclass

#: What waits between runner and keeper is at most such a part of what the edge may hold.
_PART: Final = 8


@dataclass(frozen=True, slots=True)
class Ahead:
    """How far a runner may run ahead of what its keeper has sent on.

    What waits between the two adds to what an edge may hold, so it is a small part of that.

    Attributes:
        items: Items that the narrowest edge may hold.
        bytes: Bytes of arrays that it may hold.
    """

    items: int
    bytes: int

    @classmethod
    def of(cls, edges: Iterable[EdgePlan]) -> Ahead:
        """What the edges allow that the stage writes to; without any nothing has to wait."""
        found = list(edges)
        return cls(
            min([edge.capacity_items for edge in found], default=0) // _PART,
            min([edge.capacity_bytes for edge in found], default=0) // _PART,
        )

    def results(self, count: int, shared_bytes: int) -> int:
        """How many results may wait, if they have so many bytes of arrays as these do."""
        if not shared_bytes:
            return self.items
        return min(self.items, self.bytes * count // shared_bytes)

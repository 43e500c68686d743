"""Counting anew: to a keyed or broadcast reader each item of its writers' units is a unit. Pure.

All replicas of the reader hear of the same items in the same order, so each counts alike, without
a word to the others:

    unit               17             18    19
    items              a     b     c        d
    replica 0 hears    a     -     c        -
    replica 1 hears    -     b     -        d
    both count         40    41    42       43
"""

from __future__ import annotations

from typing import Any

from pipeflow.runtime.flow.collector import Arrived, Collector
from pipeflow.runtime.flow.units import Part


class Recounter(Collector):
    """A collector that gives out each item, one's own or another's, as a unit of its own.

    Units without items are no units any more; the credit that they cost still goes back.
    """

    may_keep_rows = False

    def __init__(self, *, lanes: int, **settings: Any) -> None:
        super().__init__(lanes=lanes, **settings)
        self._reached = [0] * lanes

    def take(self) -> Arrived | None:
        """The next items, or what their unit cost, or ``None`` when nothing is here yet."""
        while (arrived := super().take()) is not None:
            part = arrived.part
            reached = self.frontier[part.lane] = self._reached[part.lane]
            span = len(part.items) or part.others
            if not (span or part.cost):
                continue
            self.frontier[part.lane] = self._reached[part.lane] = reached + span
            own = Part(part.lane, reached, span, part.items, closed=span > 0, cost=part.cost)
            return Arrived(own, arrived.writer, arrived.frame, ends_unit=span > 0)
        return None

"""Spending: how much of its budget a stage has used up, over all its replicas, from the board.

Each replica judges when it gives an item up, and the last that comes to the end of its input judges
once more. No replica asks another: every cell has one writer, and all can read it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeflow.runtime.board import DEAD_LETTERED, OVER, SKIPPED, Words, received
from pipeflow.runtime.retry import JUDGED_FROM, is_spent
from pipeflow.spec.policies import Budget
from pipeflow.values import dataclass, field


@dataclass(slots=True)
class Spending:
    """The budget of a stage, as one of its replicas sees it.

    Attributes:
        stage: Name of the stage.
        budget: What it may give up; ``None``: no bound.
        own: This replica's row of the board.
        rows: The rows of all its replicas.
        ahead: A percentage was not judged at its first moment yet.
    """

    stage: str
    budget: Budget | None
    own: Words
    rows: Sequence[Words]
    ahead: bool = field(init=False)

    def __post_init__(self) -> None:
        self.ahead = self.budget is not None and self.budget.percent

    def seen(self) -> int:
        """Items that the replicas have received."""
        return sum(received(row) for row in self.rows)

    def at_mark(self, seen: int) -> str:
        """Judge a percentage for the first time, if enough items have come.

        Asked before an item is counted as given up, and from time to time: so one replica judges
        what was given up of its first hundred, however many it has received since.

        Returns:
            What the run fails with; empty: it goes on.
        """
        if seen < JUDGED_FROM:
            return ""
        self.ahead = False
        return self._verdict(JUDGED_FROM if len(self.rows) == 1 else seen, over=False)

    def after_giving_up(self, seen: int) -> str:
        """One more item was given up; returns as ``at_mark`` does."""
        return self._verdict(seen, over=False)

    def at_end(self, seen: int) -> str:
        """This replica's input is over; returns as ``at_mark`` does."""
        self.own[OVER] = 1
        return self._verdict(seen, over=True) if all(row[OVER] for row in self.rows) else ""

    def _verdict(self, seen: int, *, over: bool) -> str:
        budget = self.budget
        if budget is None:
            return ""
        given_up = sum(row[SKIPPED] + row[DEAD_LETTERED] for row in self.rows)
        if not is_spent(budget, given_up=given_up, seen=seen, over=over):
            return ""
        items = "item" if seen == 1 else "items"
        return f"stage '{self.stage}' gave up {given_up} of {seen} {items}, its budget is {budget}"

"""Leaving: what may leave next of all that a stage has in hand, in order or as it comes. Pure.

Each item that is taken gets a place here, and so does each end of a unit: behind its items.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from pipeflow.runtime.flow.joins import Lone, UnitEnd
from pipeflow.runtime.loops.attempts import Answer


class Leaving(Protocol):
    """All that has not left yet."""

    def add(self, answer: Answer) -> None:
        """One more item."""
        ...

    def pass_by(self, message: UnitEnd | Lone) -> None:
        """The end of a unit, or an item without a partner."""
        ...

    def touch(self, answers: Iterable[Answer]) -> None:
        """Something has come of these."""
        ...

    def next(self) -> Answer | UnitEnd | Lone | None:
        """What has something to send or is done; ``None``: nothing may leave now.

        An answer stays until it is ``gone``; all else is given once.
        """
        ...

    def gone(self, answer: Answer) -> None:
        """An answer is done with."""
        ...


class InOrder:
    """What was taken first leaves first."""

    def __init__(self) -> None:
        self._row: deque[Answer | UnitEnd | Lone] = deque()

    def add(self, answer: Answer) -> None:
        self._row.append(answer)

    def pass_by(self, message: UnitEnd | Lone) -> None:
        last = self._row[-1] if self._row else None
        if type(last) is UnitEnd and type(message) is UnitEnd and _touch(last, message):
            self._row[-1] = last._replace(span=last.span + message.span)
        else:
            self._row.append(message)

    def touch(self, answers: Iterable[Answer]) -> None:
        """The head of the row alone decides."""

    def next(self) -> Answer | UnitEnd | Lone | None:
        if not self._row:
            return None
        head = self._row[0]
        if type(head) is Answer:
            return head if head.has_news() else None
        return self._row.popleft()

    def gone(self, answer: Answer) -> None:
        self._row.remove(answer)  # most often the first


class AsTheyCome:
    """What is done first leaves first; a unit ends when all of its items have left."""

    def __init__(self) -> None:
        self._open: dict[Answer, None] = {}
        self._ready: deque[Answer | UnitEnd | Lone] = deque()
        self._items: dict[tuple[int, int], int] = {}
        self._ends: dict[tuple[int, int], UnitEnd] = {}

    def add(self, answer: Answer) -> None:
        unit = (answer.call.lane, answer.call.unit)
        self._open[answer] = None
        self._items[unit] = self._items.get(unit, 0) + 1

    def pass_by(self, message: UnitEnd | Lone) -> None:
        if type(message) is UnitEnd and (message.lane, message.unit) in self._items:
            self._ends[message.lane, message.unit] = message
        else:
            self._ready.append(message)

    def touch(self, answers: Iterable[Answer]) -> None:
        self._ready.extend(answers)

    def next(self) -> Answer | UnitEnd | Lone | None:
        while self._ready:
            first = self._ready.popleft()
            if type(first) is not Answer or (first in self._open and first.has_news()):
                return first
        return None

    def gone(self, answer: Answer) -> None:
        del self._open[answer]
        unit = (answer.call.lane, answer.call.unit)
        self._items[unit] -= 1
        if not self._items[unit]:
            del self._items[unit]
            end = self._ends.pop(unit, None)
            if end is not None:
                self._ready.append(end)


def _touch(first: UnitEnd, second: UnitEnd) -> bool:
    """Whether two runs of units are one."""
    alike = (first.lane, first.free) == (second.lane, second.free)
    return alike and first.unit + first.span == second.unit

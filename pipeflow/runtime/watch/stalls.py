"""Watches the board for a circle of waits: looks again and again, and names it when it lasts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from pipeflow.planner.plan import Plan
from pipeflow.runtime import board as cells
from pipeflow.runtime.board import Board, State
from pipeflow.runtime.watch.deadlock import (
    Link,
    Lock,
    Look,
    Stillness,
    Wait,
    find_circle,
    say_wait,
)

_WAITS: Final = {State.WAITING_IN: Wait.ITEMS, State.WAITING_OUT: Wait.ROOM}

_NOTHING: Final = memoryview(b"").cast("Q")


class Stalls:
    """The last looks at the board.

    Args:
        plan: What runs.
        lock_words: For each piece of shared state the worker that holds its lock, and for each
            worker the piece for whose lock its code waits; each plus 1.
    """

    def __init__(
        self, plan: Plan, lock_words: tuple[cells.Words, cells.Words] = (_NOTHING, _NOTHING)
    ) -> None:
        self._shared = tuple(each.name for each in plan.shared)
        self._holders, self._lock_waits = lock_words
        self._stillness = Stillness()
        self._links = tuple(
            Link(
                f"{plan.stages[edge.source].name}.{edge.port} -> {plan.stages[edge.target].name}",
                tuple(worker.index for worker in plan.workers_of(edge.source)),
                tuple(worker.index for worker in plan.workers_of(edge.target)),
            )
            for edge in plan.edges
        )
        self._names = {
            worker.index: plan.stages[worker.stage].name
            + (f"[{worker.replica}]" if plan.stages[worker.stage].replicas > 1 else "")
            for worker in plan.workers
        }

    def look(self, board: Board, alive: Collection[int], is_asleep: Callable[[int], bool]) -> str:
        """Look once more; the circle in words, or nothing.

        Args:
            board: Where every worker says what it waits for.
            alive: Numbers of the workers whose process lives.
            is_asleep: Whether the process of one of them sleeps.
        """
        now = {number: look for number in alive if (look := self._look(board, number))}
        if not self._stillness.lasts(now, is_asleep):
            return ""
        return find_circle(now, self._links, self._names, self._locks())

    def waits(self, board: Board, alive: Collection[int]) -> list[str]:
        """Who waits for what just now, in words."""
        now = {number: look for number in alive if (look := self._look(board, number))}
        return [
            say_wait(number, look, self._links, self._names, self._locks())
            for number, look in now.items()
            if look.wait is not Wait.NOT
        ]

    def _locks(self) -> list[Lock]:
        """Who holds which lock just now."""
        return [Lock(name, self._holders[number] - 1) for number, name in enumerate(self._shared)]

    def _look(self, board: Board, number: int) -> Look | None:
        """What a worker does; ``None``: it has done everything and only its process is left."""
        row = board.worker(number)
        state = State(row[cells.STATE])
        if state is State.DONE:
            return None
        lock = self._lock_waits[number] if self._shared else 0
        if lock and state is State.BUSY:
            return Look(Wait.LOCK, lock - 1, row[cells.TURNS])
        return Look(_WAITS.get(state, Wait.NOT), row[cells.WAITS_ON] - 1, row[cells.TURNS])

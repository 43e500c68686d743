"""Tells slow from stuck: since when nothing has moved, who is at work meanwhile, and who waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pipeflow.planner.plan import Plan
from pipeflow.runtime import board as cells
from pipeflow.runtime.board import Board, State, hand, id_text, loading_text
from pipeflow.runtime.last_words import LastWords, stack_of
from pipeflow.runtime.watch.ending import Ending
from pipeflow.runtime.watch.lifecycle import Life
from pipeflow.runtime.watch.stalls import Stalls
from pipeflow.runtime.watch.watched import Watched
from pipeflow.spec.program import Program, ProgramMode
from pipeflow.telemetry.events import Event

_NS: Final = 1e9

_BUSY: Final = frozenset({State.BUSY, State.AT_PROGRAM})
_WAITS: Final = frozenset({State.WAITING_IN, State.IN_OR_CLOCK, State.WAITING_OUT, State.RESTING})

#: Why a program that is to answer line by line most often seems not to.
_BUFFERS: Final = (
    "in mode 'item' a program must write each line at once (awk needs fflush(), and mawk"
    " -W interactive; sed -u; grep --line-buffered; jq --unbuffered; python -u), and one for each"
    " that it reads"
)


class Standstill:
    """Looks at what the workers count; as long as anything counts on, the run moves.

    A source that waits for the world is no standstill, and neither is a circle of waits, which
    ends the run (``stalls``). What is left is a worker in the user's code: only the user can say
    whether that takes so long, so we say where it is, and ever more seldom. Or one that was stopped
    by a signal, whatever it did then.

    Args:
        plan: What runs.
        board: Where the workers count.
        last_words: Where they say where they are.
        stalls: Which knows who waits for whom.
        ending: Asks them.
        tell: Hears about a standstill.
        after_s: How long nothing may move before that is told; 0: for ever.
    """

    def __init__(
        self,
        plan: Plan,
        board: Board,
        last_words: LastWords,
        *,
        stalls: Stalls,
        ending: Ending,
        tell: Callable[[Event], None],
        after_s: float,
    ) -> None:
        self._plan, self._board, self._last_words = plan, board, last_words
        self._stalls, self._ending, self._tell = stalls, ending, tell
        self._names = plan.stage_names
        self._after_s = self._due_s = after_s
        self._seen: tuple[bytes, ...] = ()
        self._moved_s = 0.0
        self._asked: list[Watched] = []

    def look(self, alive: Sequence[Watched], now: float) -> float:
        """Look once more; seconds for which nobody has moved, and somebody at work or stopped.

        Args:
            alive: Workers whose process lives.
            now: The time.
        """
        seen = tuple(self._counts(watched) for watched in alive)
        moved = seen != self._seen
        at_work = [] if moved else self.at_work(alive)
        if not at_work:
            self._seen, self._moved_s = seen, now
            self._due_s, self._asked = self._after_s, []
            return 0.0
        still_s = now - self._moved_s
        if self._asked:
            self._say_where(alive, still_s)
            self._asked, self._due_s = [], 2 * still_s
        elif self._after_s > 0 and self._due_s <= still_s:
            self._asked = at_work  # the next look reads the answers
            self._ending.ask_where(each for each in at_work if not each.stopped)
        return still_s

    def at_work(self, alive: Iterable[Watched]) -> list[Watched]:
        """Those of some workers that are in the user's code, and those that were stopped.

        Sources may be there for ever. A program that could write without further items is none of
        them, as long as there is anybody else to wait for.
        """
        alive = list(alive)
        found = [each for each in alive if self._is_at_work(each) or _is_stopped(each)]
        if found or any(watched.is_source and self._state(watched) in _BUSY for watched in alive):
            return found
        return [watched for watched in alive if self._state(watched) == State.IN_OR_PROGRAM]

    def _counts(self, watched: Watched) -> bytes:
        row = self._board.worker(watched.plan.index)
        emitted = self._board.emitted(watched.plan.index).values()
        counted = row[cells.TURNS : cells.BUSY_NS].tobytes() + row[cells.HAND_DEPTH :].tobytes()
        return counted + b"".join(self._board.words[cell : cell + 1].tobytes() for cell in emitted)

    def _is_at_work(self, watched: Watched) -> bool:
        busy = self._state(watched) in _BUSY
        return busy and watched.at_work and not watched.is_source

    def _state(self, watched: Watched) -> int:
        return self._board.worker(watched.plan.index)[cells.STATE]

    def _say_where(self, alive: Sequence[Watched], still_s: float) -> None:
        waits = self._stalls.waits(self._board, [watched.plan.index for watched in alive])
        for watched in self._asked:
            row = self._board.worker(watched.plan.index)
            item = id_text(hand(row), self._names)
            loads = loading_text(row, self._names)
            since_s = time.monotonic() - row[cells.SINCE_NS] / _NS
            does = "waiting" if self._state(watched) in _WAITS else "at work"
            text = (
                f"nothing has moved for {still_s:.0f} s: this worker has been {does} for"
                f" {since_s:.0f} s"
                + (f", unpickling {loads}" if loads else f", now on item {item}" if item else "")
            )
            if stopped := watched.stopped:
                text += f"; its process was stopped by a signal: kill -CONT {stopped}"
            program = self._plan.stages[watched.plan.stage].program
            text += f"; {waits_for(program)}" if program is not None else ""
            if self._state(watched) == State.IN_OR_PROGRAM:
                text += ", which has got all items so far and writes nothing"
            text += "".join(f"\n{wait}" for wait in waits)
            part = self._plan.code_pool(watched.plan.process)
            stack = stack_of(self._last_words.take(part)).rstrip()
            text += f"\n{stack}" if stack and program is None else ""
            self._tell(watched.line("warning", text))


def _is_stopped(watched: Watched) -> bool:
    """Whether it was stopped in its work; who never came up is told by ``starting``."""
    return watched.life is Life.RUNNING and watched.stopped > 0


def waits_for(program: Program) -> str:
    """What a worker that is at work waits for, if its work is a program; with a hint."""
    words = f"it waits for program '{program.name}'"
    return f"{words}: {_BUFFERS}" if program.mode is ProgramMode.ITEM else words

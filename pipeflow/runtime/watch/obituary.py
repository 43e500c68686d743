"""What there is to say of a process that is gone: what it had in hand, and of what it died."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.planner.plan import Plan
from pipeflow.runtime.board import Board, hand, id_text, loading, loading_text
from pipeflow.runtime.last_words import LastWords, stack_of
from pipeflow.runtime.launch.messages import Exited
from pipeflow.runtime.machine import OutOfMemory
from pipeflow.runtime.messages import Failure
from pipeflow.runtime.watch.root_cause import death, manager_death, split_status
from pipeflow.runtime.watch.watched import Watched
from pipeflow.telemetry.events import WorkerDied
from pipeflow.values import replace


class Obituary:
    """Reads the board and the last words for who cannot speak any more.

    Args:
        plan: What runs.
        board: Where each worker has noted what it had in hand.
        last_words: Where a fatal signal has written its stack.
    """

    def __init__(self, plan: Plan, board: Board, last_words: LastWords) -> None:
        self._plan, self._board, self._last_words = plan, board, last_words
        self._names = plan.stage_names
        self._out_of_memory = OutOfMemory()

    def ends(self, exited: Exited, workers: Mapping[int, Watched]) -> list[tuple[Watched, Exited]]:
        """The end of a process, for each worker in it; who had an item in hand comes first."""
        together = [workers[each.index] for each in self._plan.sharing(exited.worker)]
        together.sort(key=lambda watched: not self._has_in_hand(watched))
        own = replace(exited, cpu_s=0.0)  # what the process used is told once
        return [
            (watched, exited if watched.plan.index == exited.worker else own)
            for watched in together
        ]

    def item_of(self, watched: Watched) -> str:
        """Id of the item that a worker had in hand, or was unpickling; empty for none."""
        row = self._board.worker(watched.plan.index)
        first, count = loading(row)
        # Of several that are unpickled together nobody can tell which it was.
        return id_text((first if count == 1 else ()) if count else hand(row), self._names)

    def death_of(self, watched: Watched, status: int, *, started: bool) -> Failure:
        """How a worker ended that did not say so itself.

        Args:
            watched: The worker.
            status: Exit status of its process.
            started: Its stage had been loaded.
        """
        part = self._plan.code_pool(watched.plan.process)
        return death(
            status=status,
            item=self.item_of(watched),
            out_of_memory=self._out_of_memory.has_killed(),
            started=started,
            loading=loading_text(self._board.worker(watched.plan.index), self._names),
            stack=stack_of(self._last_words.take(part)),
        )

    def death_of_manager(self, status: int) -> Failure:
        """How the process ended that keeps what stages share."""
        return manager_death(
            status=status,
            names=tuple(each.name for each in self._plan.shared if each.in_manager),
            out_of_memory=self._out_of_memory.has_killed(),
        )

    def _has_in_hand(self, watched: Watched) -> bool:
        row = self._board.worker(watched.plan.index)
        return bool(loading(row)[1] or hand(row))


def died(watched: Watched, pid: int, status: int, item: str) -> WorkerDied:
    """The event of a death."""
    exitcode, name = split_status(status)
    return WorkerDied(
        stage=watched.stage,
        replica=watched.plan.replica,
        pid=pid,
        exitcode=exitcode,
        signal=name,
        item=item,
    )

"""What a keeper needs of its worker's process: waits, runners, packets, what the dead have left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, Protocol

from pipeflow.runtime.board import Board, Words
from pipeflow.runtime.brief import WorkerBrief
from pipeflow.runtime.isolation.child import Child
from pipeflow.runtime.isolation.link import Cell, Link
from pipeflow.runtime.isolation.runner import Task
from pipeflow.runtime.last_words import LastWords, stack_of
from pipeflow.runtime.machine import OutOfMemory
from pipeflow.runtime.process import Process
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Decoder
from pipeflow.transports.pause import SHORT_S, LookOut
from pipeflow.transports.shm import Arena


class Around(Protocol):
    """What a keeper needs of its worker's process."""

    def for_news(
        self, child: Child, *, with_input: bool, idle: bool, timeout_s: float | None
    ) -> None:
        """Wait until there is news of the runner, something may have come, or the time is up.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        ...

    def back_off(self, seconds: float) -> None:
        """Wait before an item is tried again."""
        ...

    def end_by_signal(self) -> None:
        """End the process as the signal would have that told it to end."""
        ...

    def begin_runner(self) -> Child:
        """Start a runner."""
        ...

    def bury_runner(self) -> None:
        """Let go of what a dead runner held in shared memory."""
        ...

    def encode(self, payloads: list[Any]) -> Packet:
        """Pickle items."""
        ...

    def decoder(self) -> Decoder:
        """Makes items of packets."""
        ...

    def last_words(self) -> str:
        """Where the runner was, as a traceback; empty if it did not say."""
        ...

    def ran_out_of_memory(self) -> bool | None:
        """Whether the kernel has killed for want of memory in this run; ``None``: untold."""
        ...


class WorkerAround:
    """A keeper's worker process. What it uses is owned by others.

    Args:
        process: Its ends and waits.
        brief: What the worker was told.
        board: The board.
        started: Called with each new runner.
    """

    def __init__(
        self,
        process: Process,
        brief: WorkerBrief,
        board: Board,
        started: Callable[[Child], None],
    ) -> None:
        self._process, self._brief, self._board = process, brief, board
        self._started = started
        self._pool = brief.plan.code_pool(brief.worker)
        self._words = LastWords(brief.words_fd)
        self._out_of_memory = OutOfMemory()
        self._runners = 0
        self._look = LookOut(SHORT_S)

    def for_news(
        self, child: Child, *, with_input: bool, idle: bool, timeout_s: float | None
    ) -> None:
        """Wait until there is news of the runner, something may have come, or the time is up."""
        if not idle and self._look.sees(child.has_news):
            return
        cells: Words = child.link.cells
        cells[Cell.KEEPER_SLEEPS] = 1
        try:
            self._process.waits.beside.for_runner(
                child.waits_on(),
                child.has_news,
                with_input=with_input,
                idle=idle,
                timeout_s=timeout_s,
            )
        finally:
            cells[Cell.KEEPER_SLEEPS] = 0
            child.link.keeper_bell.clear()

    def back_off(self, seconds: float) -> None:
        """Wait before an item is tried again; a drain ends it."""
        self._process.waits.back_off(seconds)

    def end_by_signal(self) -> None:
        """End the process as the signal would have that told it to end."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    def begin_runner(self) -> Child:
        """Start a runner."""
        successor = self._runners > 0
        self._runners += 1

        def task(link: Link) -> Task:
            return Task(brief=self._brief, board=self._board, link=link, successor=successor)

        child = Child(task, self._board.worker(self._brief.worker))
        self._started(child)
        return child

    def bury_runner(self) -> None:
        """Let go of what a dead runner held in shared memory; all that it sent was received."""
        Arena(self._brief.arena).bury(self._pool)

    def encode(self, payloads: list[Any]) -> Packet:
        """Pickle items."""
        return self._process.encode(payloads)

    def decoder(self) -> Decoder:
        """Makes items of packets."""
        return self._process.decoder

    def last_words(self) -> str:
        """Where the runner was, as a traceback; empty if it did not say."""
        return stack_of(self._words.read(self._pool))

    def ran_out_of_memory(self) -> bool | None:
        """Whether the kernel has killed for want of memory in this run; ``None``: untold."""
        return self._out_of_memory.has_killed()

"""The lock of one piece of shared state, as one process sees it.

    thread ──> Mutex: among the threads of this process ──> Claim: among processes, if there are any

Who holds it may take it again. Waiting for a holder that cannot go on while we wait (another task
of the same event loop, another stage whose turn in this process is not now) is an error at once:
it would never end.
"""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType
from typing import Final, Protocol

#: Name of the threads in which stream functions wait for their turn; they hold nothing meanwhile.
TURN_THREAD: Final = "pipeflow-inline"


class Claim(Protocol):
    """The part of a lock that other processes respect."""

    def take(self, stage: str, *, in_turn: bool) -> None:
        """Wait until no other process has it, and take it.

        Args:
            stage: For whose code.
            in_turn: In the thread in which that runs, not in one that it has started.
        """
        ...

    def give(self) -> None:
        """Let go of it."""
        ...


class NoClaim:
    """There are no other processes."""

    def take(self, stage: str, *, in_turn: bool) -> None:
        """Nobody else wants it."""

    def give(self) -> None:
        """Nobody else waits."""


class Mutex:
    """The lock; one in a process for each piece of state.

    Args:
        name: Of the state, for errors.
        claim: Its part among processes.
    """

    def __init__(self, name: str, claim: Claim) -> None:
        self._name = name
        self._claim = claim
        self._inside = threading.Lock()
        self._holder: _Holder | None = None
        self._depth = 0
        self._pid = os.getpid()

    def take(self, stage: str, home: int) -> None:
        """Wait for the lock, and take it.

        Args:
            stage: For whose code.
            home: The thread in which the code of that stage runs.

        Raises:
            RuntimeError: Who holds it cannot let go of it while we wait.
        """
        if self._pid != os.getpid():
            self._begin_anew()
        thread, holder = threading.get_ident(), self._holder
        me = (stage, thread, _task())
        if holder is not None and holder.who == me:
            self._depth += 1
            return
        if holder is not None and self._is_stuck(holder, stage, thread, home):
            raise RuntimeError(_never(self._name, holder.who[0], stage))
        self._inside.acquire()
        try:
            self._claim.take(stage, in_turn=thread == home)
        except BaseException:
            self._inside.release()
            raise
        self._holder, self._depth = _Holder(me), 1

    def give(self) -> None:
        """Let go of it, once for each time that it was taken."""
        if self._holder is None:
            raise RuntimeError(f"nobody holds the lock of shared '{self._name}'")
        self._depth -= 1
        if self._depth == 0:
            self._holder = None
            self._claim.give()
            self._inside.release()

    def _is_stuck(self, holder: _Holder, stage: str, thread: int, home: int) -> bool:
        """Whether the holder cannot go on before we do."""
        other_stage, its_thread, _ = holder.who
        if its_thread == thread:
            return True
        # Of several stages in one process one has its turn: here it is ours.
        return other_stage != stage and (its_thread == home or holder.takes_turns)

    def _begin_anew(self) -> None:
        """A copy of a process holds none of the locks that its parent held."""
        self._inside, self._holder, self._depth = threading.Lock(), None, 0
        self._pid = os.getpid()


class _Holder:
    def __init__(self, who: tuple[str, int, int]) -> None:
        self.who = who
        self.takes_turns = threading.current_thread().name == TURN_THREAD


class Hold:
    """The lock as one stage has it: a context manager.

    Args:
        mutex: The lock.
        stage: Whose.
    """

    def __init__(self, mutex: Mutex, stage: str) -> None:
        self._mutex = mutex
        self._stage = stage
        self._home = threading.get_ident()  #: the thread that loads a stage runs its code

    def __enter__(self) -> None:
        self._mutex.take(self._stage, self._home)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._mutex.give()


def _task() -> int:
    """Tells tasks of an event loop apart; 0 outside of one."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return 0
    try:
        return id(asyncio.current_task())
    except RuntimeError:
        return 0  # no loop runs in this thread


def _never(name: str, holder: str, stage: str) -> str:
    if holder == stage:
        return (
            f"the lock of shared '{name}' is held in this same thread (by another task, or a"
            " generator that has yielded), which would never let go of it: neither await nor yield"
            f" inside `with {name}:`"
        )
    return (
        f"stage '{holder}' holds the lock of shared '{name}' and cannot go on before this one"
        f" does, as both run in one process: do not yield inside `with {name}:`"
    )

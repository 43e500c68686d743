"""Starts the workers of a run, all or none, and hears of their ends.

``spawn``, ``forkserver`` and ``fork`` differ in how the launch server and its workers come to be:

    ============  ==================  ===========================================
    start method  launch server       workers
    ============  ==================  ===========================================
    forkserver    a fresh program     forked from it; they share what it has imported
    spawn         a fresh program     forked from it, then a fresh interpreter each
    fork          forked from us      forked from it: they see all that we had loaded
    ============  ==================  ===========================================

In each case it is the server that reaps and signals; see ``server``. A program is started early,
while the file is still being read; what its workers inherit is lent to it when it exists. If it
must not be forked after its imports, or does not survive them, another takes its place, which
imports nothing: until then it has no worker.
"""

from __future__ import annotations

import pickle
import resource
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Final

from pipeflow.errors import MachineError
from pipeflow.runtime.launch.lending import MOST
from pipeflow.runtime.launch.messages import (
    AllLaunched,
    Exited,
    Launch,
    Launched,
    Lend,
    LoadOurs,
    NotLaunched,
    Planned,
    Preload,
    Preloaded,
    Reply,
    Signal,
    Taken,
)
from pipeflow.runtime.launch.server_link import CLOSE_DEADLINE_S, ServerLink, limit_reached
from pipeflow.values import replace

if TYPE_CHECKING:
    from pipeflow.planner.plan import Plan
    from pipeflow.runtime.launch.sharing import Sharing

#: How long the launch server may take to answer, in seconds: a loaded machine is slow to start it.
_ANSWER_DEADLINE_S: Final = 60.0

#: How long it may take to import what the workers share, in seconds; then they do it themselves.
_PRELOAD_DEADLINE_S: Final = 20.0

#: So many workers are asked for before the first answer is read: the server forks one after the
#: other, without waiting for us between them. What waits to be read has a bound all the same.
_MOST_UNANSWERED: Final = 64


class StartMethod(Enum):
    """How worker processes come to be."""

    FORK = "fork"
    FORKSERVER = "forkserver"
    SPAWN = "spawn"


class ServerLauncher:
    """Has a launch server start the workers; see ``Launcher``. Owns the link to it.

    Args:
        method: How the processes come to be.
        descriptors: All that any worker will keep, if they exist already; see ``lend``.
        copy: Make the server as a copy of this process, which has loaded modules of ours and
            nothing else: that spares a second start of Python. Not for ``spawn``.

    Raises:
        MachineError: The server cannot be started, or this process has threads and must not fork.
    """

    def __init__(
        self, method: StartMethod, descriptors: Iterable[int] = (), *, copy: bool = False
    ) -> None:
        self.method = method
        self._sharing: Sharing | None = None  #: what the server has not answered yet
        self._expected: Preload | None = None  #: what it imports before there is a plan
        self._apart: frozenset[int] = frozenset()
        forks = method is StartMethod.FORK
        self._link = ServerLink({*descriptors}, copy=copy or forks, fresh=not forks)

    @property
    def parent(self) -> int:
        return self._link.pid

    def expect(self, ours: tuple[str, ...], preload: Preload | None) -> None:
        """Have the server import what the workers will most likely share: there is no plan yet.

        Args:
            ours: Modules of our own.
            preload: What else; ``None``: nothing, or that cannot be told.
        """
        if self.method is not StartMethod.FORKSERVER:
            return
        if ours:
            self._link.send(LoadOurs(ours))
        if preload is not None:
            self._expected = preload
            self._link.send(preload)

    def share(self, sharing: Sharing) -> None:
        """Have the server import what the workers share, while we do something else.

        Raises:
            MachineError: It has begun to import something else, and no other can be started.
        """
        wanted = sharing.preload if self.method is StartMethod.FORKSERVER else None
        expected, self._expected = self._expected, None
        if expected is not None and not (wanted and _contains(expected, wanted)):
            self._begin_anew(patience_s=0.0)
            expected = None
        if wanted is None:
            self._apart = sharing.apart
        else:
            self._sharing = sharing
            if expected is None:
                self._link.send(wanted)

    def settle(self) -> None:
        """Wait for those imports; if nobody may share them, begin anew without them.

        Raises:
            MachineError: No other server can be started.
        """
        sharing, self._sharing = self._sharing, None
        if sharing is None:
            return
        try:
            answer: Reply | None = self._link.answer(_PRELOAD_DEADLINE_S)
        except MachineError:
            answer = None  # it has not survived what it imported, or has not come to an end
        if isinstance(answer, Preloaded) and not answer.problem:
            deaf = frozenset() if answer.threads_adjustable else sharing.with_threads
            self._apart = sharing.apart | deaf
            return
        self._begin_anew(patience_s=0.0 if answer is None else CLOSE_DEADLINE_S)

    def _begin_anew(self, *, patience_s: float) -> None:
        """Have another server take the place of this one."""
        self._link.close(patience_s=patience_s)
        self._link = ServerLink(set(), copy=False, fresh=True)

    def tell(self, plan: Plan) -> None:
        """Give the server what all workers are told alike; before the first of them."""
        self._link.send(Planned(pickle.dumps(plan, protocol=5)))

    def lend(self, descriptors: Iterable[int]) -> None:
        """Give a server that was started before them all that any worker will keep.

        Raises:
            MachineError: Too many files are open, or the server is gone.
        """
        if self.method is StartMethod.FORK:
            return  # it was born with them
        numbers = tuple(dict.fromkeys(descriptors))
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        for first in range(0, len(numbers), MOST):
            some = numbers[first : first + MOST]
            self._link.send(Lend(numbers=some, limit=limit), some)
            # Answered one by one: the kernel bounds how many may be under way.
            match self._link.answer(_ANSWER_DEADLINE_S):
                case Taken(0):
                    pass
                case Taken(number):
                    raise limit_reached(number)
                case other:
                    raise AssertionError(f"not an answer to a loan: {other!r}")

    def fileno(self) -> int:
        return self._link.fileno()

    def launch(self, orders: Iterable[Launch]) -> Iterator[tuple[int, int]]:
        unanswered = 0
        for order in orders:
            apart = self.method is StartMethod.SPAWN or order.worker in self._apart
            # The manager runs nothing that could mind what the server has loaded.
            alone = (order.replace or apart) and not order.manager
            self._link.send(replace(order, replace=alone))
            unanswered += 1
            if unanswered == _MOST_UNANSWERED:
                yield self._launched()
                unanswered -= 1
        for _ in range(unanswered):
            yield self._launched()

    def _launched(self) -> tuple[int, int]:
        match self._link.answer(_ANSWER_DEADLINE_S):
            case Launched(worker, pid):
                return worker, pid
            case NotLaunched(_, number):
                raise limit_reached(number)
            case other:
                raise AssertionError(f"not an answer to a launch: {other!r}")

    def all_launched(self) -> None:
        self._link.send(AllLaunched())

    def news(self) -> list[Exited]:
        return self._link.exited()

    def signal(self, worker: int, number: int, *, whole_group: bool = True) -> None:
        self._link.send(Signal(worker, number, whole_group))

    def close(self, *, patience_s: float = CLOSE_DEADLINE_S) -> None:
        self._link.close(patience_s=patience_s)


def _contains(loaded: Preload, wanted: Preload) -> bool:
    """Whether nothing is left to import; more may be loaded, for a stage that is cut."""
    return {*loaded.imports} >= {*wanted.imports} and loaded.beside == wanted.beside

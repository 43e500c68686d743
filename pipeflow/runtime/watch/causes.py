"""The failures of a run that are known so far, in the order in which they were seen. Pure."""

from __future__ import annotations

from collections.abc import Collection

from pipeflow.runtime.messages import Failure
from pipeflow.runtime.watch.root_cause import Cause, root_cause
from pipeflow.runtime.watch.verdict import Verdict, verdict


class Causes:
    """A book of failures; ``root_cause`` and ``verdict`` say what its entries mean.

    Attributes:
        moment: How often the supervisor has woken: what is seen in one look is one moment.
    """

    def __init__(self) -> None:
        self._known: list[Cause] = []
        self._judged = 0  #: so many of them were there when ``judge`` was asked last
        self.moment = 0

    @property
    def known(self) -> tuple[Cause, ...]:
        """All of them, victims too."""
        return tuple(self._known)

    @property
    def root(self) -> Cause | None:
        """The one that the others come from, as far as that is known."""
        return root_cause(self._known)

    @property
    def has_new(self) -> bool:
        """Whether one was noted since they were judged."""
        return len(self._known) > self._judged

    def note(self, worker: int, failure: Failure) -> None:
        """A worker (-1: the run as a whole) has failed."""
        self._known.append(Cause(worker=worker, failure=failure, order=self.moment))

    def note_run(self, kind: str, message: str) -> None:
        """The run as a whole has failed."""
        self.note(-1, Failure(phase="run", kind=kind, message=message))

    def is_in(self, workers: Collection[int]) -> bool:
        """Whether one of some workers has failed."""
        return any(cause.worker in workers for cause in self._known)

    def is_victim(self, worker: int) -> bool:
        """Whether a worker has fallen over because another did."""
        return any(cause.worker == worker and cause.failure.victim for cause in self._known)

    def judge(self, *, ended_one: bool, over: bool) -> Verdict:
        """What follows from them; see ``verdict``."""
        self._judged = len(self._known)
        return verdict(self._known, ended_one=ended_one, over=over)

    def excuse(self) -> list[int]:
        """Forget them all; the numbers of the workers that had failed."""
        excused = [cause.worker for cause in self._known]
        self._known.clear()
        self._judged = 0
        return excused

"""The loop of a function that gets its items in lists: ``batch``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeflow.runtime.board import RETRIED
from pipeflow.runtime.loops.attempts import (
    Answer,
    Attempt,
    Pause,
    arguments_of,
    results_of,
    script,
)
from pipeflow.runtime.loops.base import GOES_ON
from pipeflow.runtime.loops.many import ManyLoop
from pipeflow.stages.context import draw_anew
from pipeflow.values import dataclass


@dataclass(slots=True, kw_only=True)
class BatchLoop(ManyLoop):
    """A function at work, batch by batch."""

    def _work_on(self, answers: Sequence[Answer]) -> Iterator[bool]:
        inbox, tries = self.inbox, 0
        assert inbox is not None
        for step in script(answers, self.stage.on_error):
            match step:
                case Attempt(some):
                    if tries:
                        inbox.settle()  # each try has the whole time to itself
                    tries += 1
                    self._try(some)
                case Pause(some, seconds):
                    self._settle()
                    self._back_off(seconds)
                    self.row[RETRIED] += sum([len(one.call.origins) for one in some])
            self._settle()
            yield GOES_ON
        self._settle()

    def _try(self, some: Sequence[Answer]) -> None:
        """Call the function with these, and note what it gives for each."""
        assert self.work.call is not None
        batch = self.stage.batch
        assert batch is not None
        self._turn_to(some[0])
        self._note_hand(some[0])
        draw_anew()
        try:
            payloads = [one.payload() for one in some]
            given = arguments_of(payloads, joined=self._joined, stack=batch.stack)
            results = results_of(self.work.call(*given), len(some), self.stage.name)
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            self._note_failure(some, error)
            return
        self._keep(some, results)

"""What follows from the failures that are known so far. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from pipeflow.runtime.watch.root_cause import Cause


class Verdict(Enum):
    """What to do about failures."""

    GO_ON = "go on"  #: there are none
    FAIL = "fail"  #: the run has failed
    EXCUSE = "excuse"  #: they are victims of a worker that we ended ourselves: nothing has failed
    WAIT = "wait"  #: they are victims, and of what is not known yet


def verdict(causes: Sequence[Cause], *, ended_one: bool, over: bool) -> Verdict:
    """Judge the failures.

    Args:
        causes: All that are known.
        ended_one: We have ended a worker that had not failed: nobody needed it, or its grace was
            over. Its readers then miss the end of their input.
        over: No worker is left that could still tell more.
    """
    if not causes:
        return Verdict.GO_ON
    if any(not cause.failure.victim for cause in causes):
        return Verdict.FAIL
    if ended_one:
        return Verdict.EXCUSE
    return Verdict.FAIL if over else Verdict.WAIT

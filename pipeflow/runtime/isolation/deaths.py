"""What follows when a runner is gone: another try, an item given up, the end of the run. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final

from pipeflow.runtime.messages import Failure
from pipeflow.runtime.retry import wait_before_next
from pipeflow.runtime.watch.root_cause import death
from pipeflow.spec.policies import ErrorPolicy, OnError
from pipeflow.values import dataclass, replace

#: Deaths in a row, with no item finished, that end the run (design 3.6).
MOST_DEATHS: Final = 5


class Follows(Enum):
    """What follows when a runner is gone."""

    GO_ON = "go_on"  #: another one goes on where it stopped
    TRY_AGAIN = "try_again"  #: likewise, and the item in hand has had one of its tries
    ONE_BY_ONE = "one_by_one"  #: likewise, and each of the items in hand goes by itself now
    GIVE_UP = "give_up"  #: likewise, without the item in hand
    END = "end"  #: the run ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """How a runner was found.

    Attributes:
        in_hand: How many calls it had in hand: of a batch, all of it. One gets the blame.
        died: By itself; else it was killed for taking too long.
        tried: How often that item was tried by now.
        emitted: Results of that item that have left.
        replaceable: Another one can go on where it stopped.
        at_end: It had nothing left to do but what the user's code does at the end.
        deaths: How many have died in a row with no item finished, this one counted.
        draining: The run is being drained: nobody waits before another try, and what came is
            few.
    """

    in_hand: int
    died: bool
    tried: int
    emitted: int
    replaceable: bool
    at_end: bool
    deaths: int
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows.

    Attributes:
        follows: Which of the four.
        wait_s: Seconds to wait before the next try.
    """

    follows: Follows
    wait_s: float = 0.0


def after_death(found: Situation, policy: ErrorPolicy) -> Verdict:
    """What follows when a runner is gone.

    Args:
        found: How it was found.
        policy: The stage's.
    """
    if found.at_end or not found.replaceable:
        return Verdict(Follows.END)
    too_often = found.died and found.deaths >= MOST_DEATHS
    if too_often and not (found.draining and found.in_hand):
        return Verdict(Follows.END)
    if not found.in_hand:
        return Verdict(Follows.GO_ON)
    if found.in_hand > 1:
        # As a batch that fails otherwise: unless the policy is to stop, each of it has its own try.
        goes_on = policy.then is not OnError.STOP or policy.retries > 0
        return Verdict(Follows.ONE_BY_ONE if goes_on else Follows.END)
    # What has left cannot be taken back, so nothing of it may come twice.
    again = not (found.emitted or too_often)
    wait_s = wait_before_next(policy, found.tried) if again else None
    return Verdict(Follows.GIVE_UP) if wait_s is None else Verdict(Follows.TRY_AGAIN, wait_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class InHand:
    """The item that a runner was at, as it is told; all empty when there was none.

    Attributes:
        item: Its id.
        view: A short view of it.
        tried: How often it was tried by now.
        emitted: Results of it that have left.
    """

    item: str = ""
    view: str = ""
    tried: int = 1
    emitted: int = 0


def died(
    hand: InHand,
    *,
    status: int,
    out_of_memory: bool | None,
    stack: str,
    loaded: bool,
    loading: str = "",
) -> Failure:
    """A runner has died, and so has what it had in hand, or was unpickling."""
    told = death(
        status=status,
        item=hand.item,
        out_of_memory=out_of_memory,
        started=loaded,
        loading=loading,
        stack=stack,
    )
    return replace(told, view=hand.view, attempt=hand.tried, emitted=hand.emitted)


def overdue(hand: InHand, *, timeout_s: float, stack: str) -> Failure:
    """An item took longer than it may."""
    return Failure(
        phase="item",
        kind="TimeoutError",
        message=f"it took longer than its timeout of {timeout_s:g} s, and its process was ended",
        traceback=stack,
        item=hand.item,
        view=hand.view,
        attempt=hand.tried,
        emitted=hand.emitted,
    )

"""What follows when an item has failed: another try after a wait, or none. Is the budget spent?

Pure: the loops ask, and obey.
"""

from __future__ import annotations

import math
from typing import Final

from pipeflow.spec.policies import Budget, ErrorPolicy

#: No wait grows longer than this, in seconds; one that the file asks for itself may be.
LONGEST_WAIT_S: Final = 30.0
#: A percentage says little of fewer items.
JUDGED_FROM: Final = 100
#: 0.07 % of 10,000 items is 7, whatever binary fractions make of it.
_ROUNDING: Final = 1 + 1e-12


def wait_before_next(policy: ErrorPolicy, tried: int) -> float | None:
    """Seconds to wait before an item is tried again; ``None``: it was tried often enough.

    Args:
        policy: Of its stage.
        tried: How often it was tried, and failed; at least 1.
    """
    if tried > policy.retries:
        return None
    longest = max(LONGEST_WAIT_S, policy.backoff_s)
    return min(longest, math.ldexp(policy.backoff_s, min(tried - 1, 64)))


def is_spent(budget: Budget, *, given_up: int, seen: int, over: bool = False) -> bool:
    """Whether more items were given up than the budget allows.

    Args:
        budget: Of the stage.
        given_up: Items that all its replicas have skipped or dead-lettered.
        seen: Items that they have received.
        over: No more will come, so a percentage is judged however few there were.
    """
    if not budget.percent:
        return given_up > budget.amount
    if seen < JUDGED_FROM and not over:
        return False
    return given_up * 100 > budget.amount * seen * _ROUNDING

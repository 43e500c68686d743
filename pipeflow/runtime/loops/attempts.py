"""What to try, in which order, with items that go to the user's function together. Pure.

A batch that fails is tried again item by item, unless the policy is ``stop``: one bad item costs
the others nothing. Then, and for single items, ``retries`` hold. The script only says what is next;
a loop calls or awaits the function, and notes in each answer how it went:

    for step in script(answers, policy):      Attempt ──> call the function with these
        ...                                   Pause   ──> wait so long
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from pipeflow.runtime.flow.joins import Call
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.loops.copies import AsItCame
from pipeflow.runtime.loops.forgotten import FORGOTTEN, refuse_forgotten
from pipeflow.runtime.loops.stopped import CONTROL
from pipeflow.runtime.messages import Failure, ItemId
from pipeflow.runtime.retry import wait_before_next
from pipeflow.spec.policies import ErrorPolicy, OnError
from pipeflow.values import dataclass, field


@dataclass(slots=True, eq=False)
class Answer:
    """What becomes of one item, or of one pair of a join.

    Attributes:
        call: The item.
        copy: Makes the item as it came, where it may be tried again.
        results: What the function gave for it and has not left yet, each with its id.
        error: What went wrong with the last try.
        failure: Why it could not be joined; then it is never tried.
        attempt: Number of that try.
        tried: How often it was tried before, in processes that have died.
        sent: Results that have left.
        done: No more tries will be made.
    """

    call: Call
    copy: AsItCame | None = None
    results: deque[tuple[ItemId, Any]] = field(default_factory=deque)
    error: BaseException | None = None
    failure: Failure | None = None
    attempt: int = 1
    tried: int = 0
    sent: int = 0
    done: bool = False

    def has_news(self) -> bool:
        """Whether it is done, or has results to send; what may be tried again holds them."""
        return self.done or (bool(self.results) and self.copy is None)

    def is_plain(self) -> bool:
        """Whether all there is to it is one item, and one result at most."""
        if not self.done or self.sent or self.error is not None or self.failure is not None:
            return False
        results, call = self.results, self.call
        if len(results) > 1 or (results and results[0][0] is not call.id):
            return False
        return len(call.origins) == 1

    def payload(self) -> Any:
        """The item, for one try, or for the letter that tells of it."""
        return self.call.payload if self.copy is None else self.copy.take()


@dataclass(frozen=True, slots=True)
class Attempt:
    """Call the function with these."""

    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before these are tried again.

    Attributes:
        answers: Those.
        seconds: So long.
    """

    answers: Sequence[Answer]
    seconds: float


def splits(policy: ErrorPolicy, size: int) -> bool:
    """Whether a batch of that size that fails is tried again item by item."""
    return size > 1 and policy.then is not OnError.STOP


def tries_again(policy: ErrorPolicy, size: int) -> bool:
    """Whether an item may be tried more than once."""
    return policy.retries > 0 or splits(policy, size)


def script(answers: Sequence[Answer], policy: ErrorPolicy) -> Iterator[Attempt | Pause]:
    """All that is to be done until each of the answers is ``done``.

    Args:
        answers: Of one batch, or a single one.
        policy: Of the stage.
    """
    if not splits(policy, len(answers)):
        yield from _tries(answers, policy)
        return
    yield from _try_once(answers)
    failed = [one for one in answers if one.error is not None]
    if any(_is_ours(one.error) for one in failed):
        _finish(answers)
        return
    _finish([one for one in answers if one.error is None])
    whole = len(failed) == len(answers)
    for one in failed:
        # Whose fault it was is not known yet, so the try of the whole batch counts for nobody.
        yield from _tries([one], policy, tried=0 if whole else 1)


def _tries(
    answers: Sequence[Answer], policy: ErrorPolicy, *, tried: int = 0
) -> Iterator[Attempt | Pause]:
    """Tries until it works, or often enough; ``tried``: so many of them have failed already."""
    if not tried:
        tried = 1 + answers[0].tried
        for one in answers:
            one.attempt = tried
        yield from _try_once(answers)
    while True:
        errors = [one.error for one in answers if one.error is not None]
        sent = any(one.sent for one in answers)
        # What has left cannot be taken back.
        wait_s = None if sent or any(map(_is_ours, errors)) else wait_before_next(policy, tried)
        if not errors or wait_s is None:
            for one in answers:
                if one.error is not None and policy.retries:
                    one.results.clear()  # they were held, and leave together or not at all
            _finish(answers)
            return
        tried += 1
        for one in answers:
            one.attempt = tried
        yield Pause(answers, wait_s)
        yield from _try_once(answers)


def _try_once(answers: Sequence[Answer]) -> Iterator[Attempt]:
    for one in answers:
        one.error = None
        one.results.clear()
    yield Attempt(answers)


def _finish(answers: Sequence[Answer]) -> None:
    for one in answers:
        one.done = True


def _is_ours(error: BaseException | None) -> bool:
    """Whether it is no failure of an item, so that another try would help nobody."""
    return isinstance(error, CONTROL) and not isinstance(error, ResultNotSerializable)


def results_of(given: Any, count: int, stage: str) -> list[Any]:
    """What a function gave for a batch, as a list of our own with a result for each item.

    Args:
        given: What it returned; ``None``: nothing for any of them. What it yielded counts alike.
        count: Items that it got.
        stage: Name of its stage.

    Raises:
        TypeError: It is no list, or something in it was never awaited.
        ValueError: There are more or fewer results than items.
    """
    if given is None:
        return [None] * count
    if hasattr(type(given), "__next__"):
        given = list(given)
    refuse_forgotten(given)
    if not _is_list(given):
        raise TypeError(
            f"stage '{stage}' gets batches: its function must return a list with one result for "
            f"each item, and returned {type(given).__name__}"
        )
    if len(given) != count:
        raise ValueError(
            f"stage '{stage}' gets batches: its function got {count} "
            f"{'item' if count == 1 else 'items'} and returned {len(given)} "
            f"{'result' if len(given) == 1 else 'results'}; it must return one for each, `None` for"
            " nothing"
        )
    results = list(given)
    if not FORGOTTEN.isdisjoint(map(type, results)):
        refuse_forgotten(*[each for each in results if type(each) in FORGOTTEN])
    return results


def _is_list(given: Any) -> bool:
    """A list, a tuple and the like; an array along its first axis, whoever's array it is."""
    if isinstance(given, str | bytes | bytearray | memoryview):
        return False
    array = hasattr(given, "dtype") and hasattr(given, "shape") and len(given.shape) > 0
    return array or isinstance(given, Sequence)


def arguments_of(payloads: Sequence[Any], *, joined: bool, stack: bool) -> tuple[Any, ...]:
    """What a function that gets batches is called with: a list, or one for each named input.

    Args:
        payloads: The items; of a join a tuple with an item of each port.
        joined: Whether they are of a join.
        stack: Whether each list becomes one array.

    Raises:
        ValueError: The items are not of one shape, so they cannot be stacked.
    """
    lists = [list(column) for column in zip(*payloads, strict=True)] if joined else [list(payloads)]
    if not stack:
        return tuple(lists)
    import numpy as np  # only who asks for it waits for it

    return tuple(np.stack(each) for each in lists)

"""What a stretch is, and the loops that go where nothing could be compiled.

A stretch goes on while items are **settled**: nobody can change them any more (``runs.is_settled``
has the rule), so they may wait and travel in one pickle with their neighbours. It is over when all
its items are done (``WHOLE``), and at the first thing that is more than that:

``OTHER``     a result that is not settled, or is no item at all, such as ``None``
``RAISED``    the user's code raised; ``StopIteration`` at an iterator's end
``UNSEEN``    an item was appended, and the second thread does not know that something waits
``STOPPING``  an item was appended, and no more shall be taken
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from sys import getrefcount
from typing import Any, Final

from pipeflow.runtime.board import Marks
from pipeflow.runtime.flow.runs import ONE, OURS, UNCHANGING, WIDTH, is_settled

WHOLE: Final = 0
OTHER: Final = 1
RAISED: Final = 2
UNSEEN: Final = 3
STOPPING: Final = 4

#: Where nothing was compiled there are no hops; see ``hops.py``.
HOPS: Final = 0

#: References to an item that nobody else holds. The pair it came in is in our hands when they are
#: counted: ``zip`` keeps it only as long as no one else, such as a memory profiler, does. There are
#: two lists as well.
_ITEM: Final = OURS + 3


def take(
    items: Iterator[Any],
    most: int,
    waiting: list[Any] | None,
    listed: list[int] | None,
    ordinal: int,
    step: int,
    woken: Sequence[int],
    stopping: Sequence[int],
    asking: bytearray,
    /,
) -> tuple[int, int, Any, bool]:
    """Append what an iterator gives.

    Args:
        items: The user's.
        most: How many at most; at least 1.
        waiting: What they are appended to, a list or what stands for one; ``None``: nothing may
            be, so the first ends it. What it raises is as if the user's code had.
        listed: What their ordinals are appended to, each before its item; ``None``: they count on.
        ordinal: That of the first.
        step: How much each is greater than the one before.
        woken: Its first cell says that the second thread knows.
        stopping: Its first cell says to go no further; looked at after each item.
        asking: Its one byte says that the user's code is being asked: only then may a drain cut it
            short.

    Returns:
        How many were appended, why it is over, the result or the error that ended it, and whether
        nobody else holds that result.
    """
    taken = 0
    try:
        asking[0] = True
        for result in islice(items, most):
            asking[0] = False
            kind, alone = type(result), getrefcount(result) == OURS
            if waiting is None or result is None:
                return taken, OTHER, result, alone
            if kind not in UNCHANGING and not is_settled(result, alone=alone):
                return taken, OTHER, result, alone
            if listed is not None:
                listed.append(ordinal)
            waiting.append(result)
            taken += 1
            ordinal += step
            if not woken[0]:
                return taken, UNSEEN, None, False
            if stopping[0]:
                return taken, STOPPING, None, False
            asking[0] = True
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return taken, RAISED, error, False
    finally:
        asking[0] = False
    if taken != most:
        return taken, RAISED, StopIteration(), False
    return taken, WHOLE, None, False


def call(
    function: Callable[..., Any],
    payloads: list[Any],
    at: int,
    stop: int,
    marks: Marks,
    waiting: list[Any] | None,
    listed: list[int] | None,
    woken: Sequence[int],
    passes_none: bool,
    joined: bool,
    /,
) -> tuple[int, int, int, Any, bool]:
    """Call a function with items of a row, and append what it gives.

    Args:
        function: The user's.
        payloads: The items of the row.
        at: Place of the first.
        stop: The one after the last.
        marks: What to note of each before it is called.
        waiting: See ``take``.
        listed: See ``take``; the ordinals are those of the items.
        woken: See ``take``.
        passes_none: A result of ``None`` only leaves a gap, where ordinals are listed.
        joined: The items are pairs, of which the function gets each as an argument of its own.

    Returns:
        The place of the item that ended it, or of the next, how many gave ``None``, why it is over,
        the result or the error that ended it, and whether nobody else holds that result.
    """
    row, last, begun, start, ordinals = marks
    passes_none = passes_none and listed is not None
    counts_on = type(ordinals) is range
    empty = 0
    try:
        for pair in zip(ordinals[at:stop], payloads[at:stop], strict=True):
            ordinal, payload = pair
            if not counts_on:
                row[begun] = at - start + 1
            row[last] = ordinal
            result = function(*payload) if joined else function(payload)
            kind = type(result)
            alone = getrefcount(result) == (OURS if result is not payload else _ITEM + 1)
            if joined and getrefcount(result) == OURS + 1 and getrefcount(payload) == _ITEM:
                alone = any(each is result for each in payload)
            if waiting is None or result is None:
                if result is None and passes_none:
                    empty += 1
                    at += 1
                    continue
                return at, empty, OTHER, result, alone
            if kind not in UNCHANGING and not is_settled(
                result, alone=alone, item=payload if _may_be_searched(payload, joined) else None
            ):
                return at, empty, OTHER, result, alone
            if listed is not None:
                listed.append(ordinal)
            waiting.append(result)
            at += 1
            if not woken[0]:
                return at, empty, UNSEEN, None, False
            del pair  # so that ``zip`` need not make another
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return at, empty, RAISED, error, False
    return stop, empty, WHOLE, None, False


def call_only(
    function: Callable[..., Any],
    payloads: list[Any],
    at: int,
    stop: int,
    marks: Marks,
    joined: bool,
    /,
) -> tuple[int, int, int, int, Any, bool]:
    """Call a function with items of a row; nobody reads what it gives.

    What may be more than one result ends it.

    Args:
        function: The user's.
        payloads: The items of the row.
        at: Place of the first.
        stop: The one after the last.
        marks: What to note of each before it is called.
        joined: See ``call``.

    Returns:
        The place of the item that ended it, or of the next, how many gave ``None``, how many gave
        a result, why it is over, the result or the error that ended it, and whether nobody else
        holds that result.
    """
    row, last, begun, start, ordinals = marks
    counts_on = type(ordinals) is range
    empty = unread = 0
    try:
        for ordinal, payload in zip(ordinals[at:stop], payloads[at:stop], strict=True):
            if not counts_on:
                row[begun] = at - start + 1
            row[last] = ordinal
            result = function(*payload) if joined else function(payload)
            if result is None:
                empty += 1
            elif type(result) in ONE:
                unread += 1
            else:
                alone = getrefcount(result) == OURS
                return at, empty, unread, OTHER, result, alone
            at += 1
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return at, empty, unread, RAISED, error, False
    return stop, empty, unread, WHOLE, None, False


def _may_be_searched(item: Any, joined: bool) -> bool:
    """Whether what a result has taken over from this item is still nobody else's."""
    own = getrefcount(item) == _ITEM + 1
    return own and (joined or (type(item) is dict and len(item) <= WIDTH))

"""The tight loops: many calls in a row, with nothing in them that the stage does not use.

They count and note in the board what a killed worker must be known by, append what can travel as
it is, and stop at the first thing that is more than that: the loop of the stage's kind takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from sys import getrefcount
from typing import Any, Final, NamedTuple, Protocol

from pipeflow.runtime.board import RECEIVED, Words
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.runs import HOLDING, OURS, UNCHANGING, all_unchanging
from pipeflow.stages.work import BadRecord, Routed

#: The same for a result that is the item: two lists and a pair that it came in, and its own name.
_ITEM: Final = 6
#: What a source or a function gives that is more than an item.
MORE: Final = frozenset({Routed, BadRecord})


class Halt(NamedTuple):
    """How far a row of calls got.

    Attributes:
        at: Place of the item that is still to be answered for; the end of the row: none.
        empty: Items before it that were answered by ``None``.
        unread: Results before it that nobody reads.
        result: What the item gave, if it is more than the row can pass on.
        error: What its call, or sending what it gave, raised.
    """

    at: int
    empty: int = 0
    unread: int = 0
    result: Any = None
    error: BaseException | None = None


class Gathered(NamedTuple):
    """What was taken from an iterator.

    Attributes:
        appended: How many.
        result: One more that came, if it is more than can be appended.
        error: What the iterator, or sending, raised; ``StopIteration`` at its end.
    """

    appended: int
    result: Any = None
    error: BaseException | None = None


class Asking(Protocol):
    """Who asks the user's iterator.

    Attributes:
        asking: The user's code is being asked: only then may a drain cut it short.
    """

    asking: bool


def append_from(
    items: Iterator[Any],
    numbers: tuple[int, int, int],
    *,
    express: Express,
    asking: Asking,
    stopping: Callable[[], object] | None = None,
) -> Gathered:
    """Append what an iterator gives, as ``call_into`` does.

    Args:
        items: The user's.
        numbers: Ordinal of the first item, how much each is greater than the one before, and how
            many there is room for; with 0 one is taken, and room for it waited for.
        express: Where they go.
        asking: Who asks.
        stopping: Whether to go no further, asked after each item.
    """
    first, step, most = numbers
    run, words, sent, taken = express.run, express.words, express.sent, express.taken
    waiting = run.payloads
    append, append_ordinal = waiting.append, run.ordinals.append
    plain = run.pile is None
    ordinal, end = first, first + step * max(1, most)
    try:
        while ordinal < end:
            asking.asking = True
            result = next(items)
            asking.asking = False
            kind = type(result)
            if kind is dict:
                unchanging = plain and getrefcount(result) == OURS
                if unchanging:
                    for key, value in result.items():
                        if type(value) not in UNCHANGING or type(key) not in UNCHANGING:
                            unchanging = False
                            break
            elif result is None:
                if stopping is not None and stopping():
                    break
                continue
            elif kind in UNCHANGING:
                unchanging = plain
            elif kind in HOLDING:
                unchanging = plain and getrefcount(result) == OURS and all_unchanging(result)
            elif kind in MORE:
                return Gathered((ordinal - first) // step, result)
            else:
                unchanging = False
            if unchanging:
                if not most:
                    express.await_room()
                append_ordinal(ordinal)
                append(result)
                if len(waiting) >= express.least and (
                    words[taken] >= words[sent] if words is not None else express.target.idle()
                ):
                    express.send()
                elif not express.woken:
                    express.wake_up()
            else:
                express.put(result, ordinal)
                plain = run.pile is None
            ordinal += step
            if stopping is not None and stopping():
                break
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return Gathered((ordinal - first) // step, error=error)
    finally:
        asking.asking = False
    return Gathered((ordinal - first) // step)


def call_into(
    call: Callable[[Any], Any],
    calls: Calls,
    span: tuple[int, int],
    *,
    row: Words,
    last: int,
    express: Express,
    wait: bool,
) -> Halt:
    """Call a function with each item of a span, and append what it gives.

    A result travels as it is, in one pickle with its neighbours, if nobody can change it any more:
    it is of a type that cannot change, or holds only such and nobody else holds it. Everything
    else is pickled at once.

    Args:
        call: The user's function.
        calls: The items.
        span: First item, and the one after the last.
        row: The worker's row of the board.
        last: The cell that holds the last part of the id in hand.
        express: Where results go.
        wait: There is no room yet for the one result; else there is for all.
    """
    start, stop = span
    run, words, sent, taken = express.run, express.words, express.sent, express.taken
    waiting = run.payloads
    append, append_ordinal = waiting.append, run.ordinals.append
    before = begun = row[RECEIVED]
    plain, empty = run.pile is None, 0
    try:
        for payload, ordinal in zip(
            calls.payloads[start:stop], calls.ordinals[start:stop], strict=True
        ):
            row[last] = ordinal
            row[RECEIVED] = begun = begun + 1
            result = call(payload)
            if result is None:
                empty += 1
                continue
            kind = type(result)
            if kind is dict:
                unchanging = plain and getrefcount(result) == (
                    OURS if result is not payload else _ITEM
                )
                if unchanging:
                    for key, value in result.items():
                        if type(value) not in UNCHANGING or type(key) not in UNCHANGING:
                            unchanging = False
                            break
            elif kind in UNCHANGING:
                unchanging = plain
            elif kind in HOLDING:
                unchanging = (
                    plain
                    and getrefcount(result) == (OURS if result is not payload else _ITEM)
                    and all_unchanging(result)
                )
            elif kind is Routed or hasattr(kind, "__next__"):
                return Halt(start + begun - before - 1, empty, result=result)
            else:
                unchanging = False
            if not unchanging:
                express.put(result, ordinal)
                plain = run.pile is None
                continue
            if wait:
                express.await_room()
            append_ordinal(ordinal)
            append(result)
            if len(waiting) >= express.least and (
                words[taken] >= words[sent] if words is not None else express.target.idle()
            ):
                express.send()
            elif not express.woken:
                express.wake_up()
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return Halt(start + begun - before - 1, empty, error=error)
    return Halt(stop, empty)


def call_only(
    call: Callable[[Any], Any], calls: Calls, span: tuple[int, int], *, row: Words, last: int
) -> Halt:
    """Call a function with each item of a span; nobody reads what it gives.

    Args:
        call: The user's function.
        calls: The items.
        span: First item, and the one after the last.
        row: The worker's row of the board.
        last: The cell that holds the last part of the id in hand.
    """
    start, stop = span
    before = begun = row[RECEIVED]
    empty, unread = 0, 0
    try:
        for payload, ordinal in zip(
            calls.payloads[start:stop], calls.ordinals[start:stop], strict=True
        ):
            row[last] = ordinal
            row[RECEIVED] = begun = begun + 1
            result = call(payload)
            if result is None:
                empty += 1
                continue
            kind = type(result)
            if kind is Routed or hasattr(kind, "__next__"):
                return Halt(start + begun - before - 1, empty, unread, result=result)
            unread += 1
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return Halt(start + begun - before - 1, empty, unread, error=error)
    return Halt(stop, empty, unread)

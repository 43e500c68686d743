"""The tight loops: many calls in a row, with nothing in them that the stage does not use.

They count and note in the board what a killed worker must be known by, append what can travel as
it is, and stop at the first thing that is more than that: the loop of the stage's kind takes over.

Most records are flat dicts, so these are looked at right here; ``runs.is_settled`` has the rule. Of
keys only text is passed: not all that can be hashed can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from sys import getrefcount
from typing import Any, Final, NamedTuple, Protocol

from pipeflow.runtime.board import Words, begin_row, begun
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.runs import OURS, UNCHANGING, is_settled
from pipeflow.runtime.loops.forgotten import FORGOTTEN
from pipeflow.stages.work import BadRecord, Routed

#: References to a result that is the item, and that nobody else holds. The pair it came in is in
#: our hands when they are counted: ``zip`` keeps it only as long as no one else, such as a memory
#: profiler, does. There is a list as well, or two of them for a part of a row, and its own name.
_ITEM: Final = OURS + 3
#: Its first cell never says to go no further.
NEVER: Final = bytes(1)
#: What a source or a function gives that is more than an item.
MORE: Final = frozenset({Routed, BadRecord})
#: What a function gives that is looked at once more, beside what is many.
ANSWERS: Final = FORGOTTEN | {Routed}


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


#: One is made for each frame, and this is the shortest way.
_make_halt: Final[Callable[[tuple[Any, ...]], Halt]] = partial(tuple.__new__, Halt)
_make_gathered: Final[Callable[[tuple[Any, ...]], Gathered]] = partial(tuple.__new__, Gathered)


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
    stopping: Sequence[int] = NEVER,
) -> Gathered:
    """Append what an iterator gives, as ``call_into`` does.

    Args:
        items: The user's.
        numbers: Ordinal of the first item, how much each is greater than the one before, and how
            many there is room for; with 0 one is taken, and room for it waited for.
        express: Where they go.
        asking: Who asks.
        stopping: Its first cell says to go no further; looked at after each item.
    """
    first, step, most = numbers
    run, waiting = express.run, express.run.payloads
    append = waiting.append
    append_ordinal = _listing(express, counts_on=step == 1)
    quick = run.pile is None and most > 0
    ordinal, last = first, first + step * max(1, most)  # of the next item, and one too many
    try:
        while ordinal != last:
            together = min((last - ordinal) // step, express.hold())
            end = ordinal + together * step
            asking.asking = True
            for result in islice(items, together):
                asking.asking = False
                kind, alone = type(result), getrefcount(result) == OURS
                settled = False
                if kind is dict:
                    if alone and quick:
                        for key, value in result.items():
                            if type(key) is not str or type(value) not in UNCHANGING:
                                break
                        else:
                            settled = True
                elif result is None:
                    break
                elif kind in MORE:
                    return _gathered(numbers, ordinal, result=result)
                else:
                    settled = kind in UNCHANGING and quick
                if settled:
                    if append_ordinal is not None:
                        append_ordinal(ordinal)
                    append(result)
                    if not express.woken and together > 1:
                        express.wake_up()
                else:
                    _pass(express, result, ordinal, alone=alone, wake=together > 1)
                    quick = run.pile is None and most > 0
                    append_ordinal = _listing(express, counts_on=step == 1)
                ordinal += step
                if stopping[0]:
                    return _gathered(numbers, ordinal)
                asking.asking = True
            else:
                if ordinal != end:
                    return _gathered(numbers, ordinal, error=StopIteration())
            asking.asking = False
            express.send_if_idle(together)
            if stopping[0]:
                break
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return _gathered(numbers, ordinal, error=error)
    finally:
        asking.asking = False
    return _gathered(numbers, ordinal)


def _gathered(
    numbers: tuple[int, int, int],
    ordinal: int,
    result: Any = None,
    error: BaseException | None = None,
) -> Gathered:
    first, step, _ = numbers
    return _make_gathered(((ordinal - first) // step, result, error))


def _listing(express: Express, *, counts_on: bool) -> Callable[[int], None] | None:
    """See ``Run.listing``.

    Args:
        express: Where items go.
        counts_on: Each ordinal is one more than the last.
    """
    return express.run.listing() if counts_on else express.list_ordinals()


def _pass(express: Express, result: Any, ordinal: int, *, alone: bool, wake: bool) -> None:
    """Append a result, or pickle it at once if it can still be changed.

    Args:
        express: Where it goes.
        result: The result.
        ordinal: Last part of its id.
        alone: Nobody else holds it.
        wake: See ``Express.append``.
    """
    if express.run.pile is None and is_settled(result, alone=alone):
        express.append(result, ordinal, wake=wake)
    else:
        express.put(result, ordinal, wake=wake)


def call_into(
    call: Callable[[Any], Any],
    calls: Calls,
    span: tuple[int, int],
    *,
    row: Words,
    edge: int,
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
        edge: Number of the edge that the items came over.
        express: Where results go.
        wait: There is no room yet for the one result; else there is for all.
    """
    start, stop = span
    ordinals, payloads, of_item = calls.ordinals, calls.payloads, _ITEM
    if stop - start < len(payloads):
        ordinals, payloads, of_item = ordinals[start:stop], payloads[start:stop], _ITEM + 1
    last, numbers = begin_row(row, edge, calls.prefix, ordinals)
    pairs = zip(numbers, payloads, strict=True)
    run, waiting = express.run, express.run.payloads
    append = waiting.append
    counts_on = type(ordinals) is range
    append_ordinal = _listing(express, counts_on=counts_on)
    quick = run.pile is None and not wait
    empty, left = 0, stop - start
    try:
        while left > 0:
            together = express.hold()
            left -= together
            for pair in islice(pairs, together):
                ordinal, payload = pair
                row[last] = ordinal
                result = call(payload)
                kind = type(result)
                alone = getrefcount(result) == (OURS if result is not payload else of_item)
                settled = False
                if kind is dict:
                    if alone and quick:
                        for key, value in result.items():
                            if type(key) is not str or type(value) not in UNCHANGING:
                                break
                        else:
                            settled = True
                elif result is None:
                    empty += 1
                    if append_ordinal is None or calls.end_units:
                        append_ordinal = express.leave_gap()
                    continue
                elif kind in UNCHANGING:
                    settled = quick
                elif kind in ANSWERS or hasattr(kind, "__next__"):
                    return Halt(start + begun(row) - 1, empty, result=result)
                if settled:
                    if append_ordinal is not None:
                        append_ordinal(ordinal)
                    append(result)
                    if not express.woken and together > 1:
                        express.wake_up()
                    del pair  # so that ``zip`` need not make another
                else:
                    _pass(express, result, ordinal, alone=alone, wake=together > 1)
                    quick = run.pile is None and not wait
                    append_ordinal = _listing(express, counts_on=counts_on)
            express.send_if_idle(together, rest=not left and stop == len(calls.payloads))
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return Halt(start + begun(row) - 1, empty, error=error)
    return _make_halt((stop, empty, 0, None, None))


def call_only(
    call: Callable[[Any], Any], calls: Calls, span: tuple[int, int], *, row: Words, edge: int
) -> Halt:
    """Call a function with each item of a span; nobody reads what it gives.

    Args:
        call: The user's function.
        calls: The items.
        span: First item, and the one after the last.
        row: The worker's row of the board.
        edge: Number of the edge that the items came over.
    """
    start, stop = span
    ordinals, payloads = calls.ordinals, calls.payloads
    if stop - start < len(payloads):
        ordinals, payloads = ordinals[start:stop], payloads[start:stop]
    last, numbers = begin_row(row, edge, calls.prefix, ordinals)
    empty, unread = 0, 0
    try:
        for ordinal, payload in zip(numbers, payloads, strict=True):
            row[last] = ordinal
            result = call(payload)
            if result is None:
                empty += 1
                continue
            kind = type(result)
            if kind in ANSWERS or hasattr(kind, "__next__"):
                return Halt(start + begun(row) - 1, empty, unread, result=result)
            unread += 1
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return Halt(start + begun(row) - 1, empty, unread, error=error)
    return _make_halt((stop, empty, unread, None, None))

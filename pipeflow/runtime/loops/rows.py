"""The tight loops: many items in a row, with nothing in them that the stage does not use.

    row      one look at the credit:   as many items as have room
    stretch  one look at the reader:   as many of them as come before the next (``stretch``)

They count and note in the board what a killed worker must be known by, append what can travel as
it is, and stop at the first thing that is more than that: the loop of the stage's kind takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from pipeflow.runtime.board import Words, begin_row, begun
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.runs import ONE, UNCHANGING, is_settled, with_scalars
from pipeflow.runtime.loops import stretch
from pipeflow.runtime.loops.forgotten import FORGOTTEN
from pipeflow.stages.work import BadRecord, Routed
from pipeflow.transports.codec import is_array

#: Its first cell never says to go no further.
NEVER: Final = bytes(1)
#: The second thread need not know: of the one item of a stretch ``send_if_idle`` tells it.
_NO_NEED: Final = b"\1"
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


class Route(Protocol):
    """Passes on what goes to a port of its own, from the middle of a row."""

    def __call__(self, result: Routed, at: int, /, *, alone: bool) -> bool:
        """Whether that could be done.

        Args:
            result: What the call gave.
            at: Place of its item in the row.
            alone: Nobody else holds the result.

        Raises:
            Exception: As ``Outbox.emit``.
        """
        ...


def nowhere(_result: Routed, _at: int, /, *, alone: bool) -> bool:  # noqa: ARG001 - see Route
    """What names its port goes by itself."""
    return False


#: One is made for each frame, and this is the shortest way.
_make_halt: Final[Callable[[tuple[Any, ...]], Halt]] = partial(tuple.__new__, Halt)
_make_gathered: Final[Callable[[tuple[Any, ...]], Gathered]] = partial(tuple.__new__, Gathered)


def append_from(
    items: Iterator[Any],
    numbers: tuple[int, int, int],
    *,
    express: Express,
    asking: bytearray,
    stopping: Sequence[int] = NEVER,
) -> Gathered:
    """Append what an iterator gives, as ``call_into`` does.

    Args:
        items: The user's.
        numbers: Ordinal of the first item, how much each is greater than the one before, and how
            many there is room for; with 0 one is taken, and room for it waited for.
        express: Where they go.
        asking: Its one byte says that the user's code is being asked.
        stopping: Its first cell says to go no further; looked at after each item.
    """
    first, step, most = numbers
    ordinal, last = first, first + step * max(1, most)  # of the next item, and one too many
    run, waiting = express.run, express.run.payloads
    listed = _listing(express, counts_on=step == 1)
    quick = run.pile is None and most > 0
    try:
        while ordinal != last:
            together = min((last - ordinal) // step, express.hold())
            end, woken = ordinal + together * step, express.woken if together > 1 else _NO_NEED
            while ordinal != end:
                left, onto = (end - ordinal) // step, waiting if quick else None
                taken, why, result, alone = stretch.take(
                    items, left, onto, listed, ordinal, step, woken, stopping, asking
                )
                ordinal += step * taken
                if why == stretch.RAISED:
                    return _gathered(numbers, ordinal, error=result)
                if why == stretch.UNSEEN:
                    express.wake_up()
                elif why == stretch.OTHER:
                    if result is None:
                        break
                    if type(result) in MORE:
                        return _gathered(numbers, ordinal, result=result)
                    pass_on(express, result, ordinal, alone=alone, wake=together > 1)
                    ordinal += step
                    listed = _listing(express, counts_on=step == 1)
                    quick = run.pile is None and most > 0
                if stopping[0]:
                    return _gathered(numbers, ordinal)
            express.send_if_idle(together)
            if stopping[0]:
                break
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return _gathered(numbers, ordinal, error=error)
    return _gathered(numbers, ordinal)


def _gathered(
    numbers: tuple[int, int, int],
    ordinal: int,
    result: Any = None,
    error: BaseException | None = None,
) -> Gathered:
    first, step, _ = numbers
    return _make_gathered(((ordinal - first) // step, result, error))


def _listing(express: Express, *, counts_on: bool) -> list[int] | None:
    """See ``Run.listed``.

    Args:
        express: Where items go.
        counts_on: Each ordinal is one more than the last.
    """
    return express.run.listed if counts_on else express.list_ordinals()


def pass_on(express: Express, result: Any, ordinal: int, *, alone: bool, wake: bool) -> None:
    """Append a result, or pickle it at once if it can still be changed.

    Args:
        express: Where it goes.
        result: The result.
        ordinal: Last part of its id.
        alone: Nobody else holds it.
        wake: See ``Express.append``.
    """
    if express.run.pile is not None or is_array(result):
        express.put(result, ordinal, wake=wake)
    elif is_settled(result, alone=alone):
        express.append(result, ordinal, wake=wake)
    else:
        kinds = with_scalars()
        settled = kinds is not UNCHANGING and is_settled(result, alone=alone, kinds=kinds)
        express.put(result, ordinal, settled=settled, wake=wake)


def call_into(
    call: Callable[..., Any],
    calls: Calls,
    span: tuple[int, int],
    *,
    row: Words,
    edge: int,
    express: Express,
    wait: bool,
    more: Callable[[], bool],
    route: Route,
    joined: bool = False,
    at_once: bool = False,
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
        more: Whether more items have come than those of the row.
        route: Where results go that name their port.
        joined: The items are pairs, of which the function gets each as an argument of its own.
        at_once: The results are there already, so the reader is looked at for each frame of them;
            who made them has called ``hold`` before.
    """
    start, stop = span
    payloads, passes_none = calls.payloads, not calls.end_units
    width = 1 + len(calls.partners)
    marks = begin_row(row, edge, calls.prefix, calls.ordinals, start, width=width)
    run, waiting = express.run, express.run.payloads
    counts_on = type(calls.ordinals) is range
    listed = _listing(express, counts_on=counts_on)
    quick = run.pile is None and not wait
    at, empty = start, 0
    try:
        while at < stop:
            # How many go together where they are there already: no more than make a frame.
            most = express.batch_items - len(waiting) if at_once else express.hold()
            together = min(max(1, most), stop - at)
            alone = at_once or together == 1
            end, woken = at + together, _NO_NEED if alone else express.woken
            while at < end:
                onto = waiting if quick else None
                at, none, why, result, own = stretch.call(
                    call, payloads, at, end, marks, onto, listed, woken, passes_none, joined
                )
                empty += none
                if why == stretch.RAISED:
                    return Halt(at, empty, error=result)
                if why == stretch.UNSEEN:
                    express.wake_up()
                elif why == stretch.OTHER:
                    kind = type(result)
                    if result is None:
                        empty += 1
                        listed = express.list_ordinals() if passes_none else express.leave_gap()
                    elif _is_more(result, at, route, alone=own):
                        return Halt(at, empty, result=result)
                    elif kind is Routed:
                        listed = express.list_ordinals()  # to ``out`` there is a gap
                        quick = run.pile is None and not wait
                    else:
                        ordinal = calls.ordinals[at]
                        pass_on(express, result, ordinal, alone=own, wake=not alone)
                        listed = _listing(express, counts_on=counts_on)
                        quick = run.pile is None and not wait
                    at += 1
            express.send_if_idle(together, more=more if at == len(payloads) else None)
    except BaseException as error:  # the user's code, sys.exit too: a boundary
        return Halt(start + begun(row) - 1, empty, error=error)
    return _make_halt((stop, empty, 0, None, None))


def _is_more(result: Any, at: int, route: Route, *, alone: bool) -> bool:
    """Whether a result is more than a row can pass on.

    Args:
        result: The result.
        at: Place of its item.
        route: Where it goes if it names its port.
        alone: Nobody else holds it.
    """
    kind = type(result)
    if kind is Routed:
        return not route(result, at, alone=alone)
    return kind not in ONE and (kind in FORGOTTEN or hasattr(kind, "__next__"))


def call_only(
    call: Callable[..., Any],
    calls: Calls,
    span: tuple[int, int],
    *,
    row: Words,
    edge: int,
    route: Route,
    joined: bool = False,
) -> Halt:
    """Call a function with each item of a span; nobody reads what it gives to ``out``.

    Args:
        call: The user's function.
        calls: The items.
        span: First item, and the one after the last.
        row: The worker's row of the board.
        edge: Number of the edge that the items came over.
        route: Where results go that name their port.
        joined: See ``call_into``.
    """
    at, stop = span
    width = 1 + len(calls.partners)
    marks = begin_row(row, edge, calls.prefix, calls.ordinals, at, width=width)
    empty = unread = 0
    while at < stop:
        at, none, some, why, result, alone = stretch.call_only(
            call, calls.payloads, at, stop, marks, joined
        )
        empty += none
        unread += some
        if why == stretch.RAISED:
            return Halt(at, empty, unread, error=result)
        if why == stretch.OTHER:
            try:
                more = _is_more(result, at, route, alone=alone)
            except BaseException as error:  # what sends it: a boundary, as above
                return Halt(at, empty, unread, error=error)
            if more:
                return Halt(at, empty, unread, result=result)
            unread += type(result) is not Routed
            at += 1
    return _make_halt((stop, empty, unread, None, None))

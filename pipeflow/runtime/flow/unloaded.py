"""Items that came and cannot be loaded: each fails by itself, in its place. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeflow.errors import ItemNotLoadable
from pipeflow.runtime.flow.joins import Call, Calls, Lone, Output, UnitEnd, Unjoinable
from pipeflow.transports.unloadable import Unloadable


def without_unloadable(output: Output) -> Iterator[Output]:
    """What a join gave, with what cannot be loaded taken out of it."""
    match output:
        case Calls(payloads=payloads):
            yield from _pieces(output) if any(map(_error_in, payloads)) else (output,)
        case Call():
            yield told_of(output) or output
        case Lone(payload, item, lane, unit, origin):
            yield told_of(Call(payload, item, lane, unit, (origin,))) or output
        case Unjoinable(call, error):
            yield Unjoinable(call._replace(payload=loadable_of(call.payload)), error)
        case _:
            yield output


def told_of(call: Call) -> Unjoinable | None:
    """What comes of a call with something in it that cannot be loaded; ``None``: all can be."""
    error = _error_in(call.payload)
    if error is None:
        return None
    return Unjoinable(call._replace(payload=loadable_of(call.payload)), error)


def is_unloadable(payload: object) -> bool:
    """Whether this stands for an item that cannot be loaded."""
    return type(payload) is Unloadable


def loadable_of(payload: Any) -> Any:
    """An item, or a pair, without what cannot be loaded."""
    if type(payload) is tuple and any(map(is_unloadable, payload)):
        return tuple([None if is_unloadable(each) else each for each in payload])
    return None if is_unloadable(payload) else payload


def _error_in(payload: object) -> ItemNotLoadable | None:
    """What is wrong with an item, or with the first of a pair."""
    parts = payload if type(payload) is tuple else (payload,)
    return next((each.error for each in parts if type(each) is Unloadable), None)


def _pieces(calls: Calls) -> Iterator[Output]:
    """A row of calls in pieces, cut where an item cannot be loaded."""
    payloads, start = calls.payloads, 0
    for at in [*(at for at, each in enumerate(payloads) if _error_in(each)), len(payloads)]:
        if at > start:
            yield calls.part(start, at)
        gap = calls.gap_before(at) if at < len(payloads) or at == start else None
        if gap is not None:
            yield gap
        if at < len(payloads):
            broken = told_of(calls.single(at))
            assert broken is not None
            yield broken
            if calls.end_units:
                yield UnitEnd(calls.lane, broken.call.unit, 1, free=False)
        start = at + 1

"""The join of the latest: each item of the first port with the newest of the others. Pure.

    first   ──> one call each, with the newest of the others as they are just then
    others  ──> only the newest is kept; one that was never used is unmatched

The first port decides everything: the calls bear its ids and its units, and the join ends with it.
Until each of the others has an item, those of the first wait: their writer does, where the inputs
have nothing to do with each other. Elsewhere (``ahead``) so many are kept at our own expense, and
then the oldest has no partner: what the others wait for may lie behind it.

What is newest on the other ports has given its credit back, or a channel with room for one item
could never bring the next. It is delivered with the first call that uses it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from pipeflow.planner.plan import Pairing
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.joins import Call, Calls, Kept, Lone, Origin, Output, Passed, UnitEnd
from pipeflow.runtime.flow.merging import Merge
from pipeflow.runtime.messages import ItemId
from pipeflow.values import dataclass


@dataclass(slots=True)
class _Newest:
    """The newest item of a port.

    Attributes:
        item: Its id.
        payload: The item.
        origin: Where it came from; its credit has gone back.
        used: Whether a call has taken it.
    """

    item: ItemId
    payload: Any
    origin: Origin
    used: bool = False


class Latest:
    """Joins each item of the first port with the newest of the others.

    Args:
        collectors: One for each port, in the order of the arguments.
        pairing: How many items of the first port may be held before each of the others has one.
        lane_base: Number of the first port's first lane among all lanes of the stage.
        unit_ends: Whether the stage wants to know where units end: if it keeps them.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        pairing: Pairing,
        *,
        lane_base: int = 0,
        unit_ends: bool = False,
    ) -> None:
        self._first = Merge(collectors[:1], [lane_base], unit_ends=unit_ends)
        self._collectors = collectors
        self._others = collectors[1:]
        self._ahead = pairing.ahead
        self._newest: list[_Newest | None] = [None for _ in self._others]
        #: Outputs of the first port that wait for the others' first items.
        self._early: deque[Call | UnitEnd] = deque()
        self._early_calls = 0
        self._row: deque[Call] = deque()
        #: The next of the first port, taken to see whether there is one.
        self._head: Output | None = None
        self._ready: deque[Output] = deque()
        self._ended = False

    def take(self) -> Output | None:
        while not self._ready:
            # Asked before the others are looked at: they may bring something for ever.
            if self._find_end():
                break
            self._refresh()
            if not self._go_on():
                self._find_end()
                break
        return self._ready.popleft() if self._ready else None

    def idle(self) -> bool:
        """Whether the next call is made of what comes until then."""
        return not self._ready

    def over(self) -> bool:
        return self._ended and not self._ready

    def heard_all(self) -> bool:
        """Whether the others have ended too, so that nothing is left unread."""
        return all(collector.exhausted() for collector in self._others)

    def waits_for(self) -> int | None:
        missing = self._missing()
        return 0 if missing is None else missing

    def _refresh(self) -> None:
        """Take what has come on the other ports."""
        for number, collector in enumerate(self._others):
            while (arrived := collector.take()) is not None:
                origin = Origin(number + 1, arrived.writer, arrived.frame)
                for item, payload in arrived.part.items:
                    self._ready.append(Kept(origin))
                    self._supersede(number)
                    kept = origin._replace(frame=None)
                    self._newest[number] = _Newest(item, payload, kept)
                if arrived.part.cost:
                    self._ready.append(Passed(origin, arrived.part.cost))

    def _supersede(self, number: int) -> None:
        """What was newest is so no more; if no call has used it, none will."""
        old, self._newest[number] = self._newest[number], None
        if old is not None and not old.used:
            self._ready.append(Lone(old.payload, old.item, 0, 0, old.origin))

    def _missing(self) -> int | None:
        """The port that has to bring its first item yet; ``None``: each has, or never will."""
        for number, newest in enumerate(self._newest):
            if newest is None and not self._others[number].exhausted():
                return number + 1
        return None

    def _go_on(self) -> bool:
        """Say one more thing of the first port; whether anything moved."""
        if self._missing() is not None:
            return self._wait() if self._ahead else bool(self._ready)
        match output := self._next():
            case None:
                return bool(self._ready)
            case Call():
                self._say(output)
            case _:
                self._ready.append(output)
        return True

    def _next(self) -> Output | None:
        """The next of the first port, one by one."""
        if self._early:
            return self._early.popleft()
        if not self._row:
            output = self._take_head()
            if not isinstance(output, Calls):
                return output
            self._row.extend(output.single(index) for index in range(len(output.payloads)))
        return self._row.popleft()

    def _take_head(self) -> Output | None:
        self._look_ahead()
        head, self._head = self._head, None
        return head

    def _look_ahead(self) -> None:
        if self._head is None:
            self._head = self._first.take()

    def _say(self, call: Call) -> None:
        """A call with the newest of the others; without one there is no call."""
        newest = [each for each in self._newest if each is not None]
        if len(newest) < len(self._newest):
            self._ready.append(_lone(call))
            return
        fresh = [each for each in newest if not each.used]
        for each in fresh:
            each.used = True
        payload = (call.payload, *[each.payload for each in newest])
        origins = (*call.origins, *[each.origin for each in fresh])
        self._ready.append(call._replace(payload=payload, origins=origins))

    def _wait(self) -> bool:
        """Keep what the first port has until the others have something; whether anything moved."""
        match output := self._take_head():
            case None:
                return bool(self._ready)
            case Calls():
                for index in range(len(output.payloads)):
                    self._keep(output.single(index))
            case Call():
                self._keep(output)
            case UnitEnd():
                self._early.append(output)
            case _:
                self._ready.append(output)
        while self._early_calls > self._ahead:
            oldest = self._early.popleft()
            if isinstance(oldest, Call):
                self._early_calls -= 1
                self._ready.append(_lone(oldest))
            else:
                self._ready.append(oldest)
        return True

    def _keep(self, call: Call) -> None:
        (origin,) = call.origins
        self._ready.append(Kept(origin))
        self._early.append(call._replace(origins=(origin._replace(frame=None),)))
        self._early_calls += 1

    def _find_end(self) -> bool:
        """Whether the first port has ended; what was never used has no partner then."""
        if self._ended or self._early or self._row:
            return self._ended
        self._look_ahead()
        if self._head is not None or not self._first.over():
            return False
        self._ended = True
        for number in range(len(self._newest)):
            self._supersede(number)
        return True


def _lone(call: Call) -> Lone:
    (origin,) = call.origins
    return Lone(call.payload, call.id, call.lane, call.unit, origin)

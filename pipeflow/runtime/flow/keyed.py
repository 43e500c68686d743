"""The join by key: items with equal keys become one call, in order of arrival. Pure.

    left   ──> pending ──> held by key ──┐
                                         ├──> equal keys on every port: a call
    right  ──> pending ──> held by key ──┘    no partner within the bound: unmatched

**Which port is next** must not depend on which process was quicker, so where the bound is a number
of items, a rule decides: the port on which fewest items wait for a partner, of several the one that
has brought fewest, of these the first. What has no key counts as if it waited. So a stream of which
much has no partner does not run away from the other, and one file gives one result. The rest of
what has come is pending. A bound in time speaks of arrival: all is looked at as it comes.

**Nobody waits for ever.** What waits for its partner has given its credit back: the partner may
lie behind items that would never find room. What is pending keeps its credit where the plan says
that the inputs have nothing to do with each other; its writer waits then, as for any busy reader.
Elsewhere (``ahead``) it gives it back too, and when so many are pending on one port while the port
that is due has nothing, they are looked at all the same.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Final, Protocol

from pipeflow.planner.plan import Pairing
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.joins import (
    Call,
    Kept,
    Lone,
    Origin,
    Output,
    Passed,
    UnitEnd,
    Unjoinable,
)
from pipeflow.runtime.messages import ItemId
from pipeflow.values import dataclass, field

#: Gives the key of an item.
PickKey = Callable[[Any], Any]

#: Items that a port with a bound in time may hold at our expense; what more comes within the time
#: keeps its credit, so that its writer waits.
HELD_MOST: Final = 65_536

#: Types that are keys as they are; of others it is asked whether they may be.
PLAIN_KEYS: Final = frozenset({str, int, float, bool, bytes})

_Entry = tuple[ItemId, Any, Origin]


@dataclass(slots=True)
class _Waiting:
    """An item whose partners may still come.

    Attributes:
        key: Its key.
        entry: Its id, its payload, where it came from.
        since: When it came, by the clock of a bound in time.
    """

    key: Hashable
    entry: _Entry
    since: float


@dataclass(slots=True)
class _Side:
    """One port.

    Attributes:
        pending: What has come and was not looked at yet.
        held: What waits for partners, by its number on the port, oldest first.
        by_key: Key to the numbers of those that have it, oldest first.
        keyless: Numbers of items without a key, as long as they would wait if they had one.
        seen: Items looked at so far.
        over: Nothing more comes, and that was noticed.
    """

    pending: deque[_Entry] = field(default_factory=deque)
    held: OrderedDict[int, _Waiting] = field(default_factory=OrderedDict)
    by_key: dict[Hashable, deque[int]] = field(default_factory=dict)
    keyless: deque[int] = field(default_factory=deque)
    seen: int = 0
    over: bool = False

    @property
    def ahead(self) -> tuple[int, int]:
        """How far it is ahead of the others: by what waits, and if that is equal, by all."""
        return len(self.held) + len(self.keyless), self.seen

    def hold(self, number: int, waiting: _Waiting) -> None:
        """Let an item wait."""
        self.held[number] = waiting
        self.by_key.setdefault(waiting.key, deque()).append(number)

    def take(self, key: Hashable) -> _Waiting:
        """The item that has waited longest with this key waits no longer."""
        numbers = self.by_key[key]
        number = numbers.popleft()
        if not numbers:
            del self.by_key[key]
        return self.held.pop(number)

    def waiting_for(self, key: Hashable) -> int:
        """How many items wait with this key."""
        numbers = self.by_key.get(key)
        return len(numbers) if numbers else 0

    def oldest(self) -> tuple[int, _Waiting] | None:
        """Number of the item that has waited longest, and the item."""
        return next(iter(self.held.items()), None)


class UnopenedKeys(Protocol):
    """Knows the keys of items that are not opened here, some time after they have come."""

    def came(self, port: int, item: ItemId, payload: Any) -> None:
        """An item has come on a port."""
        ...

    def known(self, payload: Any) -> bool:
        """Whether its key is known, or that it has none."""
        ...

    def key(self, payload: Any) -> Any:
        """Its key, once it is known, and one that may be; raises what was wrong if it has none."""
        ...


class KeyJoin:
    """Pairs the items of several ports by their keys.

    Args:
        collectors: One for each port, in the order of the arguments.
        keys: Gives the key of a port's item, in step.
        pairing: The bound, and how far it may look ahead.
        stage: Number of the stage: the ids of its calls count anew.
        replica: Which of its workers.
        replicas: How many there are: with several, each is a lane of its own to the readers.
        now: Seconds by a clock that never goes back; asked only for a bound in time.
        unopened: Knows the keys in a while; what has come without is as if it had not.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        keys: Sequence[PickKey],
        pairing: Pairing,
        *,
        stage: int,
        replica: int = 0,
        replicas: int = 1,
        now: Callable[[], float],
        unopened: UnopenedKeys | None = None,
    ) -> None:
        self._unopened = unopened
        self._collectors = collectors
        self._keys = keys
        self._pairing = pairing
        self._stage = stage
        self._replica, self._replicas = replica, replicas
        self._now = now
        self._sides = [_Side() for _ in collectors]
        self._ready: deque[Output] = deque()
        self._unit = 0
        #: Calls made so far, which have the ids of as many results.
        self.calls = 0

    def take(self) -> Output | None:
        step = self._as_it_comes if self._pairing.seconds is not None else self._by_rule
        while not self._ready:
            if not step():
                return None
        return self._ready.popleft()

    def over(self) -> bool:
        return not self._ready and all(side.over for side in self._sides)

    def waits_for(self) -> int | None:
        return None if self._pairing.seconds is not None else self._due()

    def wake_in(self) -> float | None:
        """Seconds until an item has waited long enough; ``None``: there is none."""
        seconds = self._pairing.seconds
        if seconds is None:
            return None
        firsts = [found[1].since for side in self._sides if (found := side.oldest())]
        return max(0.0, min(firsts) + seconds - self._now()) if firsts else None

    # ----------------------------------------------------------- what is next

    def _by_rule(self) -> bool:
        """Look at the next item of the port that is due; whether anything moved."""
        due = self._due()
        if due is None:
            return False
        side = self._sides[due]
        unopened = self._unopened
        moved = bool(side.pending) if unopened is None else self._has_next(side)
        moved = moved or self._pull()
        if side.pending and (unopened is None or self._has_next(side)):
            self._look_at(due, side.pending.popleft(), 0.0)
        elif side.pending:
            return moved  # its key is not known yet
        elif self._collectors[due].exhausted():
            self._end(due)
            return True
        elif (ahead := self._too_far_ahead()) is not None:
            self._look_at(ahead, self._sides[ahead].pending.popleft(), 0.0)
            return True
        return moved

    def _due(self) -> int | None:
        """The port whose item is next; ``None``: all are over."""
        due, least = None, (0, 0)
        for port, side in enumerate(self._sides):
            if not side.over and (due is None or side.ahead < least):
                due, least = port, side.ahead
        return due

    def _too_far_ahead(self) -> int | None:
        """The port with so much pending that it must not wait for the one that is due."""
        most = self._pairing.ahead
        if not most:
            return None
        full = [port for port, side in enumerate(self._sides) if len(side.pending) >= most]
        full = [port for port in full if self._has_next(self._sides[port])]
        return full[0] if full else None

    def _as_it_comes(self) -> bool:
        """Look at all that has come, after what has waited long enough; whether anything moved."""
        now = self._now()
        moved = self._pull()
        self._expire_by(now)
        for port, side in enumerate(self._sides):
            while self._has_next(side):
                self._look_at(port, side.pending.popleft(), now)
        for port, side in enumerate(self._sides):
            if not (side.over or side.pending) and self._collectors[port].exhausted():
                moved = True
                self._end(port)
        return moved or bool(self._ready)

    def _has_next(self, side: _Side) -> bool:
        """Whether the next item of a port can be looked at."""
        unopened = self._unopened
        return bool(side.pending) and (unopened is None or unopened.known(side.pending[0][1]))

    def _pull(self) -> bool:
        """Take what the collectors have; whether anything came."""
        moved = False
        pays = self._pairing.ahead > 0
        for port, collector in enumerate(self._collectors):
            while (arrived := collector.take()) is not None:
                moved = True
                origin = Origin(port, arrived.writer, arrived.frame)
                kept = origin._replace(frame=None) if pays else origin
                for item, payload in arrived.part.items:
                    if pays:
                        self._ready.append(Kept(origin))
                    self._sides[port].pending.append((item, payload, kept))
                    if self._unopened is not None:
                        self._unopened.came(port, item, payload)
                if arrived.part.cost:
                    self._ready.append(Passed(origin, arrived.part.cost))
        return moved

    # --------------------------------------------------------------- one item

    def _look_at(self, port: int, entry: _Entry, now: float) -> None:
        """One more item of a port: a call, or one that waits, or has no partner."""
        side = self._sides[port]
        number = side.seen
        side.seen += 1
        self._expire_behind(side, number)
        try:
            key = self._keys[port](entry[1])
            if type(key) not in PLAIN_KEYS and key is not None and self._unopened is None:
                from pipeflow.stages.keys import key_hash  # rare keys, and it loads much

                key_hash(key)  # refuses what never equals what came from another process
        except Exception as error:  # the user's expression: a boundary
            side.keyless.append(number)
            self._say_broken(entry, error)
            return
        if key is None:
            side.keyless.append(number)
            self._say_lone(entry)  # nothing equals it
            return
        side.hold(number, _Waiting(key, entry, now))
        if all(each.waiting_for(key) for each in self._sides):
            self._say_call([each.take(key).entry for each in self._sides])
        elif self._is_hopeless(port, key, side.waiting_for(key)):
            side.held.pop(number)
            self._forget_last(side, key)
            self._say_lone(entry)
        elif entry[2].frame is not None and self._may_keep(side):
            side.held[number].entry = (*entry[:2], entry[2]._replace(frame=None))
            self._ready.append(Kept(entry[2]))

    def _may_keep(self, side: _Side) -> bool:
        """A bound in items is itself what limits how much is held."""
        return self._pairing.seconds is None or len(side.held) <= HELD_MOST

    def _is_hopeless(self, port: int, key: Hashable, rank: int) -> bool:
        """Whether the so-many-th that waits with a key has no partner on a port that is over."""
        return any(
            other.over and other.waiting_for(key) < rank
            for number, other in enumerate(self._sides)
            if number != port
        )

    @staticmethod
    def _forget_last(side: _Side, key: Hashable) -> None:
        side.by_key[key].pop()
        if not side.by_key[key]:
            del side.by_key[key]

    # ------------------------------------------------------------- no partner

    def _expire_behind(self, side: _Side, number: int) -> None:
        """Of a bound in items: what has seen more than so many further items on its port."""
        items = self._pairing.items
        if items is None:
            side.keyless.clear()
            return
        while side.keyless and side.keyless[0] < number - items:
            side.keyless.popleft()
        while (oldest := side.oldest()) is not None and oldest[0] < number - items:
            self._say_lone(side.take(oldest[1].key).entry)

    def _expire_by(self, now: float) -> None:
        """Of a bound in time: what has waited for longer."""
        seconds = self._pairing.seconds
        assert seconds is not None
        for side in self._sides:
            while (oldest := side.oldest()) is not None and now - oldest[1].since > seconds:
                self._say_lone(side.take(oldest[1].key).entry)

    def _end(self, port: int) -> None:
        """Nothing more comes on a port: what now has no partner any more need not wait."""
        self._sides[port].over = True
        while any(self._let_go_of_hopeless(number) for number in range(len(self._sides))):
            pass  # what leaves one port may have been the partner of what waits on another

    def _let_go_of_hopeless(self, port: int) -> bool:
        """Whether anything on a port has no partner any more; it is let go of."""
        side = self._sides[port]
        gone = list(self._hopeless(port, side))
        for key, number in gone:
            del side.held[number]
            self._forget_last(side, key)
        return bool(gone)

    def _hopeless(self, port: int, side: _Side) -> Iterator[tuple[Hashable, int]]:
        """Key and number of what has no partner any more; says so, oldest first."""
        ranks: dict[Hashable, int] = {}
        for number, waiting in side.held.items():
            ranks[waiting.key] = rank = ranks.get(waiting.key, 0) + 1
            if self._is_hopeless(port, waiting.key, rank):
                self._say_lone(waiting.entry)
                yield waiting.key, number

    # ------------------------------------------------------------------ words

    def _say_call(self, pair: Sequence[_Entry]) -> None:
        item = (self._stage, self.calls * self._replicas + self._replica)
        self.calls += 1
        payload, origins = tuple([each[1] for each in pair]), tuple([each[2] for each in pair])
        self._ready.append(Call(payload, item, self._replica, self._unit, origins))
        self._end_unit()

    def _say_lone(self, entry: _Entry) -> None:
        item, payload, origin = entry
        self._ready.append(Lone(payload, item, self._replica, self._unit, origin))
        self._end_unit()

    def _say_broken(self, entry: _Entry, error: Exception) -> None:
        item, payload, origin = entry
        call = Call(payload, item, self._replica, self._unit, (origin,))
        self._ready.append(Unjoinable(call, error))
        self._end_unit()

    def _end_unit(self) -> None:
        """Each output is a unit of this replica's lane."""
        if self._replicas > 1:
            self._ready.append(UnitEnd(self._replica, self._unit, 1, free=False))
            self._unit += 1

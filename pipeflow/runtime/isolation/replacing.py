"""When a runner is gone, or has to go: what it had in hand has failed, and another goes on.

``deaths`` decides what follows; this obeys. See ``keeper``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, assert_never

from pipeflow.errors import ItemNotSerializable
from pipeflow.planner.plan import StagePlan
from pipeflow.runtime.board import (
    FAILED,
    HAND_DEPTH,
    RETRIED,
    id_text,
)
from pipeflow.runtime.failures import view_of
from pipeflow.runtime.flow.joins import Call
from pipeflow.runtime.isolation.child import Child
from pipeflow.runtime.isolation.deaths import (
    Follows,
    InHand,
    Situation,
    after_death,
    died,
    overdue,
)
from pipeflow.runtime.isolation.entries import Entry
from pipeflow.runtime.isolation.hearing import HearingLoop
from pipeflow.runtime.isolation.keys import order_of
from pipeflow.runtime.isolation.link import Cell
from pipeflow.runtime.isolation.messages import (
    Order,
    Orders,
    Over,
    bare,
)
from pipeflow.runtime.isolation.sealed import Needs, Sealed, opened, row_of_deaths, tries_of
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.runtime.messages import (
    Failure,
    RunnerDied,
)
from pipeflow.spec.shapes import Role
from pipeflow.values import dataclass

#: For a process that was killed to be gone, in seconds; only the kernel can delay it.
_GONE_S: Final = 5.0
#: For a runner to write down where it is before it is killed, in seconds.
_STACK_S: Final = 0.1
_STACK_LOOK_S: Final = 0.002


@dataclass(slots=True, kw_only=True)
class ReplacingLoop(HearingLoop):
    """A keeper that outlives its runners."""

    def _send(self, entries: Sequence[Entry], *, again: bool = False) -> None:
        """Give entries to the runner, and the end of input if it is known."""
        for each in entries:
            each.name(self.names)
        needs = Needs(self._runner, again=again, anew=self._anew)
        asked = self.keys.ask(again=again)
        for frame in asked:
            needs.add_frame(frame)
        orders: list[Order] = [order_of(frame) for frame in asked]  # first: others wait for them
        orders += [each.order(needs) for each in entries]
        self._anew = needs.anew
        if self._end is not None:
            orders.append(self._end)
        packet, frames = None, tuple(needs.frames())
        self._given += sum(each.size for each in entries)
        if needs.beside:
            try:
                packet = self.around.encode(needs.beside)
            except ItemNotSerializable as error:
                raise self._stopped(error, "pickling") from None
            self._keep.append((self._given, packet.keep))
        packet = bare(packet) if packet is not None else None
        self._at_hand().send(Orders(tuple(orders), packet, self.private, frames))

    # ---------------------------------------------------------------------- time

    def _time_left_s(self) -> float | None:
        """Seconds that the item in hand has left; a runner that has overdrawn them is killed."""
        limit_s, link = self.stage.timeout_s, self._at_hand().link
        if limit_s is None:
            return None
        begun = self._begun_at()
        self._note_begun()
        limit_s *= self._loads_at_a_time()
        if not self._is_timed():
            return None
        left_s = limit_s - link.in_hand_s()
        if left_s > 0 or self._begun_at() != begun:
            return max(left_s, 0.001)
        self._hear()
        if not self._is_timed() or self._begun_at() != begun:
            return None  # it was done just in time
        self._end_late()
        return 0.0

    def _begun_at(self) -> tuple[int, int]:
        """Changes with everything that the runner begins."""
        cells = self._at_hand().link.cells
        return cells[Cell.BEGUN], cells[Cell.LOADS]

    def _is_timed(self) -> bool:
        """Whether the runner is at something whose time is seen to here."""
        if self._at_hand().link.loading() is not None:
            return True
        awaits = self._loaded is not None and self._loaded.awaits
        return not awaits and self._docket.in_hand() is not None

    def _loads_at_a_time(self) -> int:
        """How many items the runner loads at once, if none can be blamed but by another runner."""
        loading = self._at_hand().link.loading()
        if loading is None or loading[1] is not None or self._is_replaceable():
            return 1
        return self._find(*loading)[0].frame.packet.items

    def _end_late(self) -> None:
        """The runner has overdrawn its time: it is asked where it is, and killed."""
        child = self._at_hand()
        # From here on nothing is heard: the question itself may end the call that took too long.
        self._late, self._stack = True, ""
        child.ask_where()
        until = time.monotonic() + _STACK_S
        while not self._stack and time.monotonic() < until and not child.is_gone_in(_STACK_LOOK_S):
            self._stack = self.around.last_words()
        child.kill()
        child.is_gone_in(_GONE_S)
        self._after_end()

    # -------------------------------------------------------------------- deaths

    def _after_end(self) -> None:
        """The runner is gone before its loop was over: go on without it, if that may be.

        Raises:
            StageStopped: That may not be.
        """
        child, loaded = self._at_hand(), self._loaded
        assert loaded is not None
        late, self._late = self._late, False
        if not late:
            self._hear()
            self._note_begun()
        if self._over is not None:
            return
        loading = child.link.loading()
        if loading is not None:
            self._after_loading(*loading, late=late)
            return
        call, docket = self._call_in_hand(), self._docket
        at_end = self._end is not None and not docket
        if at_end and not (loaded.ends or loaded.keeps_state):
            self._over = Over(early=False)  # nothing was left to do
            return
        self._deaths += not late
        tried = docket.tried() + 1 + self._tries_in(child, call) if call is not None else 0
        found = Situation(
            in_hand=docket.held(),
            died=not late,
            tried=tried,
            emitted=docket.emitted,
            replaceable=self._is_replaceable(),
            at_end=at_end,
            deaths=self._deaths,
            draining=bool(self.stopping[0]),
        )
        verdict = after_death(found, self.stage.on_error)
        failure = self._failure_of(call, late=late, tried=tried)
        self.tell(RunnerDied(child.pid, child.status or 0, failure.item))
        match verdict.follows:
            case Follows.END:
                self.row[FAILED] += _count(call)
                raise StageStopped(failure)
            case Follows.GIVE_UP:
                assert call is not None
                self._give_up_call(call, failure)
                self._end_units(docket.settle(_count(call)))
                self._succeed(docket.restart(tried=None))
            case Follows.TRY_AGAIN:
                self.row[RETRIED] += _count(call)
                self._succeed(docket.restart(tried=tried), verdict.wait_s)
            case Follows.ONE_BY_ONE:
                self._succeed(docket.restart_alone())
            case Follows.GO_ON:
                self._succeed(docket.restart(tried=None))
            case _:
                assert_never(verdict.follows)

    def _call_in_hand(self) -> Call | None:
        """The call that a runner had in hand, opened: that could load it."""
        call = self._docket.in_hand()
        if call is None:
            return None
        return call._replace(payload=opened(call.payload, self.around.decoder()))

    def _is_replaceable(self) -> bool:
        """Whether another runner can go on where this one stopped."""
        assert self._loaded is not None
        return not self._loaded.keeps_state and not _writes(self.stage)

    def _after_loading(self, number: int, at: int | None, *, late: bool) -> None:
        """The runner is gone while it loaded items: none of them has begun.

        Raises:
            StageStopped: The run ends.
        """
        docket, child = self._docket, self._at_hand()
        item, call, failed = self._find(number, at)
        frame = item.frame
        # Of several that were loaded at once nobody is blamed: the next runner goes item by item.
        blamed = at is not None or frame.packet.items == 1
        counts = blamed and not failed  # else it was opened for its letter alone
        if counts and not late:
            frame.deaths[item.at] = frame.deaths.get(item.at, 0) + 1
        tried = tries_of(call, item) + 1
        found = Situation(
            in_hand=int(counts),
            died=counts and not late,
            tried=tried,
            emitted=0,
            replaceable=self._is_replaceable(),
            at_end=False,
            deaths=self._deaths_until(item),
            draining=bool(self.stopping[0]),
        )
        verdict = after_death(found, self.stage.on_error)
        failure = self._failure_of_loading(item, call, blamed=blamed, late=late, tried=tried)
        self.tell(RunnerDied(child.pid, child.status or 0, failure.item))
        if verdict.follows is Follows.END:
            raise StageStopped(failure)
        frame.singly = True
        if verdict.follows is Follows.GIVE_UP or (blamed and failed):
            frame.lost[item.at] = failure
            docket.fail(item, failure)
        elif verdict.follows is Follows.TRY_AGAIN:
            frame.tries[item.at] = frame.tries.get(item.at, 0) + 1
            self.row[RETRIED] += 1
        # What was in hand beside has not failed, and goes by itself.
        self._succeed(
            docket.restart_alone() if docket.held() else docket.restart(tried=None),
            verdict.wait_s,
        )

    def _deaths_until(self, item: Sealed) -> int:
        """Deaths in a row up to an item that ends whoever loads it.

        Its frame is loaded as a whole, so nothing of it can be finished before: what lies before
        it, and could be loaded, counts as if it were. They are added up as they fail in their
        places.
        """
        first, deaths = row_of_deaths(item)
        if first and self._docket.is_out(Sealed(item.frame, first - 1)):
            return deaths
        return self._deaths + deaths

    def _find(self, number: int, at: int | None) -> tuple[Sealed, Call | None, bool]:
        """What the runner loads, its call if it has one, and whether that has failed."""
        asked = self.keys.find(number, at)
        return self._docket.find(number, at) if asked is None else (asked, None, False)

    def _failure_of_loading(
        self, item: Sealed, call: Call | None, *, blamed: bool, late: bool, tried: int
    ) -> Failure:
        """What has become of an item by being loaded, or of one of several."""
        own = id_text(item.frame.id_at(item.at), self.names)
        name = own if call is None else id_text(call.id, self.names)
        hand = InHand(item=name if blamed else "", tried=tried)
        if late:
            assert self.stage.timeout_s is not None
            return overdue(hand, timeout_s=self.stage.timeout_s, stack=self._stack)
        if call is None or type(call.payload) is not tuple:
            own = name  # of a pair it is told which item it was
        keyed = ", or working out its key" if self.keys.asks_for(item.frame) else ""
        count = item.frame.packet.items
        return died(
            hand,
            status=self._at_hand().status or 0,
            out_of_memory=self.around.ran_out_of_memory(),
            stack=self.around.last_words(),
            loaded=True,
            loading=f"item {own}{keyed}" if blamed else f"{count} items, from item {own} on",
        )

    def _tries_in(self, child: Child, call: Call) -> int:
        """How often the runner itself has tried the item in its hand again."""
        self.row[RETRIED] = child.link.row[RETRIED]
        return (self.row[RETRIED] - self._retried) // _count(call)

    def _failure_of(self, call: Call | None, *, late: bool, tried: int) -> Failure:
        """What has become of the item in hand, or of the worker if there is none."""
        item = InHand(
            item=id_text(call.id, self.names) if call is not None else "",
            view=view_of(call.payload, self.mask) if call is not None else "",
            tried=max(1, tried),
            emitted=self._docket.emitted,
        )
        if late:
            assert self.stage.timeout_s is not None
            return overdue(item, timeout_s=self.stage.timeout_s, stack=self._stack)
        return died(
            item,
            status=self._at_hand().status or 0,
            out_of_memory=self.around.ran_out_of_memory(),
            stack=self.around.last_words(),
            loaded=self._loaded is not None,
        )

    def _give_up_call(self, call: Call, failure: Failure) -> None:
        """The item in hand has failed for the last time.

        Raises:
            StageStopped: The policy is ``stop``, or too many were given up.
        """
        self._end_ahead(call.lane, call.unit)  # of its letter
        self.hand, self._payload = call.id, call.payload
        self._attempt, self._emitted = failure.attempt, failure.emitted
        self._give_up_for(failure, _count(call), (call.lane, call.unit))
        self.hand, self._payload = (), None

    def _succeed(self, left: Sequence[Entry], wait_s: float = 0.0) -> None:
        """Another runner takes the place of the one that is gone, and gets what is left."""
        child = self._at_hand()
        self.around.bury_runner()
        child.close()
        self._add_metrics()
        self.row[HAND_DEPTH] = 0
        self.outbox.flush()
        if wait_s > 0:
            self.around.back_off(wait_s)
        self._given = 0
        self._keep.clear()
        self._begin()
        if left or self._end is not None or self.keys.waits():
            self._send(left, again=True)

    def _add_metrics(self) -> None:
        """What the last runner has told of its metrics counts for good."""
        for name, value in self._metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._metrics = {}


def _writes(stage: StagePlan) -> bool:
    """Whether it is a writer of ours, which has begun a file or a request."""
    return bool(stage.operator) and stage.role is Role.SINK


def _count(call: Call | None) -> int:
    """Items that a call takes."""
    return len(call.origins) if call is not None else 0

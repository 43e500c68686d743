"""The keeper: the loop of a worker whose stage runs isolated, in a process beside it.

It takes from the inbox what the loop of the stage would take, gives it to the runner as orders, and
does with the outbox what the runner says its loop has done. Until the runner has told that an order
is done the keeper has it, and gives it to the next runner if this one dies.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, assert_never

from pipeflow.runtime.board import EARLY
from pipeflow.runtime.flow.joins import Call, Calls, Lone, UnitEnd, Unjoinable
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.isolation.entries import Entry
from pipeflow.runtime.isolation.keys import KeyFailed
from pipeflow.runtime.isolation.messages import (
    EndOrder,
)
from pipeflow.runtime.isolation.replacing import ReplacingLoop
from pipeflow.runtime.loops.base import REST_S
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.runtime.messages import (
    Barrier,
    EndOfInput,
    Logged,
    RunnerDied,
)
from pipeflow.runtime.waits.process import REST_LOOK_S
from pipeflow.values import dataclass

#: Orders that a runner may have at a time: enough to go on while the keeper is at something else.
_WINDOW: Final = 128
#: For a runner to be gone once all is done, and for the user's ``close`` after a failure, seconds.
_LINGER_S: Final = 5.0
_ABANDON_S: Final = 0.4


@dataclass(slots=True, kw_only=True)
class KeeperLoop(ReplacingLoop):
    """One replica, its code in another process."""

    # ------------------------------------------------------------------- start

    def start(self) -> None:
        """Start the first runner, and wait until it has loaded the stage.

        Raises:
            StageStopped: The user's module or constructor failed, or killed its process.
        """
        self._begin()
        child = self._at_hand()
        while self._loaded is None:
            self._end_if_told()
            gone = child.is_gone()
            self._hear()
            if gone and self._loaded is None:
                self.tell(RunnerDied(child.pid, child.status or 0, ""))
                raise StageStopped(self._failure_of(None, late=False, tried=1))
            if self._loaded is None:
                self._wait_alone()

    def _wait_alone(self, timeout_s: float | None = None) -> None:
        """Wait for the runner, whether anybody reads us or not."""
        try:
            self.around.for_news(self._at_hand(), with_input=False, idle=False, timeout_s=timeout_s)
        except ReadersGone:
            self._leaving = True

    # --------------------------------------------------------------------- loop

    def _run(self) -> Iterator[bool]:
        assert self.inbox is not None
        if self._takes_rows():
            self.inbox.give_rows(woven=False)
        while self._over is None:
            if self._leaving:
                raise ReadersGone
            moved = self._hear()
            self._note_begun()
            self._end_if_told()
            if self._over is None and self._at_hand().is_gone():
                self._after_end()
                continue
            left_s = self._time_left_s()
            moved |= self._feed()
            if not moved and left_s != 0:
                self.outbox.flush()
                self.inbox.settle()
                self.around.for_news(
                    self._at_hand(),
                    with_input=self._end is None and self._room() > 0,
                    idle=self._is_idle(),
                    timeout_s=left_s if self._rest_until is None else REST_LOOK_S,
                )
        yield from ()

    def _takes_rows(self) -> bool:
        """Whether the runner is done with its calls one by one, so that each may end its unit."""
        assert self._loaded is not None
        return self.stage.batch is None and not self._loaded.awaits

    def end_now(self) -> None:
        """Called by a signal: end as soon as what the runner has begun is noted."""
        self._told_to_end = True
        if self._child is not None:
            self._child.link.keeper_bell.ring()

    def runner_at_work(self) -> bool:
        """Whether the runner has an item in hand, as far as it was noted."""
        return self._docket.in_hand() is not None

    def _end_if_told(self) -> None:
        if self._told_to_end:
            self.around.end_by_signal()

    def _room(self) -> int:
        """How many orders more may go out; what is sent on demand is asked for item by item.

        Of a stage that gets lists only calls count: it can do nothing before a list is full.
        """
        assert self.inbox is not None
        on_demand, batch = self.inbox.is_on_demand(), self.stage.batch
        awaits = self._loaded is not None and self._loaded.awaits
        together = self.stage.concurrency if awaits else 1
        if batch is None:
            return (together if on_demand else max(_WINDOW, 2 * together)) - len(self._docket)
        most = batch.size * together
        return (most if on_demand else max(_WINDOW, 2 * most)) - self._docket.calls()

    def _is_idle(self) -> bool:
        """Whether the runner can do nothing before more comes."""
        if self._end is not None or self.keys.waits():
            return False
        return not (self._docket if self.stage.batch is None else self._docket.held())

    def _feed(self) -> bool:
        """Take what has come, and give it to the runner; whether anything was taken."""
        inbox, left, batch = self.inbox, self._room(), self.stage.batch
        assert inbox is not None
        new, ended = list[Entry](), self._end is not None
        while self._end is None and left > 0:
            message = inbox.take()
            match message:
                case None:
                    self._end_of_rest()
                    break
                case Calls() if batch is not None:
                    count = len(message.payloads)
                    calls = (message.single(at) for at in range(count))
                    new += self._docket.add([inbox.hold(call, batch.size) for call in calls])
                    left -= count
                case Calls():
                    new += self._docket.add([message])
                    left -= len(message.payloads)
                case Call():
                    held = message if batch is None else inbox.hold(message, batch.size)
                    new += self._docket.add([held])
                    left -= 1
                case Unjoinable(call, error):
                    held = call if batch is None else inbox.hold(call, batch.size)
                    assert isinstance(error, KeyFailed)  # nothing else is worked out here
                    new.append(self._docket.add_failed(held, error.failure))
                    left -= batch is None
                case Lone() | UnitEnd():
                    new += self._docket.add([message])
                    left -= batch is None
                case EndOfInput(units, ids):
                    self._end = EndOrder(tuple(units.items()), ids)
                case Barrier():
                    raise AssertionError(message)  # there are no checkpoints yet
                case _:
                    assert_never(message)
        self._at_hand().push()
        while self._keep and self._keep[0][0] <= self._docket.gone:
            self._keep.popleft()
        if new or (self._end is not None and not ended) or self.keys.has_new():
            self._send(new)
            return True
        return False

    def _end_of_rest(self) -> None:
        """What the longer inputs of a zip still bring is counted, but not for ever."""
        assert self.inbox is not None
        if self.inbox.no_more_calls():
            now = time.monotonic()
            self._rest_until = self._rest_until or now + REST_S
            if now >= self._rest_until:
                self._end = EndOrder(())

    # ------------------------------------------------------------------- the end

    def _let_go(self) -> None:
        """Nobody needs more: the runner closes what is the user's, and ends."""
        self._leaving = True
        self._at_hand().leave()

    def _close_work(self) -> None:
        """Wait until the runner has closed what is the user's, and is gone.

        Raises:
            StageStopped: The user's ``close`` failed.
        """
        child, self._child_closed = self._at_hand(), True
        try:
            if self._over is None:
                self._let_go()
            while self._over is None and not child.is_gone():
                self.outbox.flush_quietly()  # letters have readers yet, and a call may last
                self._hear_or_wait(None)
            if self._over is None:
                self._hear_last()
            if not child.is_gone_in(_LINGER_S):
                text = f"the process of its code was still there {_LINGER_S:.0f} s after its end"
                self.tell(Logged("warning", text + " (a thread that never ends?), and was killed"))
            if self._docket:
                self.row[EARLY] = 1  # some of what came was never begun
        finally:
            self._end_child()

    def _hear_or_wait(self, timeout_s: float | None) -> None:
        """Hear what the runner has left to say; who reads us does not matter any more."""
        try:
            heard = self._hear()
            self._note_begun()
        except ReadersGone:
            heard = self._leaving = True
        if not heard:
            self._wait_alone(timeout_s)

    def _hear_last(self) -> None:
        """What a runner that is gone has said in the end."""
        try:
            self._hear()
            self._note_begun()
        except ReadersGone:
            self._leaving = True

    def _end_child(self) -> None:
        child = self._at_hand()
        child.close()
        self._add_metrics()
        self.metrics.update(self._sums)

    def abandon(self) -> None:
        """The stage failed: ``close`` is called all the same; the first failure counts."""
        child = self._child
        if child is None or self._child_closed:
            return
        self._let_go()
        until = time.monotonic() + _ABANDON_S
        try:
            while self._over is None and not child.is_gone() and time.monotonic() < until:
                self._hear_or_wait(_ABANDON_S / 4)
        except StageStopped as second:
            if second.failure.phase == "close":
                text = f"close() failed as well: {second.failure.message}"
                self.tell(Logged("error", text))
        child.is_gone_in(_ABANDON_S / 4)
        self._end_child()

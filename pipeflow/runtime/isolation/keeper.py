"""The keeper: the loop of a worker whose stage runs isolated, in a process beside it.

It takes from the inbox what the loop of the stage would take, gives it to the runner as orders, and
does with the outbox what the runner says its loop has done. Until the runner has told that an order
is done the keeper has it, and gives it to the next runner if this one dies.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol, assert_never

from pipeflow.errors import ItemNotSerializable
from pipeflow.planner.plan import StagePlan
from pipeflow.runtime.board import (
    DEAD_LETTERED,
    EMPTY,
    FAILED,
    HAND_DEPTH,
    OVER,
    PROCESSED,
    RECEIVED,
    RETRIED,
    SKIPPED,
    id_text,
    put_hand,
)
from pipeflow.runtime.failures import view_of
from pipeflow.runtime.flow.joins import Call, Calls, Lone, UnitEnd
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.isolation.child import Child
from pipeflow.runtime.isolation.deaths import (
    Follows,
    InHand,
    Situation,
    after_death,
    died,
    overdue,
)
from pipeflow.runtime.isolation.docket import Docket, Entry, Task
from pipeflow.runtime.isolation.link import Cell
from pipeflow.runtime.isolation.messages import (
    COUNTS,
    Act,
    Broken,
    Emitted,
    Ended,
    EndOrder,
    Loaded,
    Orders,
    Over,
    Quick,
    Record,
    Results,
    Told,
    Unread,
    bare,
    settled,
)
from pipeflow.runtime.loops.base import REST_S, StageLoop, StageStopped
from pipeflow.runtime.messages import (
    Barrier,
    EndOfInput,
    Failure,
    ItemGivenUp,
    Logged,
    RunnerDied,
    RunnerReady,
    RunnerStarted,
)
from pipeflow.runtime.process import REST_LOOK_S
from pipeflow.spec.pipeline import OUT, UNMATCHED
from pipeflow.spec.stage_type import Role
from pipeflow.transports.base import Packet
from pipeflow.values import dataclass, field

#: Orders that a runner may have at a time: enough to go on while the keeper is at something else.
_WINDOW: Final = 128
#: For a runner to be gone once all is done, and for the user's ``close`` after a failure, seconds.
_LINGER_S: Final = 5.0
_ABANDON_S: Final = 0.4
#: For a runner to write down where it is before it is killed, in seconds.
_STACK_S: Final = 0.1
_STACK_LOOK_S: Final = 0.002


class Around(Protocol):
    """What a keeper needs of its worker's process."""

    def for_news(
        self, child: Child, *, with_input: bool, idle: bool, timeout_s: float | None
    ) -> None:
        """Wait until there is news of the runner, something may have come, or the time is up.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        ...

    def back_off(self, seconds: float) -> None:
        """Wait before an item is tried again."""
        ...

    def end_by_signal(self) -> None:
        """End the process as the signal would have that told it to end."""
        ...

    def begin_runner(self) -> Child:
        """Start a runner."""
        ...

    def bury_runner(self) -> None:
        """Let go of what a dead runner held in shared memory."""
        ...

    def encode(self, payloads: list[Any]) -> Packet:
        """Pickle items."""
        ...

    def decode(self, packet: Packet) -> list[Any]:
        """Make items of a packet."""
        ...

    def last_words(self) -> str:
        """Where the runner was, as a traceback; empty if it did not say."""
        ...

    def ran_out_of_memory(self) -> bool | None:
        """Whether the kernel has killed for want of memory in this run; ``None``: untold."""
        ...


@dataclass(slots=True, kw_only=True)
class KeeperLoop(StageLoop):
    """One replica, its code in another process.

    Args:
        around: What the worker's process does for it.
        private: Arrays arrive as copies of its own.
        metrics: Where the stage's metrics are to be in the end.
    """

    around: Around
    private: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    _child: Child | None = None
    _child_closed: bool = False
    _docket: Docket = field(default_factory=Docket)
    _end: EndOrder | None = None
    _settled: int = 0  # items that the runners are done with
    _given: int = 0  # orders that this runner was given
    #: What must live until so many orders are done: arrays that were put into slots for them.
    _keep: deque[tuple[int, tuple[object, ...]]] = field(default_factory=deque)
    _loaded: Loaded | None = None
    _over: Over | None = None
    _deaths: int = 0
    _late: bool = False  # the runner was killed for the item in its hand
    _stack: str = ""  # where it was then
    _rest_until: float | None = None
    _leaving: bool = False
    _told_to_end: bool = False
    _sums: dict[str, float] = field(default_factory=dict)
    _metrics: dict[str, float] = field(default_factory=dict)

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

    def _begin(self) -> None:
        self._child = self.around.begin_runner()
        self._settled = settled(tuple([self.row[cell] for cell in COUNTS]))
        self.tell(RunnerStarted(self._child.pid))

    def _at_hand(self) -> Child:
        assert self._child is not None
        return self._child

    # --------------------------------------------------------------------- loop

    def _run(self) -> Iterator[bool]:
        if self._leaving:
            raise ReadersGone
        while self._over is None:
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
                self.around.for_news(
                    self._at_hand(),
                    with_input=self._end is None and len(self._docket) < self._window(),
                    idle=not self._docket and self._end is None,
                    timeout_s=left_s if self._rest_until is None else REST_LOOK_S,
                )
        yield from ()

    def end_now(self) -> None:
        """Called by a signal: end as soon as what the runner has begun is noted."""
        self._told_to_end = True
        if self._child is not None:
            self._child.link.keeper_bell.ring()

    def _end_if_told(self) -> None:
        if self._told_to_end:
            self.around.end_by_signal()

    def _window(self) -> int:
        """How many orders may be out; what is sent on demand is asked for item by item."""
        assert self.inbox is not None
        return 1 if self.inbox.is_on_demand() else _WINDOW

    def _feed(self) -> bool:
        """Take what has come, and give it to the runner; whether anything was taken."""
        inbox, left = self.inbox, self._window() - len(self._docket)
        assert inbox is not None
        new, ended = list[Task](), self._end is not None
        while self._end is None and left > 0:
            message = inbox.take()
            match message:
                case None:
                    self._end_of_rest()
                    break
                case Calls():
                    new.append(message)
                    left -= len(message.payloads)
                case Call() | Lone() | UnitEnd():
                    new.append(message)
                    left -= 1
                case EndOfInput(units):
                    self._end = EndOrder(tuple(units.items()))
                case Barrier():
                    raise AssertionError(message)  # there are no checkpoints yet
                case _:
                    assert_never(message)
        self._at_hand().push()
        while self._keep and self._keep[0][0] <= self._docket.gone:
            self._keep.popleft()
        if new or (self._end is not None and not ended):
            self._send(self._docket.add(new))
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

    def _send(self, entries: Sequence[Entry]) -> None:
        """Give entries to the runner, and the end of input if it is known."""
        orders = [each.order() for each in entries]
        if self._end is not None:
            orders.append(self._end)
        payloads = [payload for each in entries for payload in each.payloads()]
        packet = None
        self._given += sum(each.size for each in entries)
        if payloads:
            try:
                packet = self.around.encode(payloads)
            except ItemNotSerializable as error:
                raise self._stopped(error, "pickling") from None
            self._keep.append((self._given, packet.keep))
        packet = bare(packet) if packet is not None else None
        self._at_hand().send(Orders(tuple(orders), packet, self.private))

    # ------------------------------------------------------------------- hearing

    def _hear(self) -> bool:
        """Do what the runner says that its loop has done; whether it said anything.

        Raises:
            StageStopped: It was ended by a failure.
            ReadersGone: Nobody needs its results any more.
        """
        records = self._at_hand().hear()
        if not records:
            return False
        self._note_begun()
        for record in records:
            if type(record) is Quick:
                self._note_quick(record.result)
            else:
                self._note(record)
        return True

    def _note_quick(self, result: Any) -> None:
        """The call in hand is done, and gave one plain result, or nothing."""
        row = self.row
        item, lane, unit = self._docket.settle_one()
        self._at_hand().confirm()
        self._settled += 1
        self._deaths = 0
        row[PROCESSED] += 1
        if result is None:
            row[EMPTY] += 1
        elif not self._leaving:
            try:
                self.outbox.emit(OUT, result, item, lane, unit)
            except ReadersGone:
                self._leaving = True
                raise

    def _note(self, record: Record) -> None:
        match record:
            case Results():
                self._note_results(record)
                return
            case Loaded():
                if self._loaded is not None:
                    self.tell(RunnerReady())
                self._loaded = record
            case Told(report):
                if isinstance(report, ItemGivenUp):
                    self._given_up = report.failure
                self.tell(report)
            case Over():
                self._over = record
            case Broken(failure):
                self._at_hand().confirm()
                raise StageStopped(failure)
            case Quick():
                raise AssertionError(record)
            case _:
                assert_never(record)
        self._at_hand().confirm()

    def _note_results(self, record: Results) -> None:
        payloads = iter(self.around.decode(record.packet) if record.packet else ())
        self._at_hand().confirm()
        gone: ReadersGone | None = None
        for act in record.acts:
            try:
                self._do(act, payloads)
            except ReadersGone as error:  # what was counted is counted all the same
                self._leaving, gone = True, error
        if record.metrics is not None:
            self._metrics = record.metrics
        self._settle(record.counts)
        if gone is not None:
            raise gone

    def _do(self, act: Act, payloads: Iterator[Any]) -> None:
        """Do what the loop has done."""
        match act:
            case Ended(lane, unit, span, free):
                if not self._leaving:
                    self.outbox.end_unit(lane, unit, span, free=free)
                self._docket.pass_by(UnitEnd)
            case Unread(port):
                self.outbox.count_unread(port, 1)
                self._count_emitted(port)
            case Emitted(port, item, lane, unit):
                payload = next(payloads)
                self._count_emitted(port)
                if not self._leaving:
                    self.outbox.emit(port, payload, item, lane, unit)
            case _:
                assert_never(act)

    def _count_emitted(self, port: str) -> None:
        if port == UNMATCHED:
            self._docket.pass_by(Lone)
        else:
            self._docket.emitted += 1

    def _settle(self, counts: tuple[int, ...]) -> None:
        """Bring the counts up to date, and let go of what is done."""
        row = self.row
        if counts[0] > row[PROCESSED]:
            self._deaths = 0  # an item was finished
        before = (row[SKIPPED] + row[DEAD_LETTERED], row[OVER])
        for cell, count in zip(COUNTS, counts, strict=True):
            row[cell] = count
        newly, self._settled = settled(counts) - self._settled, settled(counts)
        self._docket.settle(newly)
        # The runner has judged by what it knew of its mates. Of those who write this down for all
        # to see, the last one sees it all.
        if row[SKIPPED] + row[DEAD_LETTERED] > before[0]:
            self._stop_if(self._spending.after_giving_up(self._seen()))
        if row[OVER] > before[1]:
            self._judge_at_end()

    def _note_begun(self) -> None:
        """Note what the runner has in hand by now: it is delivered, and its credit goes back."""
        inbox, row = self.inbox, self.row
        assert inbox is not None
        for task, count in self._docket.begin(self._at_hand().begun()):
            match task:
                case Call():
                    row[RECEIVED] += len(task.origins)
                    inbox.delivered(task)
                case Calls():
                    row[RECEIVED] += count
                    inbox.delivered_in(task, count)
                    inbox.pay(task, count)
                case Lone():
                    inbox.unmatched(task)
        call = self._docket.in_hand()
        if call is not None:
            put_hand(row, call.id)
        else:
            row[HAND_DEPTH] = 0

    # ---------------------------------------------------------------------- time

    def _time_left_s(self) -> float | None:
        """Seconds that the item in hand has left; a runner that has overdrawn them is killed."""
        limit_s, child = self.stage.timeout_s, self._at_hand()
        if limit_s is None:
            return None
        begun = child.link.cells[Cell.BEGUN]
        self._note_begun()
        if self._docket.in_hand() is None:
            return None
        left_s = limit_s - child.link.in_hand_s()
        if left_s > 0 or child.link.cells[Cell.BEGUN] != begun:
            return max(left_s, 0.001)
        self._hear()
        if self._docket.in_hand() is None or child.link.cells[Cell.BEGUN] != begun:
            return None  # it was done just in time
        # From here on nothing is heard: the question itself may end the call that took too long.
        self._late, self._stack = True, ""
        child.ask_where()
        until = time.monotonic() + _STACK_S
        while not self._stack and time.monotonic() < until and not child.is_gone_in(_STACK_LOOK_S):
            self._stack = self.around.last_words()
        child.kill()
        child.is_gone_in(_LINGER_S)
        self._after_end()
        return 0.0

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
        call, docket = self._docket.in_hand(), self._docket
        at_end = self._end is not None and not docket
        if at_end and not (loaded.ends or loaded.keeps_state):
            self._over = Over(early=False)  # nothing was left to do
            return
        self._deaths += not late
        tried = docket.tried() + 1 + self._tries_in(child, call) if call is not None else 0
        found = Situation(
            in_hand=call is not None,
            died=not late,
            tried=tried,
            emitted=docket.emitted,
            replaceable=not loaded.keeps_state and not _writes(self.stage),
            at_end=at_end,
            deaths=self._deaths,
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
                self._succeed(0.0, tried=None)
            case Follows.TRY_AGAIN:
                self.row[RETRIED] += _count(call)
                self._succeed(verdict.wait_s, tried=tried)
            case Follows.GO_ON:
                self._succeed(0.0, tried=None)
            case _:
                assert_never(verdict.follows)

    def _tries_in(self, child: Child, call: Call) -> int:
        """How often the runner itself has tried the item in its hand again."""
        retried = child.link.row[RETRIED] - self.row[RETRIED]
        self.row[RETRIED] += retried
        return retried // _count(call)

    def _failure_of(self, call: Call | None, *, late: bool, tried: int) -> Failure:
        """What has become of the item in hand, or of the worker if there is none."""
        item = InHand(
            item=id_text(call.id, self.names) if call is not None else "",
            view=view_of(call.payload) if call is not None else "",
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
        self.hand, self._payload = call.id, call.payload
        self._attempt, self._emitted = failure.attempt, failure.emitted
        self._give_up_for(failure, _count(call), (call.lane, call.unit))
        self.hand, self._payload = (), None

    def _succeed(self, wait_s: float, *, tried: int | None) -> None:
        """Another runner takes the place of the one that is gone, and gets what is not done.

        Args:
            wait_s: Seconds to wait before.
            tried: How often the call that was in hand was tried; ``None``: it is given up.
        """
        child = self._at_hand()
        self.around.bury_runner()
        child.close()
        self._add_metrics()
        self.row[HAND_DEPTH] = 0
        self.outbox.flush()
        if wait_s > 0:
            self.around.back_off(wait_s)
        left = self._docket.restart(tried=tried)
        self._given = 0
        self._keep.clear()
        self._begin()
        if left or self._end is not None:
            self._send(left)

    def _add_metrics(self) -> None:
        """What the last runner has told of its metrics counts for good."""
        for name, value in self._metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._metrics = {}

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
        if self._over is None:
            self._let_go()
        while self._over is None and not child.is_gone():
            self._hear_or_wait(None)
        if self._over is None:
            self._hear_last()
        if not child.is_gone_in(_LINGER_S):
            text = f"the process of its code was still there {_LINGER_S:.0f} s after its end"
            self.tell(Logged("warning", text + " (a thread that never ends?), and was killed"))
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
        child.is_gone_in(_STACK_S)
        self._end_child()


def _writes(stage: StagePlan) -> bool:
    """Whether it is a writer of ours, which has begun a file or a request."""
    return bool(stage.operator) and stage.role is Role.SINK


def _count(call: Call | None) -> int:
    """Items that a call takes."""
    return len(call.origins) if call is not None else 0

"""What the loops of all kinds of stages share: results out, failures by policy, the end.

The kinds are ``source``, ``calls`` and ``stream``; ``pick`` chooses one.

Starts no process, opens nothing and reads no clock but for the end of a zip, so a test can drive
it with plain lists. It is written as steps: a generator that yields ``WAITS`` when it cannot go on
before something comes, and ``GOES_ON`` where another stage may have its turn. A worker process
waits at the one and ignores the other; the inline executor turns to another stage at both.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from pipeflow.errors import (
    ChannelError,
    ItemNotLoadable,
    PipeflowError,
    ProgramFailed,
)
from pipeflow.planner.plan import StagePlan
from pipeflow.runtime.board import (
    DEAD_LETTERED,
    FAILED,
    LEFT,
    PROCESSED,
    SKIPPED,
    Words,
    hand,
    id_text,
)
from pipeflow.runtime.failures import kind_of, message_of, own_traceback, traceback_of, view_of
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.joins import Lone
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.refused import ReadersGone, ResultNotSerializable, Unplaced
from pipeflow.runtime.loops.forgotten import FORGOTTEN, refuse_forgotten
from pipeflow.runtime.loops.hops import Gathering, Looks
from pipeflow.runtime.loops.rows import NEVER, Gathered, append_from
from pipeflow.runtime.loops.stopped import Cancelled, StageStopped
from pipeflow.runtime.messages import (
    Failure,
    ItemGivenUp,
    ItemId,
    Logged,
    WorkerReport,
)
from pipeflow.runtime.spending import Spending
from pipeflow.spec.policies import OnError
from pipeflow.spec.ports import ERRORS, OUT, UNMATCHED
from pipeflow.stages.work import DrainInterrupt, OutputClosed, Routed, Work
from pipeflow.values import dataclass, field, replace

if TYPE_CHECKING:
    from pipeflow.runtime.loops.events import Events
    from pipeflow.runtime.loops.outside import Outside

#: How long what the longer inputs of a zip still bring is counted, after the shortest has ended.
REST_S: Final = 1.0


#: The longest single wait: the system's own bound is some days further.
DAY_S: Final = 86400.0

#: What a step yields: something must come first, or not.
WAITS: Final = True
GOES_ON: Final = False


class Waits(Protocol):
    """How a stage waits for others."""

    def for_input(self, timeout_s: float | None) -> None:
        """Until something may have come.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        ...

    def back_off(self, seconds: float) -> None:
        """So long, but no longer than until the run is drained.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        ...

    def attend(self, events: Events) -> None:
        """From now on the tasks of an asyncio loop go on during every wait."""
        ...

    def for_tasks(self) -> None:
        """Until one of these tasks has something to tell, or a moment.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        ...


@dataclass(slots=True, kw_only=True)
class StageLoop(ABC):
    """One replica at work.

    Args:
        stage: Its stage.
        replica: Which of the stage's workers.
        names: Names of all stages, for the ids.
        work: The user's code.
        inbox: Its inputs; ``None`` for a source.
        outbox: Its outputs.
        row: Its row of the board.
        mates: The rows of all workers of the stage; empty: there is but this one.
        tell: Reports to the supervisor.
        waits: How to wait.
        stopping: Its first cell says that the run is being drained.
        now: Seconds since 1970, for dead letters.
        tried: How often the item in hand was tried before, in processes that have died.
        alone: Whether it goes to the function by itself: it was one of a list in such a process.
        mask: Takes secrets out of a text that others get to see.
        unneeded: It is being ended because all its readers have closed, not because of a failure.
        asking: Its one byte says that the user's code is being asked for its next item.
        hand: Id of the item in hand; in a row of calls it is in the board alone.
        looks: How it looks out before it waits, if it has its process for itself.
        alarm: It has more to do at this time (``time.monotonic``) though nothing has come.
    """

    stage: StagePlan
    replica: int
    names: tuple[str, ...]
    work: Work
    inbox: Inbox | None
    outbox: Outbox
    row: Words
    tell: Callable[[WorkerReport], None]
    waits: Waits
    stopping: Sequence[int]
    mates: Sequence[Words] = ()
    now: Callable[[], float] = time.time
    tried: Callable[[], int] = int
    alone: Callable[[], bool] = bool
    mask: Callable[[str], str] = str
    unneeded: bool = False
    asking: bytearray = field(default_factory=lambda: bytearray(1))
    hand: ItemId = ()
    alarm: float | None = None
    looks: Looks | None = None
    _payload: Any = None
    _ordinal: int = 0
    _emitted: int = 0
    _attempt: int = 1
    _given_up: Failure | None = None
    _spending: Spending = field(init=False)
    _own_ports: frozenset[str] = field(init=False)
    _events: Events | None = None
    _gathering: Gathering | None = None

    def __post_init__(self) -> None:
        # What has no partner goes to `unmatched` by itself; an operator may send there.
        others = {ERRORS} if self.stage.operator else {ERRORS, UNMATCHED}
        self._own_ports = frozenset(self.stage.ports) - others
        budget = self.stage.on_error.budget
        self._spending = Spending(self.stage.name, budget, self.row, self.mates or (self.row,))

    def item_in_hand(self) -> ItemId:
        """Id of the item that is being worked on; empty for none."""
        return self.hand or hand(self.row)

    def patience_s(self) -> float | None:
        """How long it waits at most for something to come, in seconds; ``None``: for ever."""
        return None if self.alarm is None else min(DAY_S, max(0.0, self.alarm - time.monotonic()))

    def steps(self) -> Generator[bool, None, None]:
        """Do everything there is to do; yields ``WAITS`` or ``GOES_ON``.

        Raises:
            StageStopped: The stage failed, and its policy ends the run.
            ChannelError: A neighbour is gone, or a frame is wrong.
        """
        try:
            yield from self._run()
        except ReadersGone:
            self.row[LEFT] = 1
            self._let_go()
        except OutputClosed:
            self._let_go()  # an early end: nobody needs more

    def leave(self) -> None:
        """Note while its steps pause that all its readers have gone; they are not resumed."""
        self.unneeded = True
        self.row[LEFT] = 1

    def outside(self) -> Outside | None:
        """What may let it go on beside its inputs when it waits; ``None``: nothing."""
        return None

    @abstractmethod
    def _run(self) -> Iterator[bool]:
        """The kind's own loop."""

    def _let_go(self) -> None:  # noqa: B027 - a kind that has nothing in hand lets go of nothing
        """The stage is over early: what was in hand is done with."""

    def wind_up(self) -> None:
        """The work is over, early or not: close the user's code and the inputs.

        Raises:
            StageStopped: The user's ``close`` failed.
        """
        self._close_work()
        self._close_events()
        if self.inbox is not None:
            self.inbox.close()

    # ------------------------------------------------------------------ what is awaited

    def _own_events(self) -> Events:
        """The asyncio loop for what is ``async`` in the user's code; made when it is needed."""
        if self._events is None:
            from pipeflow.runtime.loops.events import Events  # few stages need it, and asyncio

            self._events = Events()
            self.waits.attend(self._events)
        return self._events

    def _items_of(self, given: Any) -> Iterable[Any]:
        """What the user's code gave in order to be iterated over, ``async`` or not."""
        if hasattr(given, "__await__") or hasattr(given, "__aiter__"):
            return self._own_events().items_of(given)
        return given or ()

    def _close_events(self) -> None:
        if self._events is not None:
            self._events.close()

    # ------------------------------------------------------------------ results

    def _emit(self, result: Any, item: ItemId, place: tuple[int, int]) -> None:
        port, payload = self._port_of(result)
        if payload is None:
            return
        if type(payload) in FORGOTTEN:
            refuse_forgotten(payload)
        self.outbox.emit(port, payload, item, *place)
        self._emitted += 1

    def _port_of(self, result: Any) -> tuple[str, Any]:
        """Where a result goes, and what goes there.

        Raises:
            ValueError: The stage has no such port.
        """
        port = OUT
        if type(result) is Routed:
            port, result = result.port, result.item
            if port not in self._own_ports:
                known = ", ".join(sorted(self._own_ports, key=self.stage.ports.index))
                raise ValueError(
                    f"stage '{self.stage.name}' has no output port '{port}'; it has: {known}."
                    f" A port of your own is listed: `outputs: [{port}]`"
                )
        return port, result

    def _gather(
        self,
        items: Iterator[Any],
        prefix: ItemId,
        first: int,
        *,
        step: int = 1,
        stopping: Sequence[int] = NEVER,
    ) -> Gathered:
        """Append what the user's iterator gives to ``out``, or take one item to be emitted.

        Args:
            items: The iterator.
            prefix: What the ids begin with.
            first: Ordinal of the first item.
            step: How much each ordinal is greater than the one before.
            stopping: Its first cell says to go no further; looked at after each item.
        """
        express = self.outbox.express(OUT)
        if express is not None and step == len(prefix) == 1:
            if self._gathering is None:
                self._gathering = Gathering(express, self.looks)
            gathered = self._gathering.gather(
                items, prefix[0], first, stopping=stopping, asking=self.asking
            )
            if gathered is not None:
                return gathered
        if express is not None:
            numbers = (first, step, express.room(prefix, first))
            got = append_from(
                items, numbers, express=express, asking=self.asking, stopping=stopping
            )
            if isinstance(got.error, Unplaced):
                return Gathered(got.appended, got.error.payload)
            return got
        try:
            self.asking[0] = True
            return Gathered(0, next(items))
        except BaseException as error:  # the user's code: a boundary
            return Gathered(0, error=error)
        finally:
            self.asking[0] = False

    def _lone(self, lone: Lone) -> None:
        assert self.inbox is not None
        self.inbox.unmatched(lone)
        self.outbox.emit(UNMATCHED, lone.payload, lone.id, lone.lane, lone.unit)

    def _new_id(self) -> ItemId:
        """Results of streams and of ``finish`` count anew; replicas take turns."""
        ordinal = self._ordinal * self.stage.replicas + self.replica
        self._ordinal += 1
        return (self.stage.index, ordinal)

    # ----------------------------------------------------------------- failures

    def _give_up(
        self, error: BaseException, phase: str, count: int, place: tuple[int, int]
    ) -> None:
        """An item failed: what the stage's policy says.

        Raises:
            StageStopped: The policy is ``stop``, or too many were given up.
        """
        self._give_up_for(self._failure(error, phase), count, place)

    def _give_up_for(self, failure: Failure, count: int, place: tuple[int, int]) -> None:
        """The same, for a failure that is told already."""
        if self._spending.ahead:
            self._judge_at_mark()
        match self.stage.on_error.then:
            case OnError.STOP:
                self.row[FAILED] += count
                raise StageStopped(failure) from None
            case OnError.SKIP:
                self.row[SKIPPED] += count
                self.tell(ItemGivenUp(failure, dead_lettered=False))
            case OnError.DEAD_LETTER:
                try:
                    self._dead_letter(failure, place)
                except ReadersGone:
                    self.row[PROCESSED] += count  # an early end: nobody needs more of it
                    raise
                self.row[DEAD_LETTERED] += count
                self.tell(ItemGivenUp(failure, dead_lettered=True))
        self._given_up = failure
        if self.stage.on_error.budget is not None:
            self._stop_if(self._spending.after_giving_up(self._seen()))

    def _seen(self) -> int:
        """Items that the budget is a part of."""
        return self._spending.seen()

    def _judge_at_mark(self) -> None:
        """See whether enough has come to judge a percentage, and judge.

        Raises:
            StageStopped: The budget is spent.
        """
        self._stop_if(self._spending.at_mark(self._seen()))

    def _judge_at_end(self) -> None:
        """The input is over. One that a drain has cut short is no whole to be a part of.

        Raises:
            StageStopped: The budget is spent.
        """
        if self.stage.on_error.budget is not None and not self.stopping[0]:
            self._stop_if(self._spending.at_end(self._seen()))

    def _stop_if(self, spent: str) -> None:
        """End the run if the budget is spent; the last item that was given up says what of."""
        if spent:
            told = self._given_up or Failure(phase="budget", kind="", message="")
            raise StageStopped(replace(told, phase="budget", kind="BudgetSpent", message=spent))

    def _dead_letter(self, failure: Failure, place: tuple[int, int]) -> None:
        letter = {
            "item": self._payload,
            "id": failure.item,
            "stage": self.stage.name,
            "replica": self.replica,
            "attempt": self._attempt,
            "emitted": self._emitted,
            "time": self.now(),
            "error": {
                "type": failure.kind,
                "message": self.mask(failure.message),
                "traceback": self.mask(failure.traceback),
            },
        }
        try:
            self.outbox.emit(ERRORS, letter, self.hand, *place)
        except ResultNotSerializable:
            letter["item"] = failure.view
            self.outbox.emit(ERRORS, letter, self.hand, *place)

    def _failure(self, error: BaseException, phase: str, item: ItemId | None = None) -> Failure:
        return Failure(
            phase="program" if isinstance(error, ProgramFailed) else phase,
            kind=kind_of(error),
            message=self.mask(message_of(error)),
            traceback=self._own_frames(error),
            item=id_text(self.hand if item is None else item, self.names),
            view="" if self._payload is None else view_of(self._payload, self.mask),
            attempt=self._attempt if self.hand else 1,
            emitted=self._emitted if self.hand else 0,
            # In the user's code: the manager of what it shares is gone.
            victim=isinstance(error, ChannelError),
        )

    def told_before(self, error: Exception, payload: Any) -> Failure:
        """What is wrong with an item that came to no call, whatever is in hand just now."""
        in_hand, self.hand, self._payload = (self.hand, self._payload), (), payload
        try:
            return self._told_of(error)
        finally:
            self.hand, self._payload = in_hand

    def _told_of(self, error: Exception | Failure, item: ItemId | None = None) -> Failure:
        """What is wrong with an item that came to no call."""
        if isinstance(error, Failure):
            return error
        unloaded = isinstance(error, ItemNotLoadable)
        return self._failure(error, "unpickling" if unloaded else "item", item)

    def _own_frames(self, error: BaseException) -> str:
        """The user's traceback; a program's failure has none."""
        if isinstance(error, ProgramFailed):
            return ""
        told = own_traceback(error) if isinstance(error, PipeflowError) else traceback_of(error)
        return self.mask(told)

    def _stopped(self, error: BaseException, phase: str) -> StageStopped:
        return StageStopped(self._failure(error, phase))

    def _not_serializable(self, error: ResultNotSerializable) -> StageStopped:
        return StageStopped(self._failure(error.cause, "pickling", error.item))

    def _guard(self, phase: str, action: Callable[[], object]) -> None:
        """Run a closing call of the user's; its failure ends the run."""
        try:
            given = action()
            if hasattr(given, "__await__"):
                self._own_events().run(given)  # `async def close`
        except (GeneratorExit, DrainInterrupt, Cancelled):
            raise
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            raise self._stopped(error, phase) from None

    def _close_work(self) -> None:
        if self.work.close is not None:
            close, self.work.close = self.work.close, None
            self.hand, self._payload = (), None
            self._guard("close", close)

    def abandon(self) -> None:
        """The stage failed: ``close`` is called all the same; the first failure counts."""
        try:
            self._close_work()
        except StageStopped as second:
            self.tell(Logged("error", f"close() failed as well: {second.failure.message}"))
        self._close_events()

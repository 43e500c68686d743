"""The loop of an ``async def`` function: many items awaited at once, in one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from sys import getrefcount
from typing import Any, Final

from pipeflow.runtime.board import RECEIVED, RETRIED
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.runs import ONE, OURS, is_settled
from pipeflow.runtime.loops.attempts import (
    Answer,
    Attempt,
    Pause,
    arguments_of,
    results_of,
    script,
)
from pipeflow.runtime.loops.base import GOES_ON
from pipeflow.runtime.loops.calls import is_many
from pipeflow.runtime.loops.copies import is_fresh
from pipeflow.runtime.loops.cutter import is_simple
from pipeflow.runtime.loops.events import Events
from pipeflow.runtime.loops.leaving import AsTheyCome
from pipeflow.runtime.loops.together import TogetherLoop
from pipeflow.runtime.messages import ItemId
from pipeflow.spec.policies import OnError
from pipeflow.stages.context import begin_item
from pipeflow.values import dataclass, field

#: Results of one item that wait while those of items before it are due; then its generator waits.
RESULTS_MOST: Final = 64
#: Items that are begun and have not left, for each that may be in flight: one that is slow holds up
#: the results of as many others, no more.
AHEAD: Final = 2


@dataclass(slots=True, kw_only=True)
class TaskLoop(TogetherLoop):
    """An ``async def`` function at work: a task for each item, or for each batch."""

    _loop: Events = field(init=False)
    #: Each by the first of the items that it sees to.
    _tasks: dict[Answer, asyncio.Task[None]] = field(default_factory=dict)
    #: What was begun and has not left, oldest first.
    _begun: dict[Answer, None] = field(default_factory=dict)
    _rooms: dict[Answer, asyncio.Future[None]] = field(default_factory=dict)
    _failed: Answer | None = None
    _over: bool = False
    _drained: asyncio.Event = field(default_factory=asyncio.Event)
    #: An item is awaited by itself, once, for as long as it takes.
    _simple: bool = field(init=False)
    #: Where results go that may leave together; see ``TogetherLoop``.
    _way: Express | bool | None = field(init=False)

    def __post_init__(self) -> None:
        TogetherLoop.__post_init__(self)
        self._loop = self._own_events()
        stage = self.stage
        self._simple = stage.batch is None and not stage.on_error.retries and not stage.timeout_s
        self._way = self._own_way()
        if not self.stage.in_order:
            self._leaving = AsTheyCome()

    # ----------------------------------------------------------------- the step side

    def _make_way(self) -> Iterator[bool]:
        if self._loop.news or not self._begun:
            self._settle_all()
        while self._room() <= 0:
            self._loop.turn()  # most often that is all it takes
            if not self._loop.news:
                self._await_tasks()
            self._settle_all()
            yield GOES_ON

    def _room(self) -> int:
        """How many more may be begun: items, or lists of them."""
        ahead = AHEAD * self.stage.concurrency * self._size - len(self._begun)
        return min(self.stage.concurrency - len(self._tasks), ahead)

    def _fits(self, calls: Calls) -> int:
        return self._room() if self._simple and is_simple(calls) else 0

    def _work_on_rows(self) -> bool:
        inbox = self.inbox
        assert inbox is not None
        rows, self._rows, self._in_rows = self._rows, [], 0
        for calls in rows:
            count = len(calls.payloads)
            self.row[RECEIVED] += count
            inbox.delivered_in(calls, count)
            inbox.pay(calls, count)
            for at in range(count):
                answer = Answer(calls.single(at))
                self._leaving.add(answer)
                self._begun[answer] = None
                self._begin_task(answer, self._see_to_one(answer))
        self._note_hand(next(iter(self._begun)))
        return True

    def _has_more(self) -> bool:
        self._loop.turn()  # what was begun gets its first turn before anybody sleeps
        return self._loop.news

    def _complete(self) -> Iterator[bool]:
        yield from self._begin()
        self._settle_all()
        while self._begun or self._tasks:
            self._await_tasks()
            self._settle_all()
            yield GOES_ON

    def _await_tasks(self) -> None:
        """Wait until one of the tasks has something to tell, or a moment."""
        if self.stopping[0]:
            self._drained.set()  # nobody waits before a further try any more
        self.waits.for_tasks()

    def _work_on(self, answers: Sequence[Answer]) -> Iterator[bool]:
        if not self._begun:
            self._note_hand(answers[0])
        for one in answers:
            self._begun[one] = None
        self._begin_task(answers[0], self._see_to(answers))
        if self.alone():
            yield from self._complete()  # one of these has ended a process: none has company

    def _begin_task(self, first: Answer, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[first] = self._loop.loop.create_task(work)
        self._loop.in_flight += 1

    def _settle(self) -> None:
        if self._way is None:
            TogetherLoop._settle(self)  # noqa: SLF001 - super() knows nothing of it, for its slots
            return
        leaving, run = self._leaving, list[Answer]()
        while (first := leaving.next()) is not None:
            if type(first) is Answer and first.is_plain():
                leaving.gone(first)
                self._begun.pop(first, None)
                if run and run[-1].call.id[:-1] != first.call.id[:-1]:
                    self._send_run(run, last=False)
                    run = []
                run.append(first)
                continue
            if run:
                self._send_run(run, last=False)
                run = []
            self._let_leave(first)
        if run:
            self._send_run(run, last=True)
        if self._spending.ahead:
            self._judge_at_mark()

    def _send_run(self, answers: Sequence[Answer], *, last: bool) -> None:
        """Send one result each, of items whose ids begin alike."""
        *prefix, _ = answers[0].call.id
        call = answers[0].call
        calls = Calls(
            tuple(prefix),
            [one.call.id[-1] for one in answers],
            [one.call.payload for one in answers],
            call.lane,
            call.unit,
            call.origins[0],
        )
        results = [one.results.popleft()[1] if one.results else None for one in answers]
        self._send_together(results, calls, self._way, last=last)
        if isinstance(self._way, Express):
            self._way.hold()  # how quickly they come is measured from here

    def _settle_all(self) -> None:
        self._loop.news = False
        self._settle()
        if self._failed is not None:
            self._account(self._failed)  # the run ends: what came before need not be waited for
        self._note_hand(next(iter(self._begun), None))

    def _have_left(self, answer: Answer) -> None:
        if answer.done:
            self._begun.pop(answer, None)  # what could not be joined was never begun
        room = self._rooms.pop(answer, None)
        if room is not None and not room.done():
            room.set_result(None)

    def _drop_all(self) -> None:
        self._over = True
        self._loop.cancel(set(self._tasks.values()))
        self._note_hand(None)

    # ----------------------------------------------------------------- the task side

    async def _see_to(self, answers: Sequence[Answer]) -> None:
        """All that is to be done for some items; what goes wrong is in their answers."""
        try:
            for step in script(answers, self.stage.on_error):
                match step:
                    case Attempt(some):
                        await self._try(some)
                    case Pause(some, seconds):
                        self._tell(answers)
                        await self._pause(seconds)
                        self.row[RETRIED] += sum([len(one.call.origins) for one in some])
        except asyncio.CancelledError as error:
            if not self._over:
                self._give_up_all(answers, error)
        finally:
            self._has_ended(answers)

    async def _see_to_one(self, answer: Answer) -> None:
        """The same for one that is tried once, for as long as it takes."""
        call, work = answer.call, self.work.call
        assert work is not None
        begin_item(call.id)
        try:
            given = work(*call.payload) if self._joined else work(call.payload)
            if hasattr(type(given), "__anext__"):
                await self._take_many(given, answer)
            else:
                result = await given
                if type(result) not in ONE and hasattr(type(result), "__next__"):
                    await self._take_many(_stepwise(result), answer)
                elif result is not None:
                    references = getrefcount(result)
                    self._take_one(result, references, answer)
                    result = None
        except asyncio.CancelledError:
            if not self._over:
                answer.error = asyncio.CancelledError("the user's code cancelled it")
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            answer.error = error
        answer.done = not self._over
        self._has_ended((answer,))

    def _has_ended(self, answers: Sequence[Answer]) -> None:
        """The task that sees to these is over."""
        del self._tasks[answers[0]]
        self._loop.in_flight -= 1
        for one in answers:
            if one.error is not None and self.stage.on_error.then is OnError.STOP:
                self._failed = self._failed or one
        self._tell(answers)

    def _tell(self, answers: Sequence[Answer]) -> None:
        self._leaving.touch(answers)
        self._loop.tell()

    def _give_up_all(self, answers: Sequence[Answer], error: BaseException) -> None:
        for one in answers:
            if not one.done:
                one.error, one.done = error, True

    async def _pause(self, seconds: float) -> None:
        """Wait before another try; no longer than until the run is drained."""
        if seconds > 0 and not self._drained.is_set():
            try:
                await asyncio.wait_for(self._drained.wait(), seconds)
            except TimeoutError:
                return  # the whole wait

    async def _try(self, some: Sequence[Answer]) -> None:
        """Await the function once, and note what it gives."""
        begin_item(some[0].call.id)
        try:
            if self.stage.timeout_s is None:
                await self._call_once(some)
            else:
                await self._call_in_time(some, self.stage.timeout_s)
        except asyncio.CancelledError:
            if self._over:
                raise
            self._note_failure(some, asyncio.CancelledError("the user's code cancelled it"))
        except BaseException as error:  # the user's code, sys.exit too: a boundary
            self._note_failure(some, error)

    async def _call_in_time(self, some: Sequence[Answer], limit_s: float) -> None:
        """The same; what takes too long is cancelled, and has failed."""
        bound = asyncio.timeout(limit_s)
        try:
            async with bound:
                await self._call_once(some)
        except TimeoutError:
            if not bound.expired():
                raise  # the user's own
            name = self.stage.name
            text = f"it took longer than its timeout of {limit_s:g} s, so stage '{name}' ended it"
            raise TimeoutError(text) from None

    async def _call_once(self, some: Sequence[Answer]) -> None:
        assert self.work.call is not None
        batch = self.stage.batch
        if batch is None:
            payload = some[0].payload()
            await self._take(self.work.call(*(payload if self._joined else (payload,))), some[0])
            return
        payloads = [one.payload() for one in some]
        given = self.work.call(*arguments_of(payloads, joined=self._joined, stack=batch.stack))
        if hasattr(type(given), "__anext__"):
            given = [each async for each in given]
        else:
            given = await given
        self._keep(some, results_of(given, len(some), self.stage.name))

    async def _take(self, given: Any, answer: Answer) -> None:
        """Take what the function gives for one item: one result, or any number of them."""
        if hasattr(type(given), "__anext__"):
            await self._take_many(given, answer)
            return
        result = await given
        if is_many(result):
            await self._take_many(_stepwise(result), answer)
        elif result is not None:
            references = getrefcount(result)
            self._take_one(result, references, answer)

    def _take_one(self, result: Any, references: int, answer: Answer) -> None:
        """Take the one result of an item.

        Args:
            result: The result.
            references: How many there are to it where it has one name.
            answer: Of the item.
        """
        # What nobody else has, such as a fresh array in shared memory, need not be copied.
        own = is_settled(result, alone=references == OURS) or is_fresh(result, references)
        kept = result if own else self._held(result, answer.call.id)
        answer.results.append((answer.call.id, kept))

    async def _take_many(self, given: Any, answer: Answer) -> None:
        """Take what an async generator gives for one item."""
        count = 0
        try:
            async for each in given:
                if each is not None:
                    item = (*answer.call.id, count)
                    count += 1
                    answer.results.append((item, self._held(each, item)))
                    await self._await_room(answer)
        finally:
            await given.aclose()

    def _kept(self, result: Any, item: ItemId) -> Any:
        """A result as it is now: others have their turn before it leaves."""
        return self._held(result, item)

    async def _await_room(self, answer: Answer) -> None:
        """Results leave as they come; one whose turn has not come waits with some of its own."""
        if answer.copy is not None:
            return  # they are held
        self._tell((answer,))
        if len(answer.results) >= RESULTS_MOST:
            room = self._rooms[answer] = self._loop.loop.create_future()
            await room


async def _stepwise(results: Iterator[Any]) -> Any:
    """A plain iterator that an ``async`` function returned."""
    try:
        for each in results:
            yield each
    finally:
        close = getattr(results, "close", None)
        if close is not None:
            close()

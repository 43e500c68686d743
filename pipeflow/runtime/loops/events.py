"""The asyncio loop of one worker: it runs while the worker waits, and at no other time.

    worker's loop ──begins tasks, sends results──┐
         │ for_input, for_room, for_tasks        │      one thread, one of the two at a time
         └──> LoopPoll ──> asyncio: tasks, timers, sockets, and what the worker waits for

So tasks go on whatever the worker waits for, be it input, room or the tasks themselves, and nothing
of ours needs a lock. A task that never gives way keeps the worker busy, as a call would.
"""

from __future__ import annotations

import asyncio
import contextvars
import select
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, Final, TypeVar

_Result = TypeVar("_Result")

#: How long tasks that are cancelled may take to end, in seconds.
CANCEL_S: Final = 1.0
_END: Final = object()


class Events:
    """Owns an asyncio loop; ``close`` ends everything in it. Twice is harmless.

    Attributes:
        in_flight: How many items the worker awaits, or batches of them.
        news: One of them has given something, or has ended, since this was last cleared.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.in_flight = 0
        self.news = False
        self._context = contextvars.copy_context()

    def tell(self) -> None:
        """There is news: whoever waits is to look. Called by tasks."""
        if not self.news:  # else it stops already, or waits for something else
            self.news = True
            self.loop.stop()

    def turn(self) -> None:
        """Let everything go on that can, once, without waiting."""
        self.loop.stop()
        self._run()

    def wait(self, seconds: float | None, fd: int = -1, *, heeds_news: bool = True) -> None:
        """Let everything go on until there is news, or for so long.

        Args:
            seconds: The longest time; ``None``: as long as it takes.
            fd: What else ends the wait when it can be read.
            heeds_news: Whether old news ends it at once.
        """
        if heeds_news and self.news:
            self.turn()
            return
        loop = self.loop
        timer = None if seconds is None else loop.call_later(seconds, loop.stop)
        if fd >= 0:
            loop.add_reader(fd, loop.stop)
        try:
            self._run()
        finally:
            if fd >= 0:
                loop.remove_reader(fd)
            if timer is not None:
                timer.cancel()

    def run(self, awaitable: Awaitable[_Result]) -> _Result:
        """Wait for one thing; others go on meanwhile. Cut short, it is cancelled."""
        loop = self.loop
        task = loop.create_task(_awaited(awaitable), context=self._context)
        task.add_done_callback(lambda _: loop.stop())
        try:
            while not task.done():
                self._run()
        except BaseException:
            self.cancel({task})
            raise
        return task.result()

    def cancel(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Cancel tasks, and wait a moment for their end."""
        for task in tasks:
            task.cancel()
        if not tasks or self.loop.is_closed():
            return
        until = self.loop.time() + CANCEL_S
        for task in tasks:
            task.add_done_callback(lambda _: self.loop.stop())
        while (left_s := until - self.loop.time()) > 0 and not all(one.done() for one in tasks):
            self.wait(left_s, heeds_news=False)

    def items_of(self, given: Any) -> AsyncItems:
        """What an ``async`` function gave that is to give items, for who asks one by one."""
        return AsyncItems(self, given)

    def poll(self, *, heeds_news: bool = True) -> LoopPoll:
        """Something to wait on for the worker."""
        return LoopPoll(self, heeds_news=heeds_news)

    def close(self) -> None:
        """Cancel what the user's code has left behind, and end the loop."""
        loop = self.loop
        if loop.is_closed():
            return
        try:
            self.cancel(asyncio.all_tasks(loop))
            self.run(loop.shutdown_asyncgens())
        finally:
            loop.close()

    def _run(self) -> None:
        # Under a notebook a loop of its own runs in this thread already: it stands still meanwhile.
        outer = _get_running_loop()
        if outer is None:
            self.loop.run_forever()
            return
        _set_running_loop(None)
        try:
            self.loop.run_forever()
        finally:
            _set_running_loop(outer)


class LoopPoll:
    """Stands for ``select.poll`` where tasks are to go on during the wait.

    Args:
        events: Whose tasks.
        heeds_news: Whether their news ends the wait.
    """

    def __init__(self, events: Events, *, heeds_news: bool) -> None:
        self._events = events
        self._heeds_news = heeds_news
        self._epoll = select.epoll()

    def register(self, fd: int, mask: int) -> None:
        """As ``select.poll`` has it; an error is always reported."""
        try:
            self._epoll.register(fd, mask)
        except FileExistsError:
            self._epoll.modify(fd, mask)

    def poll(self, timeout_ms: float | None = None) -> list[tuple[int, int]]:
        """What is ready; nothing when the time is up or there is news."""
        ready = self._epoll.poll(0)
        if ready or timeout_ms == 0:
            return ready
        seconds = None if timeout_ms is None else timeout_ms / 1000
        if self._events.loop.is_closed():
            return self._epoll.poll(seconds)
        self._events.wait(seconds, self._epoll.fileno(), heeds_news=self._heeds_news)
        return self._epoll.poll(0)


class AsyncItems:
    """The items of an ``async`` generator, or of whatever a coroutine gives, one by one.

    Args:
        events: Where it runs.
        given: An async iterable, or an awaitable of any iterable.
    """

    def __init__(self, events: Events, given: Any) -> None:
        self._events = events
        self._given = given
        self._next: Callable[[], Any] | None = None
        self._close: Callable[[], object] | None = None

    def __iter__(self) -> AsyncItems:
        return self

    def __next__(self) -> Any:
        if self._next is None:
            self._next = self._begin()
        item = self._next()
        if item is _END:
            raise StopIteration
        return item

    def close(self) -> None:
        """End the generator where it is."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def _begin(self) -> Callable[[], Any]:
        given = self._given
        if hasattr(given, "__await__"):
            given = self._events.run(given)
        if not is_async(given):
            items: Iterator[Any] = iter(given or ())
            self._close = getattr(items, "close", None)
            return lambda: next(items, _END)
        source: AsyncIterator[Any] = aiter(given)
        close = getattr(source, "aclose", None)
        if close is not None:
            self._close = lambda: self._events.run(close())
        return lambda: self._events.run(anext(source, _END))


def is_async(given: object) -> bool:
    """Whether something is to be awaited, or iterated over by ``async for``."""
    return hasattr(given, "__await__") or hasattr(given, "__aiter__")


def _awaited(awaitable: Awaitable[_Result]) -> Coroutine[Any, Any, _Result]:
    async def wait_for_it() -> _Result:
        return await awaitable

    return awaitable if asyncio.iscoroutine(awaitable) else wait_for_it()

"""The loop of a program for the whole stream: items in, results out, whichever can go on.

A stream function asks for its next item and waits; a program cannot say whether it wants one. So
this loop waits for items, for the program to take or to write something, and for its readers, all
at once. It takes no more items while the program does not read, and reads nothing while there is
no room for results: backpressure goes through the program as through a function.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Final

from pipeflow.errors import ProgramFailed
from pipeflow.runtime.board import FAILED
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.loops.base import WAITS
from pipeflow.runtime.loops.outside import Outside
from pipeflow.runtime.loops.stopped import CONTROL
from pipeflow.runtime.loops.stream import StreamLoop
from pipeflow.stages.work import Talk
from pipeflow.values import dataclass

#: What comes in place of an item when none is there yet.
_NOTHING: Final = object()
#: The same at the end of input.
_END: Final = object()


@dataclass(slots=True, kw_only=True)
class ProgramLoop(StreamLoop):
    """A program at work: a source if there is no inbox."""

    def outside(self) -> Outside | None:
        """The program may let it go on, and while that has room, items."""
        talk = self._talk
        wants = self.inbox is not None and talk.has_room() and not talk.reads_no_more()
        return Outside(events=tuple(talk.events()), input=wants, patience_s=talk.patience_s())

    @property
    def _talk(self) -> Talk:
        assert self.work.talk is not None
        return self.work.talk

    def _run(self) -> Iterator[bool]:
        talk, payloads = self._talk, self._pull()
        try:
            talk.begin()
            yield from self._converse(talk, payloads)
        except ResultNotSerializable as error:
            raise self._not_serializable(error) from None
        except CONTROL:
            if self.unneeded:
                self._let_go()
            raise
        except BaseException as error:  # the program, or an item that it cannot get: a boundary
            if self.hand:
                self.row[FAILED] += 1
            if isinstance(error, ProgramFailed):
                # It has had many items by now: nobody knows which one it was.
                self.hand, self._payload = (), None
            raise self._stopped(error, "item") from None
        finally:
            payloads.close()
            self._guard("close", talk.end)
        self._let_go()
        if self._end is not None:
            self.outbox.end_unit(0, self._end.get(0, 0), 1, free=True)

    def _converse(self, talk: Talk, payloads: Generator[Any, None, None]) -> Iterator[bool]:
        """Until the program has ended; a source until the run is drained, too."""
        while not (self.inbox is None and self.stopping[0]):
            moved, results = talk.move()
            if results:
                yield from self._send(iter(results))
            if self.inbox is not None and talk.reads_no_more() and not self.inbox.closed:
                self.inbox.close()  # an early end: its writers need not wait for the rest
            if moved or self._feed(talk, payloads):
                continue
            if talk.is_over():
                yield from self._send(iter(talk.rest()))
                talk.judge()
                return
            self.outbox.flush()
            if self.inbox is not None and not self.inbox.closed:
                self.inbox.settle()
            yield WAITS

    def _feed(self, talk: Talk, payloads: Generator[Any, None, None]) -> bool:
        """Give the program what has come, as far as it has room; whether that was anything."""
        fed = False
        while self.inbox is not None and talk.has_room() and not talk.reads_no_more():
            payload = next(payloads, _END)
            if payload is _NOTHING:
                return fed
            fed = True
            if payload is _END:
                talk.end_input()
            else:
                talk.give(payload)
        return fed

    def _nothing_yet(self) -> Iterator[Any]:
        """Say so: there is more to wait for than items."""
        yield _NOTHING

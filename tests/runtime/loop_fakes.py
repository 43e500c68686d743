"""Plain lists in place of channels, so that a loop can be driven without a process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from pipeflow.errors import Location
from pipeflow.planner.plan import Join, StagePlan
from pipeflow.runtime.board import (
    DEAD_LETTERED,
    EMPTY,
    FAILED,
    PROCESSED,
    RECEIVED,
    RETRIED,
    SKIPPED,
    WORKER_WORDS,
    Words,
)
from pipeflow.runtime.flow.joins import Call, Calls, Lone, Origin, UnitEnd
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.loops.events import Events
from pipeflow.runtime.loops.pick import make_loop
from pipeflow.runtime.loops.rows import NEVER
from pipeflow.runtime.messages import Barrier, EndOfInput, ItemId, WorkerReport
from pipeflow.spec.policies import ErrorPolicy, OnError
from pipeflow.stages.work import Work
from pipeflow.transports.base import Packet

#: Tasks that have nothing to tell for so long hang.
TASKS_S = 10.0
AT = Location("pipeline.yaml", 3, 3)


def call(payload: Any, ordinal: int, *, unit: int | None = None) -> Call:
    number = ordinal if unit is None else unit
    return Call(payload, (0, ordinal), 0, number, (Origin(0, 0, None),))


class PlainAsPackets(ABC):
    """Of a sender that knows packets alone: plain items come to it in one as well."""

    readers = 1

    @abstractmethod
    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        """See ``Sender``."""

    def send_plain(self, meta: bytes, pickled: bytes, count: int) -> None:
        self.send(meta, Packet(pickled, (), count, plain=True), count)

    def is_taken_singly(self) -> bool:
        return False


class Inbox:
    """Messages from a list; ``None`` in it stands for a wait."""

    def __init__(self, messages: list[Any]) -> None:
        self.messages = messages
        self.delivered_ids: list[ItemId] = []
        self.closed = False
        self.settled = 0
        self.held: list[tuple[ItemId, int]] = []

    def take(self) -> Any:
        return self.messages.pop(0) if self.messages else EndOfInput({0: 0})

    def give_rows(self, *, woven: bool, pairs: bool = False) -> None:
        """It gives what the test has written."""

    def delivered(self, call: Call) -> None:
        self.delivered_ids.append(call.id)

    def delivered_in(self, calls: Calls, count: int) -> None:
        self.delivered_ids += [calls.single(at).id for at in range(count)]

    def pay(self, calls: Calls, count: int) -> None:
        """Nobody waits for credit here."""

    def hold(self, call: Call, size: int) -> Call:
        self.held.append((call.id, size))
        return call

    def unmatched(self, lone: Lone) -> None:
        self.delivered_ids.append(lone.id)

    def no_more_calls(self) -> bool:
        return False

    def settle(self) -> None:
        self.settled += 1

    def close(self) -> None:
        self.closed = True


class Outbox:
    """Keeps what it is told, in order; may lose its readers after some items."""

    def __init__(self, readers_leave_after: int | None = None) -> None:
        self.log: list[Any] = []
        self.sent: list[Any] = []
        self.ids: list[ItemId] = []
        self._left = readers_leave_after

    def emit(self, port: str, payload: Any, item: ItemId, lane: int, unit: int) -> None:
        if self._left is not None:
            if not self._left:
                raise ReadersGone
            self._left -= 1
        self.log.append((port, payload))
        self.sent.append(payload)
        self.ids.append(item)

    def express(self, _port: str) -> None:
        """It has no short way: see ``test_rows`` for that."""

    def is_read(self, _port: str) -> bool:
        return True

    def end_unit(self, lane: int, unit: int, span: int, *, free: bool) -> None:
        self.log.append(UnitEnd(lane, unit, span, free))

    def barrier(self, checkpoint: int) -> None:
        self.log.append(Barrier(checkpoint))

    def flush(self) -> None:
        self.log.append("flush")


class Asked(Sequence[int]):
    """A cell that is something else at each look."""

    def __init__(self, answers: Iterator[int]) -> None:
        self._answers = answers

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _place: Any) -> Any:
        return next(self._answers)


class Run:
    """One loop, driven to its end over fakes."""

    def __init__(
        self,
        work: Work,
        messages: list[Any] | None = None,
        *,
        on_error: OnError | ErrorPolicy = OnError.STOP,
        join: Join = Join.MERGE,
        ports: tuple[str, ...] = ("out", "errors"),
        readers_leave_after: int | None = None,
        stopping: Iterator[bool] | None = None,
        inbox: Inbox | None = None,
        outbox: Outbox | None = None,
        **more: Any,
    ) -> None:
        self.inbox = inbox or Inbox(messages or [])
        self.outbox = outbox or Outbox(readers_leave_after)
        self.row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
        self.events: Events | None = None
        #: Items in flight at most, as far as waits for tasks have seen.
        self.most = 0
        self.reports: list[WorkerReport] = []
        policy = ErrorPolicy(then=on_error) if isinstance(on_error, OnError) else on_error
        stage = StagePlan(
            index=4, name="stage", at=AT, on_error=policy, join=join, ports=ports, **more
        )
        self.loop = make_loop(
            work,
            stage=stage,
            replica=0,
            names=("find", "b", "c", "d", "stage"),
            inbox=None if work.source is not None else self.inbox,
            outbox=self.outbox,
            row=self.row,
            tell=self.reports.append,
            waits=self,
            stopping=NEVER if stopping is None else Asked(stopping),
            now=lambda: 1000.0,
        )

    def for_input(self, timeout_s: float | None) -> None:
        self.outbox.log.append("wait")

    def attend(self, events: Events) -> None:
        self.events = events

    def for_tasks(self) -> None:
        assert self.events is not None
        self.most = max(self.most, self.events.in_flight)
        self.events.wait(TASKS_S)

    def back_off(self, seconds: float) -> None:
        self.outbox.log.append(("back off", seconds))

    def go(self) -> Run:
        try:
            for _ in self.loop.steps():
                pass
            self.loop.wind_up()
        finally:
            self.loop.abandon()
        return self

    def counts(self) -> tuple[int, ...]:
        """Received, processed, empty, skipped, dead-lettered, failed, retried."""
        cells = (RECEIVED, PROCESSED, EMPTY, SKIPPED, DEAD_LETTERED, FAILED, RETRIED)
        return tuple(self.row[cell] for cell in cells)

"""The units of a stage that keeps them: their keeper ends each once, in order, whatever happens."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.errors import Location
from pipeflow.planner.plan import Numbering, Route, StagePlan
from pipeflow.runtime.board import (
    EMPTY,
    PROCESSED,
    RECEIVED,
    RETRIED,
    SENT,
    SKIPPED,
    WORKER_WORDS,
    Words,
)
from pipeflow.runtime.flow.joins import Call, Calls, Origin, UnitEnd
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.targets import OutChannel, Spread, Target
from pipeflow.runtime.isolation.keeper import KeeperLoop
from pipeflow.runtime.isolation.messages import (
    COUNTS,
    CallOrder,
    Emitted,
    Ended,
    EndOrder,
    FailedOrder,
    Loaded,
    Orders,
    Over,
    Quiet,
    Record,
    Results,
    RowOrder,
    UnitOrder,
    pack_quick,
    pack_record,
)
from pipeflow.runtime.loops.rows import NEVER
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.runtime.messages import EndOfInput
from pipeflow.spec.policies import ErrorPolicy, OnError
from pipeflow.stages.work import Work
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Decoder, Encoder
from tests.runtime import test_keeping

HERE = Origin(0, 0, None)
#: What becomes of an item: what it gives, after how many deaths of its process.
Fate = tuple[str, int]


class Inbox(test_keeping.Inbox):
    """Messages from a list."""

    def is_on_demand(self) -> bool:
        return False

    def delivered_in(self, calls: Calls, count: int) -> None:
        """Counted by the row."""


class Runner:
    """Stands for the process: does to each item what its fate is, a step at a time."""

    pid = 4711

    def __init__(self, fates: dict[int, Fate], row: Words) -> None:
        self._fates = fates
        self.row: Words = memoryview(bytearray(row))[:].cast("B").cast("Q")
        self.link = SimpleNamespace(row=self.row, loading=lambda: None)
        self.status: int | None = None
        self._orders: deque[Any] = deque()
        loaded = Loaded(keeps_state=False, ends=False, path=tuple(sys.path), awaits=False)
        self._records = [pack_record(loaded)]
        self._begun = self._quiet = self._told = 0

    # -- what the keeper asks for

    def send(self, orders: Orders) -> None:
        for order in orders.orders:
            if isinstance(order, RowOrder):
                self._orders += [(*order.prefix, each) for each in order.ordinals]
            elif isinstance(order, CallOrder):
                self._orders.append(order.id)
            else:
                self._orders.append(order)

    def push(self) -> bool:
        return True

    def hear(self) -> list[bytes]:
        records, self._records = self._records, []
        return records

    def quiet(self) -> int:
        return self._quiet

    def begun(self) -> int:
        return self._begun

    def is_gone(self) -> bool:
        return self.status is not None

    def confirm(self, _count: int = 1) -> None:
        """It needs no arrays."""

    took = confirm

    def wake(self) -> None:
        """It never sleeps."""

    close = wake

    # -- what it does

    def work(self, steps: int) -> None:
        for _ in range(steps):
            if self._orders and self.status is None:
                self._do(self._orders.popleft())

    def _do(self, order: Any) -> None:
        match order:
            case UnitOrder(lane, unit, span, free):
                self._tell(self._results(Ended(lane, unit, span, free)))
            case EndOrder():
                self._tell(Over(early=False))
            case FailedOrder():
                self._begun += 1
                self.row[SKIPPED] += 1
                self._tell(self._results())
            case (_, number):
                self._begun += 1
                self._call(number)
            case _:
                raise AssertionError(order)

    def _call(self, number: int) -> None:
        gives, deaths = self._fates[number]
        if deaths:
            self._fates[number] = gives, deaths - 1
            self.status = -9
            return
        if gives == "half":  # something, and its process ends
            self._tell(self._results(Emitted("out", (0, number, 0), 0, number)))
            self.status = -9
            return
        if gives == "failure":
            self.row[SKIPPED] += 1
            self._tell(self._results())
            return
        self.row[PROCESSED] += 1
        match gives:
            case "one":
                self._tell(pack_quick(number))
            case "none":
                self.row[EMPTY] += 1
                self._quiet += 1
            case "late":  # it has failed once, in this very process
                self.row[RETRIED] += 1
                self._tell(self._results(Emitted("out", (0, number), 0, number)))
            case "many":
                acts = [Emitted("out", (0, number, each), 0, number) for each in range(2)]
                self._tell(self._results(*acts))
            case _:
                raise AssertionError(gives)

    def _results(self, *acts: Any) -> Results:
        emitted = [number_of(act) for act in acts if isinstance(act, Emitted)]
        packet = Encoder().encode(emitted) if emitted else None
        return Results(tuple([self.row[cell] for cell in COUNTS]), acts, packet, None)

    def _tell(self, record: Record | bytes) -> None:
        if self._quiet != self._told:
            self._told = self._quiet
            self._records.append(pack_record(Quiet(self._quiet)))
        self._records.append(record if isinstance(record, bytes) else pack_record(record))


def number_of(act: Emitted) -> int:
    return act.id[1]


class Around:
    """Lets the runner do some steps whenever its keeper waits."""

    def __init__(self, fates: dict[int, Fate], row: Words, steps: Iterator[int]) -> None:
        self._fates, self._row, self._steps = fates, row, steps
        self.runners: list[Runner] = []

    def for_news(self, child: Runner, **_: Any) -> None:
        child.work(next(self._steps))

    def begin_runner(self) -> Runner:
        self.runners.append(Runner(self._fates, self._row))
        return self.runners[-1]

    def back_off(self, seconds: float) -> None:
        """Time is not what this is about."""

    def bury_runner(self) -> None:
        """It has no memory to be taken over."""

    def encode(self, payloads: list[Any]) -> Packet:
        return Encoder().encode(payloads)

    def decoder(self) -> Decoder:
        return Decoder()

    def last_words(self) -> str:
        return ""

    def ran_out_of_memory(self) -> None:
        return


class Keeper:
    """A keeper over fakes: real loop, real docket, real outbox."""

    def __init__(
        self,
        messages: list[Any],
        fates: dict[int, Fate],
        steps: list[int],
        policy: ErrorPolicy,
    ) -> None:
        self.sender = test_keeping.Sender()
        self.sender.is_idle = False
        self.row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
        self.edge: Words = memoryview(bytearray(64)).cast("Q")
        target = Target([OutChannel(self.sender, 0, self.edge)])  # type: ignore[arg-type]  # only what it uses
        outbox = Outbox(
            {"out": OutPort("out", [Spread(Route.SINGLE, [target])])},
            numbering=Numbering.KEEP,
            encoder=Encoder(),
            wait_for_room=lambda _: None,
            counters=(memoryview(bytearray(64)).cast("Q"), {"out": 0}),
        )
        stage = StagePlan(
            index=1,
            name="step",
            at=Location("pipeline.yaml", 3, 3),
            ports=("out",),
            numbering=Numbering.KEEP,
            on_error=policy,
        )
        self.around = Around(fates, self.row, forever(steps))
        self.loop = KeeperLoop(
            stage=stage,
            replica=0,
            names=("find", "step"),
            work=Work(),
            inbox=Inbox([*messages, EndOfInput({0: 10**6})]),  # type: ignore[arg-type]  # only what it uses
            outbox=outbox,
            row=self.row,
            tell=lambda _: None,
            waits=None,  # type: ignore[arg-type]  # its surroundings wait
            stopping=NEVER,
            around=self.around,  # type: ignore[arg-type]  # only what it uses
        )
        self.outbox = outbox

    def run(self) -> test_keeping.Seen:
        """What came of each unit."""
        self.run_to_end()
        return test_keeping.seen_of(self.sender.parts)

    def run_to_end(self) -> None:
        self.loop.start()
        for _ in self.loop.steps():
            pass
        self.outbox.flush()


def forever(steps: list[int]) -> Iterator[int]:
    while True:
        yield from steps


def row(first: int, count: int) -> Calls:
    payloads: list[Any] = [f"item {first + each}" for each in range(count)]
    return Calls((0,), range(first, first + count), payloads, 0, first, HERE, end_units=True)


def single(number: int) -> list[Any]:
    """An item whose unit ends by an order of its own."""
    item = Call(f"item {number}", (0, number), 0, number, (HERE,))
    return [item, UnitEnd(0, number, 1, free=False)]


def policy(retries: int = 1) -> ErrorPolicy:
    return ErrorPolicy(then=OnError.SKIP, retries=retries, backoff_s=0)


def given_by(number: int, fate: Fate, retries: int) -> list[int]:
    """What comes of an item in the end."""
    gives, deaths = fate
    if deaths > retries:
        return []
    return {"one": [number], "late": [number], "many": [number] * 2}.get(gives, [])


GIVES = st.sampled_from(["one", "one", "one", "none", "none", "many", "late", "failure"])


@given(
    pieces=st.lists(
        st.tuples(st.integers(0, 2), st.lists(GIVES, max_size=9), st.booleans()), max_size=6
    ),
    deadly=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 2)), max_size=2),
    steps=st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
def test_whatever_comes_of_its_items_each_unit_ends_once_and_in_order(
    pieces: list[tuple[int, list[str], bool]],
    deadly: list[tuple[int, int]],
    steps: list[int],
) -> None:
    messages: list[Any] = []
    fates: dict[int, Fate] = {}
    wanted: test_keeping.Seen = {}
    at = 0
    for gap, gives, in_row in pieces:
        at += gap  # units of other replicas
        fates |= {at + place: (each, 0) for place, each in enumerate(gives)}
        if in_row and gives:
            messages.append(row(at, len(gives)))
        else:
            messages += [each for place in range(len(gives)) for each in single(at + place)]
        at += len(gives)
    for number, deaths in deadly:
        if number in fates:
            fates[number] = fates[number][0], deaths
    wanted = {number: given_by(number, fate, 1) for number, fate in fates.items()}
    begun = dict(fates)

    keeper = Keeper(messages, fates, steps, policy())

    assert keeper.run() == wanted
    done = [fate for fate in begun.values() if fate[0] != "failure" and fate[1] < 2]
    assert keeper.row[RECEIVED] == len(begun)
    assert keeper.row[PROCESSED] == len(done)
    assert keeper.row[EMPTY] == sum(gives == "none" for gives, _ in done)
    assert keeper.row[SKIPPED] == len(begun) - len(done)
    late = sum(gives == "late" for gives, _ in done)
    assert keeper.row[RETRIED] == late + sum(deaths > 0 for _, deaths in begun.values())
    assert keeper.edge[SENT] == sum(map(len, wanted.values()))
    assert len(keeper.around.runners) == 1 + sum(deaths for _, deaths in begun.values())


@given(
    pieces=st.lists(st.lists(st.tuples(st.integers(0, 3), GIVES), max_size=9), max_size=4),
    deadly=st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 2)), max_size=2
    ),  # five deaths end a run
    steps=st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
def test_whatever_comes_of_rows_with_gaps_every_unit_of_them_ends_once_and_in_order(
    pieces: list[list[tuple[int, str]]], deadly: list[tuple[int, int]], steps: list[int]
) -> None:
    messages: list[Any] = []
    fates: dict[int, Fate] = {}
    at = 0
    for piece in pieces:
        begin, units = at, list[int]()
        for gap, gives in piece:
            units.append(at + gap)
            fates[at + gap] = gives, 0
            at += gap + 1
        at += 2  # of others, at its end
        names: list[Any] = [f"item {unit}" for unit in units]
        gapped = Calls((0,), units, names, 0, begin, HERE, True, units=units, end=at)
        messages.append(gapped if units else UnitEnd(0, begin, at - begin, free=True))
    for number, deaths in deadly:
        if number in fates:
            fates[number] = fates[number][0], deaths
    wanted: dict[int, list[Any]] = {unit: [] for unit in range(at)}
    wanted |= {number: given_by(number, fate, 1) for number, fate in fates.items()}
    begun = len(fates)

    keeper = Keeper(messages, fates, steps, policy())
    keeper.run_to_end()

    assert_comes(keeper, wanted)
    assert keeper.row[RECEIVED] == begun
    assert keeper.edge[SENT] == sum(map(len, wanted.values()))


def assert_comes(keeper: Keeper, wanted: dict[int, list[Any]]) -> None:
    """That comes of all units, in their order, and each ends once."""
    seen: dict[int, list[Any]] = {}
    ended: list[int] = []
    for one in [one for part in keeper.sender.parts for one in part.singly()]:
        for unit in range(one.unit, one.unit + one.span):
            seen.setdefault(unit, []).extend(payload for _, payload in one.items)
            ended += [unit] * one.closed
    assert seen == wanted
    assert list(seen) == list(wanted)  # no part of a unit comes before those ahead of it are over
    assert ended == list(wanted)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_units_ahead_of_a_call_that_gives_something_and_dies_end_once(at: int) -> None:
    units = [2, 4, 7]
    fates: dict[int, Fate] = dict.fromkeys(units, ("one", 0))
    fates[units[at]] = ("half", 0)
    names: list[Any] = [f"item {unit}" for unit in units]
    gapped = Calls((0,), units, names, 0, 1, HERE, True, units=units, end=9)
    keeper = Keeper([UnitEnd(0, 0, 1, free=True), gapped], fates, [1], policy())

    keeper.run_to_end()

    assert_comes(keeper, {unit: [unit] if unit in units else [] for unit in range(9)})
    assert keeper.row[SKIPPED] == 1


def test_results_that_are_heard_together_leave_in_one_frame() -> None:
    keeper = Keeper([row(5, 8)], dict.fromkeys(range(5, 13), ("one", 0)), [100], policy())
    keeper.sender.is_idle = True

    keeper.run()

    assert [(part.unit, part.span) for part in keeper.sender.parts] == [(5, 8)]
    assert keeper.sender.credits == 8


def test_the_unit_of_an_item_that_is_given_up_in_the_middle_of_a_row_ends() -> None:
    fates: dict[int, Fate] = {0: ("one", 0), 1: ("one", 2), 2: ("none", 0), 3: ("one", 0)}

    assert Keeper([row(0, 4)], fates, [1], policy()).run() == {0: [0], 1: [], 2: [], 3: [3]}


def test_units_end_though_the_policy_lets_no_death_pass() -> None:
    """What was done before the run fails has left whole."""
    fates: dict[int, Fate] = {0: ("one", 0), 1: ("none", 0), 2: ("one", 1)}
    keeper = Keeper([row(0, 3)], fates, [3], ErrorPolicy())

    with pytest.raises(StageStopped):
        keeper.run()

    keeper.outbox.flush()
    assert test_keeping.seen_of(keeper.sender.parts) == {0: [0], 1: []}


def test_what_was_heard_leaves_before_the_end_of_the_runner_is_awaited() -> None:
    keeper = Keeper([], {}, [0], policy())
    keeper.loop.start()
    (runner,) = keeper.around.runners
    runner.leave = lambda: None  # type: ignore[attr-defined]
    runner.is_gone_in = lambda _: True  # type: ignore[attr-defined]
    sent_before: list[int] = []

    def wait(child: Runner, **_: Any) -> None:
        sent_before.append(len(keeper.sender.parts))
        child.status = 0

    keeper.around.for_news = wait  # type: ignore[method-assign]
    keeper.outbox.emit("out", "heard", (0, 0), 0, 0)  # its reader is busy, so it waits
    assert keeper.sender.parts == []

    keeper.loop.wind_up()

    assert sent_before == [1]

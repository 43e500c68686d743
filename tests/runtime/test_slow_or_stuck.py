"""Slow or stuck: what is said of workers that are not ready, and of runs in which nothing moves."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from typing import cast

import pytest

import pipeflow
from pipeflow.planner.plan import Plan
from pipeflow.runtime import board as cells
from pipeflow.runtime.board import Board, State, put_hand
from pipeflow.runtime.flow.wiring import wire
from pipeflow.runtime.last_words import LastWords
from pipeflow.runtime.messages import Failure
from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.ending import Ending
from pipeflow.runtime.watch.lifecycle import Happening
from pipeflow.runtime.watch.stalls import Stalls
from pipeflow.runtime.watch.standstill import Standstill
from pipeflow.runtime.watch.starting import Starting
from pipeflow.runtime.watch.watched import Watched
from pipeflow.telemetry.events import Event, LogLine

SOURCE, WORK, SINK = 0, 1, 2
STACK = 'Current thread 0x1 (most recent call first):\n  File "/me.py", line 3 in f\n'


class Fakes:
    """Workers that answer at once where they are, and somebody who hears what is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.told: list[tuple[str, str, str]] = []

    def ask_where(self, workers: Iterable[Watched]) -> None:
        self.asked += [watched.stage for watched in workers]

    def take(self, _worker: int) -> str:
        return STACK

    def tell(self, event: Event) -> None:
        assert isinstance(event, LogLine)
        self.told.append((event.stage, event.level, event.text))


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
def plan() -> Plan:
    return pipeflow.plan(
        {
            "stages": {
                "source": {"use": "range", "with": {"stop": 10}},
                "work": {"use": "map", "with": {"expr": "item"}, "inputs": "source"},
                "sink": {"use": "null", "inputs": "work"},
            }
        }
    )


def make_board(plan: Plan, *states: State) -> Board:
    channels = wire(plan)
    words = memoryview(bytearray(8 * Board.size(plan, channels))).cast("Q")
    board = Board(plan, channels, words)
    for worker, state in enumerate(states):
        board.worker(worker)[cells.STATE] = state
    return board


def workers(plan: Plan, *, ready: bool) -> list[Watched]:
    found = [
        Watched(
            plan=worker,
            stage=plan.stages[worker.stage].name,
            is_source=worker.index == SOURCE,
            pid=os.getpid(),
        )
        for worker in plan.workers
    ]
    for watched in found if ready else []:
        watched.see(Happening.READY)
    return found


def standstill(plan: Plan, board: Board, fakes: Fakes, after_s: float = 60.0) -> Standstill:
    return Standstill(
        plan,
        board,
        cast("LastWords", fakes),
        stalls=Stalls(plan),
        ending=cast("Ending", fakes),
        tell=fakes.tell,
        after_s=after_s,
    )


def test_a_worker_in_one_call_while_nothing_moves_is_told_with_who_waits(
    plan: Plan, fakes: Fakes
) -> None:
    board = make_board(plan, State.WAITING_OUT, State.BUSY, State.WAITING_IN)
    put_hand(board.worker(WORK), (SOURCE, 17))
    watch, alive = standstill(plan, board, fakes), workers(plan, ready=True)

    still = [watch.look(alive, now) for now in (0.0, 59.0, 60.0, 60.25)]

    assert still == [0.0, 59.0, 60.0, 60.25]
    assert fakes.asked == ["work"]
    ((stage, level, text),) = fakes.told
    assert (stage, level) == ("work", "warning")
    first, *rest = text.splitlines()
    assert first.startswith("nothing has moved for 60 s: this worker has been at work for ")
    assert first.endswith(", now on item source:17")
    assert rest == [
        "source waits for room on its outputs",
        "sink waits for items on its inputs",
        "Stack (most recent call last):",
        '  File "/me.py", line 3, in f',
    ]


def with_program(mode: str) -> Plan:
    return pipeflow.plan(
        {
            "stages": {
                "source": {"use": "range", "with": {"stop": 10}},
                "work": {"run": {"cmd": ["cat"], "mode": mode}, "inputs": "source"},
                "sink": {"use": "null", "inputs": "work"},
            }
        }
    )


def test_a_program_that_never_answers_is_told_with_what_it_may_lack(fakes: Fakes) -> None:
    plan = with_program("item")
    board = make_board(plan, State.WAITING_OUT, State.BUSY, State.WAITING_IN)
    watch, alive = standstill(plan, board, fakes, after_s=10), workers(plan, ready=True)

    for now in (0.0, 10.0, 10.25):
        watch.look(alive, now)

    ((_, _, text),) = fakes.told
    assert "it waits for program 'cat': in mode 'item' a program must write each line at" in text
    assert "Stack" not in text


@pytest.mark.parametrize(
    ("source", "told"), [(State.WAITING_OUT, True), (State.DONE, True), (State.BUSY, False)]
)
def test_a_program_that_has_got_all_is_told_only_if_no_source_could_bring_more(
    fakes: Fakes, source: State, told: bool
) -> None:
    plan = with_program("stream")
    board = make_board(plan, source, State.IN_OR_PROGRAM, State.WAITING_IN)
    watch, alive = standstill(plan, board, fakes, after_s=10), workers(plan, ready=True)

    for now in (0.0, 10.0, 10.25):
        watch.look(alive, now)

    assert bool(fakes.told) is told
    assert all("has got all items so far and writes nothing" in text for _, _, text in fakes.told)


def test_it_is_told_ever_more_seldom(plan: Plan, fakes: Fakes) -> None:
    board = make_board(plan, State.BUSY, State.BUSY, State.WAITING_IN)
    watch, alive = standstill(plan, board, fakes, after_s=10), workers(plan, ready=True)

    for now in range(100):
        watch.look(alive, float(now))

    assert [text.split()[4] for _, _, text in fakes.told] == ["11", "23", "47", "95"]


def test_what_moves_is_slow_at_most(plan: Plan, fakes: Fakes) -> None:
    board = make_board(plan, State.BUSY, State.BUSY, State.WAITING_IN)
    watch, alive = standstill(plan, board, fakes), workers(plan, ready=True)

    for now in range(0, 1000, 50):
        board.worker(WORK)[cells.RECEIVED] += 1
        assert watch.look(alive, float(now)) == 0.0

    assert fakes.told == []


def test_a_source_that_waits_for_the_world_is_no_standstill(plan: Plan, fakes: Fakes) -> None:
    board = make_board(plan, State.BUSY, State.WAITING_IN, State.WAITING_IN)
    watch, alive = standstill(plan, board, fakes), workers(plan, ready=True)

    assert {watch.look(alive, float(now)) for now in range(0, 1000, 50)} == {0.0}
    assert fakes.told == []


@pytest.fixture
def stopped_pid() -> Iterator[int]:
    """A process that a signal has stopped."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        yield process.pid
        process.kill()


def test_who_was_stopped_while_it_waited_is_told(
    plan: Plan, fakes: Fakes, stopped_pid: int
) -> None:
    board = make_board(plan, State.WAITING_OUT, State.WAITING_IN, State.WAITING_IN)
    watch, alive = standstill(plan, board, fakes), workers(plan, ready=True)
    alive[WORK].pid = stopped_pid

    still = [watch.look(alive, now) for now in (0.0, 60.0, 60.25)]

    assert still == [0.0, 60.0, 60.25]
    assert fakes.asked == []  # it would not answer
    ((stage, level, text),) = fakes.told
    assert (stage, level) == ("work", "warning")
    first, *_ = text.splitlines()
    assert first.startswith("nothing has moved for 60 s: this worker has been waiting for ")
    assert first.endswith(f"; its process was stopped by a signal: kill -CONT {stopped_pid}")


def test_who_was_stopped_before_it_was_ready_is_left_to_the_start(
    plan: Plan, fakes: Fakes, stopped_pid: int
) -> None:
    board = make_board(plan, State.WAITING_OUT, State.STARTING, State.WAITING_IN)
    watch, alive = standstill(plan, board, fakes), workers(plan, ready=False)
    alive[WORK].pid = stopped_pid

    assert [watch.look(alive, now) for now in (0.0, 60.0, 60.25)] == [0.0, 0.0, 0.0]


def test_neither_process_of_a_worker_that_has_two_may_be_awake(
    plan: Plan, stopped_pid: int
) -> None:
    watched = workers(plan, ready=True)[WORK]
    assert watched.asleep  # its process is ours here, which is awake as it asks

    watched.own_pid = stopped_pid

    assert not watched.asleep
    assert watched.stopped == stopped_pid


@pytest.mark.parametrize(
    ("state", "phase", "doing"),
    [
        (State.STARTING, "import", "the import of 'map'"),
        (State.BUILDING, "constructor", "the constructor of 'map'"),
    ],
)
def test_a_worker_that_is_not_ready_is_told_and_then_given_up(
    plan: Plan, fakes: Fakes, state: State, phase: str, doing: str
) -> None:
    board, alarms = make_board(plan, State.BUSY, state), Alarms()
    watched = workers(plan, ready=False)[WORK]
    starting = Starting(
        plan,
        board,
        cast("LastWords", fakes),
        ending=cast("Ending", fakes),
        alarms=alarms,
        tell=fakes.tell,
        patience_s=25.0,
    )
    starting.begin(watched, 0.0)
    failures: list[tuple[float, Failure]] = []

    now = 0.0
    while not failures:
        now += alarms.wait_s(now) or 0.0
        assert alarms.due(now) == [(Alarm.START, WORK)]
        failure = starting.ring(watched, plan.stages[WORK], now)
        failures += [(now, failure)] if failure else []

    _, level, text = fakes.told[0]
    assert level == "warning"
    assert text.startswith(f"not ready after 10 s: {doing} has taken 10 s so far\nStack")
    ((at_s, failure),) = failures
    assert 20 <= at_s <= 26
    assert (failure.phase, failure.kind) == (phase, "StartTimeout")
    assert '"/me.py", line 3' in failure.traceback


def test_a_slow_start_that_came_to_its_end_is_told_and_a_quick_one_is_not(
    plan: Plan, fakes: Fakes
) -> None:
    board, alarms = make_board(plan), Alarms()
    starting = Starting(
        plan,
        board,
        cast("LastWords", fakes),
        ending=cast("Ending", fakes),
        alarms=alarms,
        tell=fakes.tell,
        patience_s=0.0,
    )
    source, work, _ = workers(plan, ready=False)
    for watched in (source, work):
        starting.begin(watched, 0.0)

    starting.over(source, 0.5)
    starting.over(work, 12.0)

    assert fakes.told == [("work", "info", "was loaded after 12 s")]
    assert alarms.wait_s(12.0) is None

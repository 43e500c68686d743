"""What the supervisor sees on the board: circles of waits, and workers that nobody needs."""

from __future__ import annotations

import pipeflow
from pipeflow.planner.plan import Plan
from pipeflow.runtime import board as cells
from pipeflow.runtime.board import Board, State
from pipeflow.runtime.flow.wiring import wire
from pipeflow.runtime.watch.early_end import unneeded
from pipeflow.runtime.watch.stalls import Stalls

A, B, C, LOG = 0, 1, 2, 3


def plan() -> Plan:
    return pipeflow.plan(
        {
            "stages": {
                "a": {"use": "range", "with": {"stop": 10}},
                "b": {"use": "map", "with": {"expr": "item"}, "inputs": "a"}
                | {"on_error": "dead_letter"},
                "c": {"use": "null", "inputs": "b"},
                "log": {"use": "null", "inputs": "b.errors"},
            }
        }
    )


def waiting(*states: State) -> tuple[Plan, Board]:
    decided = plan()
    channels = wire(decided)
    words = memoryview(bytearray(8 * Board.size(decided, channels))).cast("Q")
    board = Board(decided, channels, words)
    for worker, state in enumerate(states):
        board.worker(worker)[cells.STATE] = state
    return decided, board


def asleep(_worker: int) -> bool:
    return True


def test_a_run_in_which_nobody_moves_is_ended_after_some_looks() -> None:
    decided, board = waiting(State.WAITING_OUT, State.WAITING_IN, State.WAITING_IN)
    stalls = Stalls(decided)

    told = [stalls.look(board, [A, B, C], asleep) for _ in range(13)]

    assert told[:12] == [""] * 12
    assert told[12].startswith("a waits for room on its outputs; b waits for items on its inputs")


def test_a_worker_whose_items_have_come_and_that_gets_no_processor_is_no_stall() -> None:
    decided, board = waiting(State.WAITING_OUT, State.WAITING_IN, State.WAITING_IN)
    stalls = Stalls(decided)

    assert {stalls.look(board, [A, B, C], lambda worker: worker != B) for _ in range(30)} == {""}


def test_a_turn_now_and_then_is_no_stall() -> None:
    decided, board = waiting(State.WAITING_OUT, State.WAITING_IN, State.WAITING_IN)
    stalls = Stalls(decided)
    told = []

    for look in range(30):
        board.worker(B)[cells.TURNS] += look % 10 == 0
        told.append(stalls.look(board, [A, B, C], asleep))

    assert set(told) == {""}


def test_an_idle_source_in_its_generator_is_no_stall() -> None:
    decided, board = waiting(State.BUSY, State.WAITING_IN, State.WAITING_IN)
    stalls = Stalls(decided)

    assert {stalls.look(board, [A, B, C], asleep) for _ in range(30)} == {""}


def test_who_waits_before_another_try_goes_on_by_itself() -> None:
    decided, board = waiting(State.WAITING_OUT, State.BACKING_OFF, State.WAITING_IN)
    stalls = Stalls(decided)

    assert {stalls.look(board, [A, B, C], asleep) for _ in range(30)} == {""}


def test_who_goes_on_by_the_clock_is_no_part_of_a_circle() -> None:
    decided, board = waiting(State.WAITING_OUT, State.IN_OR_CLOCK, State.WAITING_IN)
    stalls = Stalls(decided)

    assert {stalls.look(board, [A, B, C], asleep) for _ in range(30)} == {""}


def test_who_has_finished_and_only_lingers_ends_no_wait() -> None:
    decided, board = waiting(State.DONE, State.WAITING_IN)
    stalls = Stalls(decided)

    told = [stalls.look(board, [A, B], asleep) for _ in range(13)]

    assert told[12] == "b waits for items on its inputs, and nobody is left to end the wait"


def test_a_worker_is_not_needed_once_its_readers_have_closed_and_errors_do_not_count() -> None:
    decided = plan()
    channels = wire(decided)

    assert unneeded(decided, channels, early=[C], ended=[]) == {B}
    assert unneeded(decided, channels, early=[B, C], ended=[C]) == {A, B}
    assert unneeded(decided, channels, early=[LOG], ended=[]) == frozenset()


def test_a_worker_whose_readers_came_to_the_end_of_their_input_is_left_alone() -> None:
    decided = plan()

    assert unneeded(decided, wire(decided), early=[], ended=[B, C, LOG]) == frozenset()

"""Who may let go of shared memory by himself, as a pool sees it that found its limit reached."""

from __future__ import annotations

import pytest

import pipeflow
from pipeflow.runtime.at_work import is_at_work, others_at_work
from pipeflow.runtime.board import STATE, Board, State, Words
from pipeflow.runtime.flow.wiring import wire
from pipeflow.transports.counters import ReaderCell, WriterCell

A, B, C = 0, 1, 2
A_TO_B, B_TO_C = 0, 1
PLAN = pipeflow.plan(
    {
        "stages": {
            "a": {"use": "range", "with": {"stop": 10}},
            "b": {"use": "map", "with": {"expr": "item"}, "inputs": {"from": "a", "capacity": 4}},
            "c": {"use": "null", "inputs": {"from": "b", "capacity": 4}},
        }
    }
)


@pytest.fixture
def board() -> Board:
    channels = wire(PLAN)
    words = memoryview(bytearray(8 * Board.size(PLAN, channels))).cast("Q")
    return Board(PLAN, channels, words)


@pytest.mark.parametrize("state", list(State))
def test_who_waits_or_is_done_is_not_at_work(board: Board, state: State) -> None:
    board.worker(B)[STATE] = state
    waits = {State.WAITING_IN, State.IN_OR_CLOCK, State.WAITING_OUT, State.DONE}

    assert is_at_work(board, B)() is (state not in waits)


@pytest.mark.parametrize("state", [State.WAITING_IN, State.IN_OR_CLOCK])
def test_whose_items_have_come_is_about_to_be(board: Board, state: State) -> None:
    board.worker(B)[STATE] = state
    at_work, counters = is_at_work(board, B), board.channel(A_TO_B)

    counters.add_writer(0, WriterCell.FRAMES, 1)
    assert at_work()

    counters.add_reader(0, 0, ReaderCell.FRAMES, 1)
    assert not at_work()


def test_whose_edge_has_got_room_is_about_to_be(board: Board) -> None:
    board.worker(B)[STATE] = State.WAITING_OUT
    at_work, counters = is_at_work(board, B), board.channel(B_TO_C)
    counters.add_writer(0, WriterCell.CREDITS, 4)
    counters.set_writer(0, WriterCell.WAITING, 1)
    assert not at_work()

    counters.add_reader(0, 0, ReaderCell.TAKEN_CREDITS, 1)
    assert at_work()


def test_nobody_waits_for_himself_nor_for_who_waits_for_memory_too(board: Board) -> None:
    for worker in (A, B):
        board.worker(worker)[STATE] = State.BUSY
    board.worker(C)[STATE] = State.WAITING_IN

    assert others_at_work(PLAN, board, A, lambda _: False)()
    assert others_at_work(PLAN, board, C, lambda pool: pool == A)()
    assert not others_at_work(PLAN, board, A, lambda pool: pool == B)()


def test_the_others_are_looked_up_when_a_pool_asks_and_not_before(board: Board) -> None:
    looked_up: list[int] = []

    class Watched(Board):
        def worker(self, index: int) -> Words:
            looked_up.append(index)
            return super().worker(index)

    watched = Watched(PLAN, wire(PLAN), board.words)
    ask = others_at_work(PLAN, watched, B, lambda _: False)
    assert looked_up == []

    board.worker(A)[STATE] = State.BUSY
    assert ask()
    assert {*looked_up} == {A, C}

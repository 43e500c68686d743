from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import pipeflow
from pipeflow.planner.plan import Plan
from pipeflow.runtime import board as cells
from pipeflow.runtime.account import (
    WorkerRecord,
    edge_facts,
    edge_gauges,
    stage_facts,
    stage_gauges,
    total_items,
)
from pipeflow.runtime.board import (
    PROCESSED,
    RECEIVED,
    SKIPPED,
    WORKER_WORDS,
    Board,
    State,
    Words,
    begin_row,
    delivered_in_row,
    end_row,
    have_ended,
    note_edge,
    processed,
)
from pipeflow.runtime.flow.wiring import ChannelPlan, wire
from pipeflow.telemetry.ledger import check_ledger
from pipeflow.transports.counters import WriterCell

SOURCE, ONE, TWO = (
    0,
    1,
    2,
)  #: the workers: a source, and two replicas of a mapping that nobody reads


def plan() -> Plan:
    return pipeflow.plan(
        {
            "stages": {
                "source": {"use": "range", "with": {"stop": 10}},
                "double": {"use": "map", "with": {"expr": "2 * item"}, "inputs": "source"}
                | {"replicas": 2},
            }
        }
    )


def blank(decided: Plan) -> tuple[tuple[ChannelPlan, ...], Board]:
    channels = wire(decided)
    words = memoryview(bytearray(8 * Board.size(decided, channels))).cast("Q")
    return channels, Board(decided, channels, words)


def count(board: Board, worker: int, *, received: int, processed: int) -> None:
    board.worker(worker)[cells.RECEIVED] = received
    board.worker(worker)[cells.PROCESSED] = processed
    board.edge(worker, 0)[cells.DELIVERED] = received


def records(**of_two: bool) -> dict[int, WorkerRecord]:
    return {
        SOURCE: WorkerRecord(pid=10, slots=3, slot_waits=2),
        ONE: WorkerRecord(pid=11, cpu_s=1.0, metrics={"seen": 2.0}),
        TWO: WorkerRecord(pid=12, metrics={"seen": 5.0}, **of_two),
    }


def test_a_clean_run_is_the_sum_of_its_workers_and_balances() -> None:
    decided = plan()
    channels, board = blank(decided)
    board.edge(SOURCE, 0)[cells.SENT] = 10
    count(board, ONE, received=6, processed=6)
    count(board, TWO, received=4, processed=4)

    stages = stage_facts(decided, board, records())
    edges = edge_facts(decided, channels, board, records())

    double = stages[1]
    assert (double.received, double.processed, double.failed) == (10, 10, 0)
    assert [(worker.replica, worker.pid) for worker in double.workers] == [(0, 11), (1, 12)]
    assert double.metrics == {"seen": 7.0}
    assert (edges[0].sent, edges[0].delivered, edges[0].unread) == (10, 10, 0)
    assert check_ledger(stages, edges, clean=True).balanced


@pytest.mark.parametrize(("shared", "slots"), [(1 << 20, (3, 2)), (0, (0, 0))])
def test_slots_are_told_of_the_edges_that_share_arrays(shared: int, slots: tuple[int, int]) -> None:
    decided = plan()
    channels, board = blank(decided)
    board.edge(SOURCE, 0)[cells.SHARED_BYTES] = shared

    edges = edge_facts(decided, channels, board, records())

    assert (edges[0].slots, edges[0].slot_waits) == slots


def test_a_lost_item_shows_as_an_edge_that_does_not_balance() -> None:
    decided = plan()
    channels, board = blank(decided)
    board.edge(SOURCE, 0)[cells.SENT] = 10
    count(board, ONE, received=6, processed=6)
    count(board, TWO, received=3, processed=3)

    stages = stage_facts(decided, board, records())
    edges = edge_facts(decided, channels, board, records())

    assert edges[0].unread == 0
    (finding,) = check_ledger(stages, edges, clean=True).findings
    assert finding.startswith("edge source.out -> double: 10 sent, but 9 accounted for")


def test_of_a_torn_worker_the_rest_is_unread_and_what_it_had_in_hand_failed() -> None:
    decided = plan()
    channels, board = blank(decided)
    board.edge(SOURCE, 0)[cells.SENT] = 10
    count(board, ONE, received=5, processed=5)
    count(board, TWO, received=3, processed=2)

    stages = stage_facts(decided, board, records(torn=True))
    edges = edge_facts(decided, channels, board, records(torn=True))

    assert (stages[1].failed, edges[0].unread) == (1, 2)
    assert check_ledger(stages, edges, clean=False).balanced


def test_what_a_torn_worker_was_at_counts_until_it_was_gone() -> None:
    decided = plan()
    _, board = blank(decided)
    row = board.worker(TWO)
    row[cells.BUSY_NS], row[cells.WAIT_IN_NS] = 1_000_000_000, 2_000_000_000
    row[cells.STATE], row[cells.SINCE_NS] = State.WAITING_IN, 5_000_000_000
    torn = {TWO: WorkerRecord(pid=12, torn=True, ended_ns=9_000_000_000)}

    facts = stage_facts(decided, board, torn)[1]

    assert (facts.busy_s, facts.wait_in_s, facts.wait_out_s) == (1.0, 6.0, 0.0)


def test_a_reader_that_ended_early_leaves_items_unread() -> None:
    decided = plan()
    channels, board = blank(decided)
    board.edge(SOURCE, 0)[cells.SENT] = 10
    count(board, ONE, received=6, processed=6)
    board.worker(TWO)[cells.EARLY] = 1

    stages = stage_facts(decided, board, records())
    edges = edge_facts(decided, channels, board, records())

    assert (edges[0].unread, stages[1].ended_early, stages[0].ended_early) == (4, True, False)
    assert check_ledger(stages, edges, clean=True).balanced


def test_more_delivered_than_sent_never_balances() -> None:
    decided = plan()
    channels, board = blank(decided)
    board.edge(SOURCE, 0)[cells.SENT] = 4
    count(board, ONE, received=6, processed=6)

    edges = edge_facts(decided, channels, board, records(torn=True))

    assert edges[0].unread == 0
    assert not check_ledger((), edges, clean=False).balanced


@pytest.mark.parametrize("state", [State.BUSY, State.AT_PROGRAM, State.BACKING_OFF])
def test_gauges_count_what_is_going_on_now(state: State) -> None:
    decided = plan()
    channels, board = blank(decided)
    row = board.worker(ONE)
    row[cells.BUSY_NS], row[cells.STATE], row[cells.SINCE_NS] = 10**9, state, 5 * 10**9
    board.channel(0).set_writer(0, WriterCell.CREDITS, 3)
    board.edge(SOURCE, 0)[cells.SENT] = 9  # of which some are kept back
    board.edge(ONE, 0)[cells.DELIVERED] = 2

    stages = stage_gauges(decided, board, running=[ONE], now_ns=7 * 10**9)
    edges = edge_gauges(decided, channels, board)

    assert (stages[1].busy_s, stages[1].running, stages[0].running) == (3.0, True, False)
    assert edges[0].in_flight == 7


def test_the_total_is_known_when_every_source_knows_its_own() -> None:
    decided = plan()
    _, board = blank(decided)

    before = total_items(decided, board)
    board.worker(SOURCE)[cells.TOTAL] = 11

    assert (before, total_items(decided, board)) == (None, 10)


@pytest.mark.parametrize(
    ("cell", "value", "ended"),
    [(cells.EARLY, 1, False), (cells.CUT, 1, True), (cells.STATE, State.DONE, True)],
)
def test_a_worker_that_failed_has_not_ended_as_it_should_though_its_inputs_are_closed(
    cell: int, value: int, ended: bool
) -> None:
    row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    row[cell] = value

    assert have_ended([row]) is ended


def test_a_worker_killed_in_a_row_of_calls_has_one_item_in_hand_and_done_the_others() -> None:
    row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    row[PROCESSED], row[SKIPPED], row[RECEIVED] = 100, 2, 130
    note_edge(row, 0)

    assert processed(row) == 127
    assert delivered_in_row(row, 0, counted=102) == 28
    assert delivered_in_row(row, 1, counted=102) == 0


@pytest.mark.parametrize("counted", [(100, 100), (107, 100), (107, 107)])
def test_a_worker_killed_in_a_row_of_pairs_has_one_item_of_each_edge_in_hand(
    counted: tuple[int, int],
) -> None:
    row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    row[PROCESSED] = row[RECEIVED] = 200
    marks = begin_row(row, 4, (0,), range(50, 60), width=2)
    row[marks.last] = 56  # the seventh

    assert cells.received(row) == 214
    assert processed(row) == 212
    # Edges are counted one after the other, the first of the stage first.
    total = sum(counted)
    assert counted[0] + delivered_in_row(row, 4, total, behind=1) == 107
    assert counted[1] + delivered_in_row(row, 5, total, behind=0) == 107


class Meanwhile(list[int]):
    """A row of the board whose worker does something just before one of the looks at it."""

    def __init__(self, worker: Callable[[Meanwhile], None], look: int) -> None:
        super().__init__([0] * WORKER_WORDS)
        self._worker, self._look, self.looks = worker, look, -1

    def __getitem__(self, cell: Any) -> Any:
        if self.looks >= 0:
            self.looks += 1
            if self.looks == self._look:
                self._worker(self)
        return super().__getitem__(cell)


def row_is_over(row: Any) -> None:
    row.looks = -1
    row[RECEIVED] += 40
    end_row(row)


def next_row_begins(row: Any) -> None:
    row_is_over(row)
    begin_row(row, 0, (0,), [7, 9])  # the first is in hand


@pytest.mark.parametrize("worker", [row_is_over, next_row_begins])
@pytest.mark.parametrize("look", range(1, 8))
def test_what_a_worker_has_received_is_no_nonsense_whatever_it_does_while_one_looks(
    worker: Callable[[Meanwhile], None], look: int
) -> None:
    row: Any = Meanwhile(worker, look)
    row[RECEIVED] = 1000
    marks = begin_row(row, 0, (0,), range(5000, 5040))
    row[marks.last] = 5039
    row.looks = 0

    assert cells.received(row) in {1040, 1041}

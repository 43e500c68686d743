from __future__ import annotations

from pipeflow.runtime.board import DEAD_LETTERED, RECEIVED, SKIPPED, WORKER_WORDS, Words
from pipeflow.runtime.spending import Spending
from pipeflow.spec.policies import Budget


def row(received: int = 0, skipped: int = 0, letters: int = 0) -> Words:
    made = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    made[RECEIVED], made[SKIPPED], made[DEAD_LETTERED] = received, skipped, letters
    return made


def test_what_all_replicas_gave_up_counts() -> None:
    rows = [row(2500, skipped=60), row(2500, letters=41)]
    spending = Spending("parse", Budget(100), rows[0], rows)

    assert spending.after_giving_up(spending.seen()) == (
        "stage 'parse' gave up 101 of 5000 items, its budget is 100"
    )


def test_nothing_is_said_while_some_is_left() -> None:
    rows = [row(2500, skipped=60), row(2500, letters=40)]

    assert Spending("parse", Budget(100), rows[0], rows).after_giving_up(5000) == ""
    assert Spending("parse", None, rows[0], rows).after_giving_up(5000) == ""


def test_the_first_hundred_of_one_worker_are_judged_by_themselves() -> None:
    own = row(256, skipped=2)
    spending = Spending("parse", Budget(1, percent=True), own, [own])

    assert spending.ahead
    assert spending.at_mark(99) == ""
    assert spending.ahead
    assert spending.at_mark(256) == "stage 'parse' gave up 2 of 100 items, its budget is 1%"
    assert not spending.ahead


def test_of_several_workers_nobody_knows_which_were_the_first_hundred() -> None:
    rows = [row(200, skipped=2), row(200)]
    spending = Spending("parse", Budget(1, percent=True), rows[0], rows)

    assert spending.at_mark(400) == ""


def test_the_last_replica_that_ends_judges_a_percentage_of_few_items() -> None:
    rows = [row(20, skipped=3), row(10)]
    first, last = (Spending("parse", Budget(5, percent=True), own, rows) for own in rows)

    assert first.at_end(first.seen()) == ""
    assert last.at_end(last.seen()) == "stage 'parse' gave up 3 of 30 items, its budget is 5%"

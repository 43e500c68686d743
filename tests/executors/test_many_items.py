"""Batches and tasks, in every executor alike: what comes out, its order, its ids, the books."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.events import Event, Progress
from pipeflow.telemetry.report import Status
from tests.executors.running import EXECUTORS, Outcome, run

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]


def numbers(stop: int = 100) -> dict[str, Any]:
    return {"call": "many:numbers", "with": {"stop": stop}}


def work(call: str, **more: Any) -> dict[str, Any]:
    return {"call": f"many:{call}", "inputs": "source", **more}


def outcome_of(folder: Path, executor: str, **stages: Any) -> Outcome:
    """Run to a good end, with balanced books."""
    outcome = run(folder, stages, executor)
    assert outcome.report.errors == ()
    assert outcome.report.run.status is Status.SUCCEEDED
    assert outcome.report.ledger.findings == ()
    return outcome


def test_lists_are_full_but_for_the_last_and_ids_are_those_of_the_items(
    tmp_path: Path, executor: str
) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(),
        work=work("sized", batch=32),
        sink={"keep": "work"},
    )

    assert outcome.kept["sink"] == [
        ((0, number), [number, 32 if number < 96 else 4]) for number in range(100)
    ]
    assert outcome.stage("work").received == 100


def test_of_several_replicas_the_results_of_lists_leave_in_order(
    tmp_path: Path, executor: str
) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(1000),
        work=work("sized", batch=7, replicas=3),
        sink={"keep": "work"},
    )

    assert [(item, number) for item, (number, _) in outcome.kept["sink"]] == [
        ((0, number), number) for number in range(1000)
    ]


@pytest.mark.parametrize("replicas", [1, 2])
def test_one_bad_item_costs_the_others_of_its_list_nothing(
    tmp_path: Path, executor: str, replicas: int
) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(),
        work=work("refuse_7", batch=16, on_error="dead_letter", replicas=replicas),
        sink={"keep": "work"},
        broken={"keep": "work.errors"},
    )

    assert outcome.items("sink") == [number for number in range(100) if number % 10 != 7]
    assert [letter["id"] for letter in outcome.items("broken")] == [
        f"source:{number}" for number in range(7, 100, 10)
    ]
    facts = outcome.stage("work")
    assert (facts.received, facts.processed, facts.dead_lettered) == (100, 90, 10)


def test_another_length_ends_the_run_and_says_both_numbers(tmp_path: Path, executor: str) -> None:
    stages = {"source": numbers(), "work": work("shorter", batch=8), "sink": {"keep": "work"}}

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert "got 8 items and returned 7 results" in error.message
    assert outcome.report.ledger.balanced
    assert outcome.stage("work").failed == 8


def test_a_list_goes_when_its_first_item_has_waited_long_enough(
    tmp_path: Path, executor: str
) -> None:
    """The source is in a call of its own for much longer than that."""
    outcome = outcome_of(
        tmp_path,
        executor,
        source={"call": "many:halting", "with": {"first": 3, "rest_s": 0.6}},
        work=work("stamped", batch={"size": 100, "wait": "50ms"}),
        sink={"keep": "work"},
    )

    times = [time for _, time in outcome.items("sink")]
    assert times[2] - times[0] < 0.01
    if executor == "local":  # in one process the source has its turn to the end
        assert 0.3 < times[3] - times[2] < 0.6


@pytest.mark.parametrize("transport", ["pipe", "queue"])
def test_a_list_is_larger_than_the_capacity_of_its_edge_and_than_each_writers_share(
    tmp_path: Path, executor: str, transport: str
) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(300),
        first=work("plus_one", replicas=4),
        work={
            "call": "many:sized",
            "inputs": {"from": "first", "capacity": 2, "transport": transport},
            "batch": 64,
        },
        sink={"keep": "work"},
    )

    assert outcome.items("sink") == [[n + 1, 64 if n < 256 else 44] for n in range(300)]
    assert outcome.edge("first.out", "work").capacity == 64


def test_a_list_of_arrays_has_room_whatever_their_size(tmp_path: Path, executor: str) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source={"call": "many:arrays", "with": {"count": 20, "size": 100_000}},
        work={
            "call": "many:means",
            "inputs": {"from": "source", "capacity": {"items": 2, "bytes": "1MiB"}},
            "batch": {"size": 8, "stack": True},
        },
        plain={"call": "many:listed", "inputs": "work"},
        sink={"keep": "plain"},
    )

    assert outcome.items("sink") == [[float(n), 8.0 if n < 16 else 4.0] for n in range(20)]


def test_a_key_that_comes_rarely_does_not_hold_up_those_that_come_often(
    tmp_path: Path, executor: str
) -> None:
    """Its replica waits for a full list, and everything in order waits for its first item."""
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(600),
        work={
            "call": "many:sized",
            "inputs": {"from": "source", "capacity": 8},
            "replicas": 2,
            "partition": {"key": "item == 0"},
            "batch": 8,
        },
        sink={"keep": {"from": "work", "capacity": 4}},
    )

    assert [number for number, _ in outcome.items("sink")] == list(range(600))


def test_a_zip_pairs_though_one_side_gathers_more_than_the_other_has_room_for(
    tmp_path: Path, executor: str
) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(200),
        left={
            "call": "many:refuse_7",
            "inputs": {"from": "source", "capacity": 2},
            "batch": 50,
            "on_error": "skip",
        },
        right={"call": "many:plus_one", "inputs": {"from": "source", "capacity": 2}},
        both={
            "call": "many:pairs",
            "inputs": {
                "left": {"from": "left", "capacity": 2},
                "right": {"from": "right", "capacity": 2},
            },
            "batch": 5,
        },
        sink={"keep": "both"},
    )

    paired = [row[:2] for row in outcome.items("sink")]
    assert paired == [[n, n + 1] for n in range(200) if n % 10 != 7]


def test_many_are_awaited_at_once_and_never_more_than_the_file_says(
    tmp_path: Path, executor: str
) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(200),
        work=work("InFlight", concurrency=9),
        sink={"keep": "work"},
    )

    *items, (last_id, most) = outcome.kept["sink"]
    assert items == [((0, number), number) for number in range(200)]
    assert (last_id, most) == ((1, 0), 9)
    assert any("closed after 200" in line for line in outcome.lines())


@pytest.mark.parametrize("ordered", [True, False])
def test_replicas_await_their_items_and_keep_the_order_if_they_are_to(
    tmp_path: Path, executor: str, ordered: bool
) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(200),
        work=work("twice", concurrency=5, replicas=2, ordered=ordered),
        sink={"keep": "work"},
    )

    expected = [((0, number, each), number) for number in range(200) for each in range(2)]
    kept = outcome.kept["sink"]
    assert (kept if ordered else sorted(kept)) == expected


def test_awaited_items_that_fail_leave_their_letters_in_order(
    tmp_path: Path, executor: str
) -> None:
    policy = {"then": "dead_letter", "retries": 1, "backoff": "1ms"}
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(),
        work=work("refuse_7_later", on_error=policy, replicas=2),
        sink={"keep": "work"},
        broken={"keep": "work.errors"},
    )

    assert outcome.items("sink") == [number for number in range(100) if number % 10 != 7]
    letters = [(letter["id"], letter["attempt"]) for letter in outcome.items("broken")]
    assert letters == [(f"source:{number}", 2) for number in range(7, 100, 10)]
    assert outcome.stage("work").retried == 10


def test_the_first_failure_of_an_awaited_item_ends_the_run(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": numbers(),
        "work": work("refuse_7_later", concurrency=4),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.item, error.message) == ("source:7", "7 ends in 7")
    assert outcome.report.ledger.balanced


def test_what_takes_too_long_is_cancelled_and_the_rest_goes_on(
    tmp_path: Path, executor: str
) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(20),
        work=work("stuck_at_3", timeout="200ms", on_error="dead_letter"),
        sink={"keep": "work"},
        broken={"keep": "work.errors"},
    )

    assert outcome.items("sink") == [number for number in range(20) if number != 3]
    (letter,) = outcome.items("broken")
    assert letter["error"]["type"] == "TimeoutError"
    words = "it took longer than its timeout of 0.2 s, so stage 'work' ended it"
    assert letter["error"]["message"] == words


def test_each_task_draws_the_random_numbers_of_its_own_item(tmp_path: Path, executor: str) -> None:
    def drawn(concurrency: int) -> list[Any]:
        folder = tmp_path / str(concurrency)
        folder.mkdir()
        return outcome_of(
            folder,
            executor,
            source=numbers(30),
            work=work("random_pair", concurrency=concurrency),
            sink={"keep": "work"},
        ).items("sink")

    one, many = drawn(1), drawn(10)
    assert one == many
    assert len({number for pair in one for number in pair}) == 60


def test_an_async_source_is_a_source_like_others(tmp_path: Path, executor: str) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source={"call": "many:feed", "with": {"stop": 50}},
        sink={"keep": "source"},
    )

    assert outcome.kept["sink"] == [((0, number), number) for number in range(50)]


def test_a_reader_that_needs_no_more_ends_the_tasks_behind_it(
    tmp_path: Path, executor: str
) -> None:
    outcome = outcome_of(
        tmp_path,
        executor,
        source={"call": "many:endless"},
        work=work("twice", concurrency=8),
        few={"use": "take", "inputs": "work", "with": {"n": 5}},
        sink={"keep": "few"},
    )

    assert outcome.items("sink") == [0, 0, 1, 1, 2]


def test_a_drain_lets_what_is_in_flight_end(tmp_path: Path, executor: str) -> None:
    """Ctrl-C: the source ends, and all that it gave is worked on."""
    sent = threading.Event()

    def interrupt(event: Event) -> None:
        if not isinstance(event, Progress) or sent.is_set():
            return
        if any(stage.emitted for stage in event.stages if stage.name == "work"):
            sent.set()
            os.kill(os.getpid(), signal.SIGINT)

    stages = {
        "source": {"call": "many:endless"},
        "work": work("InFlight", concurrency=8),
        "lists": {"call": "many:sized", "inputs": "work", "batch": 5},
        "sink": {"keep": "lists"},
    }
    outcome = run(tmp_path, stages, executor, hear=interrupt)

    assert outcome.report.run.status is Status.INTERRUPTED
    assert outcome.report.ledger.findings == ()
    facts = outcome.stage("work")
    assert facts.received == facts.processed == outcome.stage("source").emitted["out"]
    assert [row[0] for row in outcome.items("sink")][:-1] == list(range(facts.received))


@pytest.mark.parametrize("replicas", [1, 3])
def test_an_item_that_kills_the_process_of_its_list_costs_the_others_nothing(
    tmp_path: Path, executor: str, replicas: int
) -> None:
    if executor == "inline":
        pytest.skip("its one process is ours")
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(60),
        work=work("deadly_7", batch=8, on_error="dead_letter", replicas=replicas),
        sink={"keep": "work"},
        broken={"keep": "work.errors"},
    )

    assert outcome.items("sink") == [number for number in range(60) if number != 7]
    assert [letter["id"] for letter in outcome.items("broken")] == ["source:7"]
    facts = outcome.stage("work")
    assert (facts.received, facts.processed, facts.dead_lettered) == (60, 59, 1)


def test_an_item_that_holds_up_its_list_is_found_by_the_time_that_each_takes(
    tmp_path: Path, executor: str
) -> None:
    policy = {"then": "dead_letter", "retries": 1, "backoff": "0s"}
    outcome = outcome_of(
        tmp_path,
        executor,
        source=numbers(20),
        work=work("slow_7", batch=5, timeout="300ms", on_error=policy),
        sink={"keep": "work"},
        broken={"keep": "work.errors"},
    )

    assert outcome.items("sink") == [number for number in range(20) if number != 7]
    (letter,) = outcome.items("broken")
    assert (letter["id"], letter["attempt"]) == ("source:7", 2)
    assert letter["error"]["message"].startswith("it took longer than its timeout of 0.3 s")


def test_a_list_that_kills_its_process_ends_the_run_where_the_policy_is_to_stop(
    tmp_path: Path, executor: str
) -> None:
    if executor == "inline":
        pytest.skip("its one process is ours")
    stages = {"source": numbers(20), "work": work("deadly_7", batch=5), "sink": {"keep": "work"}}

    outcome = run(tmp_path, stages, executor)

    assert len(outcome.report.errors) == 1
    assert outcome.report.ledger.findings == ()
    assert outcome.stage("work").failed == 5

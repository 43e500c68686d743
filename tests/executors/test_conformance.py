"""What every executor does alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.events import ItemFailed
from pipeflow.telemetry.report import Status
from tests.executors.judging import succeeded
from tests.executors.running import EXECUTORS, run

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]

NUMBERS = {"call": "shapes:numbers", "with": {"stop": 40}}


def test_a_chain_maps_filters_and_keeps_ids(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "even": {"call": "shapes:keep_even", "inputs": "source"},
        "square": {"call": "shapes:square", "inputs": "even"},
        "sink": {"keep": "square"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.kept["sink"] == [((0, n), n * n) for n in range(0, 40, 2)]
    assert outcome.stage("even").empty == 20


@pytest.mark.parametrize("transport", ["pipe", "queue"])
@pytest.mark.parametrize("capacity", [1, 256])
def test_replicas_keep_the_order_of_one_worker(
    tmp_path: Path, executor: str, transport: str, capacity: int
) -> None:
    def edge(source: str) -> dict[str, Any]:
        return {"from": source, "transport": transport, "capacity": capacity}

    stages = {
        "source": NUMBERS,
        "fan": {"call": "shapes:fan", "inputs": edge("source"), "replicas": 3},
        "even": {"call": "shapes:keep_even", "inputs": edge("fan"), "replicas": 3},
        "plus": {"call": "shapes:plus_one", "inputs": edge("even"), "replicas": 2},
        "sink": {"keep": edge("plus")},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    results = [((0, n, k), n * 10 + k) for n in range(40) for k in range(n % 4)]
    assert outcome.kept["sink"] == [(i, value + 1) for i, value in results if value % 2 == 0]


def test_equal_keys_meet_and_finish_comes_replica_by_replica(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "tally": {
            "call": "shapes:Tally",
            "inputs": "source",
            "replicas": 3,
            "partition": {"key": "item % 5"},
        },
        "sink": {"keep": "tally"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert sum(outcome.items("sink")) == 40
    assert all(count % 8 == 0 for count in outcome.items("sink"))
    assert [item for item, _ in outcome.kept["sink"]] == [(1, 0), (1, 1), (1, 2)]


def test_keyed_streams_give_results_in_the_order_of_their_input(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": NUMBERS,
        "sums": {
            "call": "shapes:running_sum",
            "inputs": "source",
            "replicas": 2,
            "partition": {"key": "item % 2"},
        },
        "sink": {"keep": "sums"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    sums, expected = {0: 0, 1: 0}, []
    for number in range(40):
        sums[number % 2] += number
        expected.append(sums[number % 2])
    assert outcome.items("sink") == expected


@pytest.mark.parametrize("transport", ["pipe", "queue"])
def test_keyed_replicas_behind_replicas_that_give_many_keep_the_order_of_one_worker(
    tmp_path: Path, executor: str, transport: str
) -> None:
    """The replica that is not due may not be waited for by the one that is."""

    def edge(source: str) -> dict[str, Any]:
        return {"from": source, "transport": transport, "capacity": 1}

    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 12}},
        "fan": {"call": "shapes:fan", "inputs": edge("source"), "replicas": 2},
        "keyed": {
            "call": "shapes:plus_one",
            "inputs": edge("fan"),
            "replicas": 2,
            "partition": {"key": "item % 4 // 3"},
        },
        "sink": {"keep": edge("keyed")},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    expected = [((0, n, step), n * 10 + step + 1) for n in range(12) for step in range(n % 4)]
    assert outcome.kept["sink"] == expected


@pytest.mark.parametrize("transport", ["pipe", "queue"])
def test_a_broadcast_of_a_broadcast_may_be_spread_by_a_key(
    tmp_path: Path, executor: str, transport: str
) -> None:
    def stage(source: str, partition: Any) -> dict[str, Any]:
        edge = {"from": source, "transport": transport, "capacity": 1}
        return {
            "call": "shapes:plus_one",
            "inputs": edge,
            "replicas": 2,
            "partition": partition,
        }

    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 3}},
        "first": stage("source", "broadcast"),
        "second": stage("first", "broadcast"),
        "keyed": stage("second", {"key": "item % 4"}),
        "sink": {"keep": {"from": "keyed", "transport": transport, "capacity": 1}},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.kept["sink"] == [((0, n), n + 3) for n in range(3) for _ in range(4)]


def test_every_replica_of_a_broadcast_gets_every_item(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "tally": {
            "call": "shapes:Tally",
            "inputs": "source",
            "replicas": 2,
            "partition": "broadcast",
        },
        "sink": {"keep": "tally"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [40, 40]


def test_a_zip_pairs_by_id_and_the_rest_is_unmatched(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "even": {"call": "shapes:keep_even", "inputs": "source", "replicas": 2},
        "square": {"call": "shapes:square", "inputs": "source"},
        "pair": {"call": "shapes:pair", "inputs": {"left": "square", "right": "even"}},
        "sink": {"keep": "pair"},
        "alone": {"keep": "pair.unmatched"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [[n * n, n] for n in range(0, 40, 2)]
    assert outcome.items("alone") == [n * n for n in range(1, 40, 2)]
    assert outcome.edge("square.out", "pair").unmatched == 20


def test_a_replicated_zip_gives_the_same(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "even": {"call": "shapes:keep_even", "inputs": "source"},
        "square": {"call": "shapes:square", "inputs": "source", "replicas": 3},
        "pair": {
            "call": "shapes:pair",
            "inputs": {"left": "square", "right": "even"},
            "replicas": 2,
        },
        "sink": {"keep": "pair"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [[n * n, n] for n in range(0, 40, 2)]


def test_different_sources_pair_by_position_until_the_shortest_ends(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "long": NUMBERS,
        "short": {"call": "shapes:numbers", "with": {"stop": 5}},
        "pair": {"call": "shapes:pair", "inputs": {"left": "long", "right": "short"}},
        "sink": {"keep": "pair"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [[n, n] for n in range(5)]
    assert outcome.edge("long.out", "pair").unmatched == 35


def test_a_merge_keeps_the_order_of_each_input(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "other": {"call": "shapes:numbers", "with": {"stop": 30}},
        "plus": {"call": "shapes:plus_one", "inputs": ["source", "other"], "replicas": 2},
        "sink": {"keep": "plus"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    for origin, count in ((0, 40), (1, 30)):
        mine = [(item, value) for item, value in outcome.kept["sink"] if item[0] == origin]
        assert mine == [((origin, n), n + 1) for n in range(count)]


def test_a_dead_letter_goes_to_its_port_and_the_rest_goes_on(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "work": {
            "call": "shapes:fail_on_7",
            "inputs": "source",
            "on_error": "dead_letter",
            "replicas": 2,
        },
        "sink": {"keep": "work"},
        "broken": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    letters = outcome.items("broken")
    assert [letter["id"] for letter in letters] == [f"source:{n}" for n in (7, 17, 27, 37)]
    assert letters[0]["error"]["type"] == "ValueError"
    assert len(outcome.items("sink")) == 36
    assert outcome.stage("work").dead_lettered == 4


def test_a_skipped_item_is_counted(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "work": {"call": "shapes:fail_on_7", "inputs": "source", "on_error": "skip"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert (outcome.stage("work").skipped, outcome.stage("work").processed) == (4, 36)


def test_the_first_failure_ends_the_run_and_names_stage_and_item(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 100_000}},
        "work": {"call": "shapes:fail_at", "inputs": "source", "with": {"at": 500}},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.stage, error.item, error.type) == ("work", "source:500", "RuntimeError")
    assert error.message == "cannot do 500"
    assert "in fail_at" in error.traceback
    assert (outcome.report.run.status, outcome.report.run.exit_code) == (Status.FAILED, 1)
    assert outcome.report.ledger.findings == ()
    (told,) = [event for event in outcome.events if isinstance(event, ItemFailed)]
    assert (told.stage, told.item, told.message) == ("work", "source:500", "cannot do 500")


def test_a_result_that_cannot_be_pickled_is_its_stages_error(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "work": {"call": "shapes:a_lock", "inputs": "source"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.stage, error.item) == ("work", "source:0")
    assert "item['lock']" in error.message


@pytest.mark.parametrize("on_error", ["stop", {"then": "stop", "retries": 1, "backoff": "0s"}])
@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            "forgets_to_await",
            (
                "the function returned the coroutine 'later', which nobody awaited: make it"
                " `async def`, and `await` there"
            ),
        ),
        (
            "forgets_to_go_through",
            (
                "the function returned the async generator 'many_later', which nobody went through:"
                " name that one as the stage's function, or make it `async def`, with `async for`"
            ),
        ),
    ],
)
def test_a_forgotten_await_is_told_as_what_it_is(
    tmp_path: Path, executor: str, call: str, message: str, is_read: bool, on_error: Any
) -> None:
    stages: dict[str, Any] = {
        "source": NUMBERS,
        "work": {"call": f"shapes:{call}", "inputs": "source", "on_error": on_error},
    }
    if is_read:
        stages["sink"] = {"keep": "work"}

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.stage, error.item, error.type) == ("work", "source:0", "TypeError")
    assert error.message == message
    assert outcome.report.ledger.findings == ()
    assert outcome.lines() == []  # Python has not warned of it in our name


@pytest.mark.parametrize(
    ("call", "more"),
    [
        ("forgets_to_await_lists", {"batch": 4}),
        ("forgets_to_await_a_list", {"batch": 4}),
        ("forgets_to_await_many", {}),
    ],
)
def test_a_forgotten_await_is_told_by_sinks_of_every_kind(
    tmp_path: Path, executor: str, call: str, more: dict[str, Any]
) -> None:
    stages: dict[str, Any] = {
        "source": NUMBERS,
        "work": {"call": f"shapes:{call}", "inputs": "source", **more},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.stage, error.type) == ("work", "TypeError")
    assert "returned the coroutine 'later', which nobody awaited" in error.message
    assert outcome.report.ledger.findings == ()
    assert outcome.lines() == []


def test_a_forgotten_await_within_a_result_is_told_with_its_place(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": NUMBERS,
        "work": {"call": "shapes:forgets_to_await_a_part", "inputs": "source"},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert error.message == (
        "item['n'][0] cannot be pickled: it is the coroutine 'later', which nobody awaited"
    )
    assert outcome.lines() == []


def test_named_outputs_reach_their_readers(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "split": {
            "call": "shapes:by_parity",
            "inputs": "source",
            "outputs": ["odd"],
            "replicas": 2,
        },
        "evens": {"keep": "split"},
        "odds": {"keep": "split.odd"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("evens") == list(range(0, 40, 2))
    assert outcome.items("odds") == list(range(1, 40, 2))
    assert dict(outcome.stage("split").emitted)["odd"] == 20


def test_a_stream_function_may_return_early(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 10**9}},
        "first": {"call": "shapes:first_ones", "inputs": "source", "with": {"count": 4}},
        "sink": {"keep": "first"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [0, 1, 2, 3]


def test_a_source_that_never_ends_keeps_no_other_waiting(tmp_path: Path, executor: str) -> None:
    stages = {
        "endless": {"call": "shapes:without_end"},
        "short": {"call": "shapes:numbers", "with": {"stop": 5}},
        "pair": {"call": "shapes:pair", "inputs": {"left": "endless", "right": "short"}},
        "sink": {"keep": "pair"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [[n, n] for n in range(5)]


def test_two_readers_may_each_change_the_dict_they_got(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": {"call": "shapes:records", "with": {"stop": 3}},
        "left": {"call": "shapes:change", "inputs": "source", "with": {"mark": "left"}},
        "right": {"call": "shapes:change", "inputs": "source", "with": {"mark": "right"}},
        "lefts": {"keep": "left"},
        "rights": {"keep": "right"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("lefts")[1] == {"n": 1, "tags": [1, "1", "left"], "mark": "left"}
    assert outcome.items("rights")[1] == {"n": 1, "tags": [1, "1", "right"], "mark": "right"}


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_an_operator_gets_items_of_the_authors_own_classes(
    tmp_path: Path, executor: str, policy: str
) -> None:
    on_error = {"on_error": policy}
    stages = {
        "source": {"use": "range", "with": {"stop": 3}},
        "point": {"call": "shapes:point", "inputs": "source", **on_error},
        "seen": {"use": "filter", "inputs": "point", "with": {"where": "item.x"}, **on_error},
        "x": {"use": "map", "inputs": "seen", "with": {"expr": "item.x"}, **on_error},
        "sink": {"keep": "x"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [1, 2]


@pytest.mark.parametrize("size", [8, 20_000])
def test_a_held_array_stays_what_it_was_and_is_read_only(
    tmp_path: Path, executor: str, size: int
) -> None:
    stages = {
        "source": {"call": "shapes:arrays", "with": {"count": 200, "size": size}},
        "held": {"call": "shapes:Held", "inputs": "source"},
        "sink": {"keep": "held"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [[200, True, False]]


def test_writing_into_an_array_says_how_to_get_a_copy(tmp_path: Path, executor: str) -> None:
    stages: dict[str, Any] = {
        "source": {"call": "shapes:arrays", "with": {"count": 2, "size": 10}},
        "write": {"call": "shapes:write_into", "inputs": "source"},
        "sums": {"call": "shapes:total_of", "inputs": "write"},
        "sink": {"keep": "sums"},
    }

    refused = run(tmp_path, stages, executor)
    stages["write"]["inputs"] = {"from": "source", "arrays": "copy"}
    granted = run(tmp_path, stages, executor)

    assert "arrays: copy" in refused.report.errors[0].message
    succeeded(granted)
    assert granted.items("sink") == [1.0, 10.0]


def test_random_numbers_follow_the_seed_and_the_item(tmp_path: Path, executor: str) -> None:
    stages: dict[str, Any] = {
        "source": NUMBERS,
        "draw": {"call": "shapes:draw", "inputs": "source"},
        "sink": {"keep": "draw"},
    }

    alone = run(tmp_path, stages, executor)
    stages["draw"]["replicas"] = 3
    together = run(tmp_path, stages, executor)

    assert alone.kept["sink"] == together.kept["sink"]
    assert len(set(alone.items("sink"))) == 40


def test_what_a_full_edge_drops_is_counted(tmp_path: Path, executor: str) -> None:
    for overflow in ("drop_oldest", "drop_newest"):
        stages = {
            "source": {"call": "shapes:numbers", "with": {"stop": 5000}},
            "plus": {
                "call": "shapes:plus_one",
                "inputs": {"from": "source", "overflow": overflow, "capacity": 4},
            },
            "sink": {"keep": "plus"},
        }

        outcome = run(tmp_path, stages, executor)

        succeeded(outcome)
        edge = outcome.edge("source.out", "plus")
        assert edge.sent == 5000 == edge.delivered + edge.dropped
        if edge.dropped:  # then it was full
            assert edge.peak_in_flight == edge.capacity
        values = outcome.items("sink")
        assert values == sorted(values)
        assert len(values) == edge.delivered


def test_close_is_called_after_an_early_end_and_finish_is_not(
    tmp_path: Path, executor: str
) -> None:
    closed = tmp_path / f"closed.{executor}"
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 10**9}},
        "first": {"call": "shapes:first_ones", "inputs": "source", "with": {"count": 2}},
        "tally": {"call": "shapes:Tally", "inputs": "first", "with": {"closed": str(closed)}},
        "take": {"use": "take", "inputs": "tally", "with": {"n": 1}},
        "sink": {"keep": "take"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert closed.read_text() == "closed\n"
    assert outcome.items("sink") == [2]


def test_a_failing_partition_key_names_the_expression(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": NUMBERS,
        "tally": {
            "call": "shapes:Tally",
            "inputs": "source",
            "replicas": 2,
            "partition": {"key": "item['user']"},
        },
        "sink": {"keep": "tally"},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.stage, error.item, error.type) == ("source", "source:0", "TypeError")
    assert "in the partition key of stage 'tally': item['user']" in error.traceback
    # The item reached nobody; that its unit is over may have been told before the run ended.
    assert outcome.edge("source.out", "tally").sent == 0


def test_what_travels_is_counted_in_bytes(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": {"call": "shapes:arrays", "with": {"count": 4, "size": 100_000}},
        "sums": {"call": "shapes:total_of", "inputs": "source"},
        "sink": {"keep": "sums"},
    }

    outcome = run(tmp_path, stages, executor)

    edge = outcome.edge("source.out", "sums")
    everything = edge.bytes_copied + edge.bytes_shared
    assert 4 * 800_000 <= everything < 4 * 801_000
    assert 4 * 8 < outcome.edge("sums.out", "sink").bytes_copied < 1000
    if executor == "local":
        assert edge.bytes_shared == 4 * 800_000


@pytest.mark.parametrize("capacity", [1, 2, 5])
def test_no_more_is_on_its_way_than_the_capacity_whatever_replicas_give(
    tmp_path: Path, executor: str, capacity: int
) -> None:
    room = {"capacity": capacity}
    stages = {
        "source": {"use": "range", "with": {"stop": 60}},
        "many": {
            "use": "flat_map",
            "with": {"expr": "range(item % 4)"},
            "inputs": {"from": "source", **room},
            "replicas": 2,
        },
        "sink": {"keep": {"from": "many", **room}},
    }

    outcome = run(tmp_path, stages, executor)

    assert [payload for _, payload in outcome.kept["sink"]] == [0, 0, 1, 0, 1, 2] * 15
    for edge in outcome.report.edges:
        assert edge.peak_in_flight <= edge.capacity


def test_what_is_changed_after_it_was_passed_on_arrives_as_it_was(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "records": {"call": "shapes:reused", "with": {"stop": 300}},
        "kept": {"keep": "records"},
        "buffers": {"call": "shapes:reused_buffer", "with": {"stop": 300}},
        "sums": {"call": "shapes:buffer_sum", "inputs": "buffers"},
        "summed": {"keep": "sums"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("kept") == [{"n": n, "row": list(range(n + 1))} for n in range(300)]
    assert outcome.items("summed") == [4.0 * n for n in range(300)]


def test_the_file_knows_the_id_that_the_report_bears(tmp_path: Path, executor: str) -> None:
    stages = {
        "source": {"call": "shapes:numbers", "with": {"stop": 1}},
        "label": {"call": "shapes:label", "inputs": "source", "with": {"text": "${run.id}"}},
        "sink": {"keep": "label"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [f"{outcome.report.run.id} 0"]

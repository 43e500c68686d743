"""An item that fails when it is unpickled fails as any other: by the policy of who reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.events import ItemFailed, WorkerDied
from pipeflow.telemetry.report import Status
from tests.executors.running import EXECUTORS, Outcome, run

pytestmark = pytest.mark.processes

BOTH = pytest.mark.parametrize("executor", EXECUTORS)
WAYS = pytest.mark.parametrize("how", ["exit", "segfault", "SIGKILL"])
STOP = 100


def fragile(folder: Path, at: list[int], how: str, **more: Any) -> dict[str, Any]:
    given = {"stop": STOP, "at": at, "how": how, "notes": str(folder / "notes"), **more}
    return {"call": "fragile:fragile", "with": given}


def reader(on_error: Any, call: str = "same", **more: Any) -> dict[str, Any]:
    return {"call": f"fragile:{call}", "inputs": "source", "on_error": on_error, **more}


def balanced(outcome: Outcome) -> None:
    assert outcome.report.ledger.findings == ()
    assert outcome.report.ledger.balanced
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors


def all_but(*lost: int) -> list[int]:
    return [n for n in range(STOP) if n not in lost]


def deaths(outcome: Outcome) -> list[str]:
    return [event.item for event in outcome.events if isinstance(event, WorkerDied)]


@BOTH
@pytest.mark.parametrize("replicas", [1, 3])
def test_an_item_whose_loading_raises_is_a_dead_letter_in_its_place(
    tmp_path: Path, executor: str, replicas: int
) -> None:
    stages = {
        "source": fragile(tmp_path, [0, 41, 42, 99], "raise"),
        "work": reader("dead_letter", replicas=replicas),
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.kept["sink"] == [((0, n), n) for n in all_but(0, 41, 42, 99)]
    letters = outcome.items("bad")
    assert [letter["id"] for letter in letters] == [f"source:{n}" for n in (0, 41, 42, 99)]
    assert letters[1]["item"] is None
    assert letters[1]["attempt"] == 1
    assert letters[1]["error"]["type"].endswith("ItemNotLoadable")
    assert "ValueError: 41 on purpose" in letters[1]["error"]["message"]
    assert "fragile.py" in letters[1]["error"]["traceback"]
    work = outcome.stage("work")
    assert (work.received, work.processed, work.dead_lettered) == (STOP, STOP - 4, 4)


@BOTH
@pytest.mark.parametrize(
    "more",
    [{"batch": 7, "call": "doubled"}, {"call": "slowly", "concurrency": 4}, {"timeout": "20s"}],
    ids=str,
)
def test_whatever_kind_of_stage_reads_it(
    tmp_path: Path, executor: str, more: dict[str, Any]
) -> None:
    stages = {
        "source": fragile(tmp_path, [0, 41, 42, 99], "raise"),
        "work": reader({"then": "skip", "retries": 1}, **more),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    factor = 2 if "batch" in more else 1
    assert outcome.items("sink") == [factor * n for n in all_but(0, 41, 42, 99)]
    work = outcome.stage("work")
    assert (work.received, work.processed, work.skipped) == (STOP, STOP - 4, 4)


@BOTH
@pytest.mark.parametrize("join", ["zip", {"key": "item", "within": 50}], ids=["zip", "key"])
def test_of_a_pair_that_cannot_be_loaded_the_policy_decides(
    tmp_path: Path, executor: str, join: Any
) -> None:
    stages = {
        "source": fragile(tmp_path, [3, 41], "raise"),
        "other": {"call": "deadly:numbers", "with": {"stop": STOP}},
        "pair": {
            "call": "fragile:pair",
            "inputs": {"left": "source", "right": "other"},
            "join": join,
            "on_error": "dead_letter",
        },
        "sink": {"keep": "pair"},
        "bad": {"keep": "pair.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.items("sink") == [[n, n] for n in all_but(3, 41)]
    letters = outcome.items("bad")
    assert ["on purpose" in letter["error"]["message"] for letter in letters] == [True, True]
    # What is known of the pair is told; a key join fails before there is a pair.
    pairs = [[None, 3], [None, 41]] if join == "zip" else [None, None]
    assert [letter["item"] for letter in letters] == pairs


@BOTH
def test_with_stop_after_all_tries_the_run_ends_and_names_the_item(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": fragile(tmp_path, [41], "raise"),
        "work": reader({"retries": 1, "backoff": "0s"}),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.stage, error.item) == ("work", "source:41")
    assert "41 on purpose" in error.message
    assert outcome.report.ledger.findings == ()


@WAYS
@pytest.mark.parametrize("replicas", [1, 3])
def test_an_item_that_kills_who_loads_it_is_a_dead_letter_in_its_place(
    tmp_path: Path, how: str, replicas: int
) -> None:
    stages = {
        "source": fragile(tmp_path, [0, 41, 42, 99], how),
        "work": reader("dead_letter", replicas=replicas),
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.kept["sink"] == [((0, n), n) for n in all_but(0, 41, 42, 99)]
    letters = outcome.items("bad")
    assert [letter["id"] for letter in letters] == [f"source:{n}" for n in (0, 41, 42, 99)]
    assert [letter["error"]["type"] for letter in letters] == ["WorkerDied"] * 4
    assert "it was unpickling item source:41" in letters[1]["error"]["message"]
    assert [letter["attempt"] for letter in letters] == [1] * 4
    work = outcome.stage("work")
    assert (work.received, work.processed, work.dead_lettered) == (STOP, STOP - 4, 4)
    assert sorted(filter(None, deaths(outcome))) == sorted(letter["id"] for letter in letters)


# Of several replicas one may get five that lie apart and none between: that would end the run.
@pytest.mark.parametrize(
    ("replicas", "deadly"), [(1, [*range(10, 24, 2), 40, 41, 42, 43, 45]), (3, [10, 12, 40, 41])]
)
def test_any_number_of_them_may_come_in_one_frame_if_others_lie_between(
    tmp_path: Path, replicas: int, deadly: list[int]
) -> None:
    stages = {
        "source": fragile(tmp_path, deadly, "SIGKILL"),
        "work": reader("dead_letter", replicas=replicas),
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but(*deadly)
    assert [letter["id"] for letter in outcome.items("bad")] == [f"source:{n}" for n in deadly]


@pytest.mark.parametrize("capacity", [256, 2], ids=["one frame", "many frames"])
def test_five_of_them_without_another_between_end_the_run(tmp_path: Path, capacity: int) -> None:
    stages = {
        "source": fragile(tmp_path, [10, 12, *range(40, 45)], "SIGKILL"),
        "work": {**reader("skip"), "inputs": {"from": "source", "capacity": capacity}},
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    (error,) = outcome.report.errors
    assert "it was unpickling item source:44" in error.message
    assert outcome.report.run.exit_code == 1
    assert outcome.report.ledger.findings == ()


@pytest.mark.parametrize(
    "more", [{"batch": 7, "call": "doubled"}, {"call": "slowly", "concurrency": 4}], ids=str
)
def test_who_has_several_items_in_hand_loses_but_that_one(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    stages = {
        "source": fragile(tmp_path, [0, 41, 42, 99], "SIGKILL"),
        "work": reader("skip", **more),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    factor = 2 if "batch" in more else 1
    assert outcome.items("sink") == [factor * n for n in all_but(0, 41, 42, 99)]


def test_it_is_tried_as_often_as_the_policy_says(tmp_path: Path) -> None:
    policy = {"then": "dead_letter", "retries": 2, "backoff": "0s"}
    stages = {
        "source": fragile(tmp_path, [41], "SIGKILL"),
        "work": reader(policy),
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but(41)
    (letter,) = outcome.items("bad")
    assert letter["attempt"] == 3
    assert outcome.stage("work").retried == 2
    # Once with all others, when nobody could tell which it was.
    assert deaths(outcome) == ["", *["source:41"] * 3]


def test_one_that_is_loaded_at_last_has_not_failed(tmp_path: Path) -> None:
    stages = {
        "source": fragile(tmp_path, [41], "SIGKILL", times=2),
        "work": reader({"retries": 3, "backoff": "0s"}),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but()
    assert not [event for event in outcome.events if isinstance(event, ItemFailed)]


def test_an_item_that_never_stops_being_loaded_is_ended_by_the_timeout(tmp_path: Path) -> None:
    stages = {
        "source": fragile(tmp_path, [41], "hang"),
        "work": reader("dead_letter", timeout="300ms"),
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but(41)
    (letter,) = outcome.items("bad")
    assert letter["id"] == "source:41"
    assert letter["error"]["type"] == "TimeoutError"


def test_five_deaths_in_a_row_end_the_run_also_when_items_are_loaded(tmp_path: Path) -> None:
    stages = {
        "source": fragile(tmp_path, list(range(41, 60)), "SIGKILL"),
        "work": reader("skip"),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    assert outcome.report.run.exit_code == 1
    assert outcome.report.ledger.findings == ()
    assert outcome.report.errors[0].stage == "work"
    assert outcome.report.errors[0].item == "source:45"


def test_arrays_of_a_frame_stay_where_they_are_whoever_dies_loading_it(tmp_path: Path) -> None:
    stages = {
        "source": fragile(tmp_path, [3, 41, 42], "SIGKILL", size=20_000),
        "work": reader("skip", call="kept"),
        "sink": {"keep": "work"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == [[n, 20_000.0 * n] for n in all_but(3, 41, 42)]


def test_an_item_that_was_loaded_and_then_kills_is_shown_with_what_it_is(tmp_path: Path) -> None:
    stages = {
        "source": fragile(tmp_path, [41], "SIGKILL"),
        "work": {
            "call": "deadly:Deadly",
            "inputs": "source",
            "with": {"at": [40], "how": "SIGKILL", "notes": str(tmp_path / "tries")},
            "on_error": "dead_letter",
        },
        "sink": {"keep": "work"},
        "bad": {"keep": "work.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but(40, 41)
    assert [letter["item"] for letter in outcome.items("bad")] == [40, None]


@BOTH
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("on_error", ["dead_letter", "stop"])
def test_a_result_that_cannot_be_loaded_is_its_readers_failure_also_behind_an_isolated_stage(
    tmp_path: Path, executor: str, deep: bool, on_error: str
) -> None:
    given = {"at": [41], "how": "raise", "notes": str(tmp_path / "notes"), "deep": deep}
    stages: dict[str, Any] = {
        "source": {"call": "deadly:numbers", "with": {"stop": STOP}},
        "work": reader("skip", "wrapped", **{"with": given}),
        "reads": {"call": "fragile:same", "inputs": "work", "on_error": on_error},
        "sink": {"keep": "reads"},
    }
    if on_error == "dead_letter":
        stages["bad"] = {"keep": "reads.errors"}

    outcome = run(tmp_path, stages, executor)

    assert outcome.report.ledger.findings == ()
    assert outcome.stage("work").skipped == 0
    item = "source:41.0" if deep else "source:41"
    if on_error == "stop":
        (error,) = outcome.report.errors
        assert (error.stage, error.item) == ("reads", item)
        assert error.message == "an item cannot be unpickled: ValueError: 41 on purpose"
        assert "fragile.py" in error.traceback
    else:
        assert outcome.items("sink") == all_but(41)
        (letter,) = outcome.items("bad")
        assert (letter["id"], letter["stage"]) == (item, "reads")


@WAYS
@pytest.mark.parametrize("deep", [False, True])
def test_a_result_that_kills_who_loads_it_is_its_readers_failure_also_behind_an_isolated_stage(
    tmp_path: Path, how: str, deep: bool
) -> None:
    given = {"at": [41], "how": how, "notes": str(tmp_path / "notes"), "deep": deep}
    stages = {
        "source": {"call": "deadly:numbers", "with": {"stop": STOP}},
        "work": reader("skip", "wrapped", **{"with": given}),
        "reads": {"call": "fragile:same", "inputs": "work", "on_error": "dead_letter"},
        "sink": {"keep": "reads"},
        "bad": {"keep": "reads.errors"},
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but(41)
    (letter,) = outcome.items("bad")
    assert (letter["id"], letter["stage"]) == ("source:41.0" if deep else "source:41", "reads")
    assert outcome.stage("work").skipped == 0

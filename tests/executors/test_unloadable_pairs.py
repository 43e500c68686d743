"""Items that fail or kill when they are unpickled, in stages that join several inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.events import WorkerDied
from tests.executors.running import EXECUTORS, Outcome, run
from tests.executors.test_unloadable_items import balanced, deaths, fragile

pytestmark = pytest.mark.processes

STOP = 60
LOST = [0, 17, 18, 59]
BOTH = pytest.mark.parametrize("executor", EXECUTORS)
WAYS = pytest.mark.parametrize("how", ["exit", "segfault", "SIGKILL"])
JOINS = pytest.mark.parametrize("join", ["zip", {"key": "item", "within": 50}], ids=["zip", "key"])


def numbers(stop: int = STOP) -> dict[str, Any]:
    return {"call": "deadly:numbers", "with": {"stop": stop}}


def pair(left: str, right: str, join: Any, on_error: Any, **more: Any) -> dict[str, Any]:
    return {
        "call": "fragile:pair",
        "inputs": {"left": left, "right": right},
        "join": join,
        "on_error": on_error,
        **more,
    }


def branch(folder: Path, how: str, at: list[int]) -> dict[str, Any]:
    """Passes on what the source gives; some of it cannot be loaded any more."""
    given = {"at": at, "how": how, "notes": str(folder / "notes")}
    return {"call": "fragile:wrapped", "inputs": "source", "with": given}


def sinks(stage: str, *ports: str) -> dict[str, Any]:
    return {"sink": {"keep": stage}, **{port: {"keep": f"{stage}.{port}"} for port in ports}}


def all_but(lost: list[int]) -> list[list[int]]:
    return [[n, n] for n in range(STOP) if n not in lost]


def counts(outcome: Outcome, stage: str = "pair") -> tuple[int, int, int, int, int]:
    facts = outcome.stage(stage)
    given_up = (facts.skipped, facts.dead_lettered, facts.failed)
    return (facts.received, facts.processed, *given_up)


@WAYS
@JOINS
def test_of_a_pair_that_kills_who_loads_it_comes_a_dead_letter_and_the_run_goes_on(
    tmp_path: Path, how: str, join: Any
) -> None:
    stages = {
        "source": fragile(tmp_path, LOST, how, stop=STOP),
        "other": numbers(),
        "pair": pair("source", "other", join, "dead_letter"),
        **sinks("pair", "errors", *(["unmatched"] if join != "zip" else [])),
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but(LOST)
    letters = outcome.items("errors")
    assert [letter["id"] for letter in letters] == [f"source:{n}" for n in LOST]
    assert [letter["error"]["type"] for letter in letters] == ["WorkerDied"] * 4
    assert all(f"item {each['id']}" in each["error"]["message"] for each in letters)
    assert sorted(filter(None, deaths(outcome))) == sorted(letter["id"] for letter in letters)
    if join == "zip":
        # What is known of the pair is told.
        assert [letter["item"] for letter in letters] == [[None, n] for n in LOST]
        assert counts(outcome) == (2 * STOP, 2 * STOP - 8, 0, 8, 0)
    else:
        # It has failed before there was a pair.
        assert [letter["item"] for letter in letters] == [None] * 4
        assert sorted(outcome.items("unmatched")) == LOST
        assert counts(outcome) == (2 * STOP - 4, 2 * STOP - 8, 0, 4, 0)


@BOTH
@pytest.mark.parametrize(
    "on_error", ["skip", "dead_letter", {"retries": 1, "then": "skip"}], ids=str
)
@JOINS
def test_of_a_pair_that_raises_when_it_is_loaded_the_policy_decides_in_every_executor(
    tmp_path: Path, executor: str, on_error: Any, join: Any
) -> None:
    stages = {
        "source": numbers(),
        "other": fragile(tmp_path, LOST, "raise", stop=STOP),
        "pair": pair("source", "other", join, on_error),
        **sinks("pair", *(["errors"] if on_error == "dead_letter" else [])),
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.items("sink") == all_but(LOST)
    if on_error == "dead_letter":
        letters = outcome.items("errors")
        assert ["on purpose" in letter["error"]["message"] for letter in letters] == [True] * 4
        pairs = [[n, None] for n in LOST] if join == "zip" else [None] * 4
        assert [letter["item"] for letter in letters] == pairs
    facts = outcome.stage("pair")
    assert facts.skipped + facts.dead_lettered == (8 if join == "zip" else 4)


@pytest.mark.parametrize(
    "on_error", ["skip", {"retries": 1, "backoff": "0s", "then": "skip"}], ids=str
)
@pytest.mark.parametrize("replicas", [1, 2])
def test_of_branches_that_meet_again_either_may_kill(
    tmp_path: Path, on_error: Any, replicas: int
) -> None:
    stages = {
        "source": numbers(),
        "left": branch(tmp_path, "SIGKILL", [3]),
        "right": branch(tmp_path, "SIGKILL", [3, 41]),
        "pair": pair("left", "right", "zip", on_error, replicas=replicas),
        **sinks("pair"),
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.kept["sink"] == [((0, n), [n, n]) for n in range(STOP) if n not in {3, 41}]
    assert counts(outcome) == (2 * STOP, 2 * STOP - 4, 4, 0, 0)
    tries = 1 if on_error == "skip" else 2
    assert len(deaths(outcome)) >= tries * 2


def test_a_pair_is_tried_as_often_as_the_policy_says_whichever_of_it_kills(tmp_path: Path) -> None:
    policy = {"retries": 2, "backoff": "0s", "then": "dead_letter"}
    stages = {
        "source": fragile(tmp_path, [17], "SIGKILL", stop=STOP, times=2),
        "other": fragile(tmp_path / "other", [17], "SIGKILL", stop=STOP),
        "pair": pair("source", "other", "zip", policy),
        **sinks("pair", "errors"),
    }
    (tmp_path / "other").mkdir()

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but([17])
    (letter,) = outcome.items("errors")
    assert (letter["id"], letter["attempt"]) == ("source:17", 3)
    # Whose frame has come first is loaded first. If that is the other's, the source's item kills
    # those who load it for the letter, and is not in it.
    assert letter["item"] in ([17, None], [None, None])


@JOINS
def test_with_stop_the_run_ends_and_names_stage_item_and_reason(tmp_path: Path, join: Any) -> None:
    stages = {
        "source": fragile(tmp_path, [17], "SIGKILL", stop=STOP),
        "other": numbers(),
        "pair": pair("source", "other", join, {"retries": 1, "backoff": "0s"}),
        **sinks("pair"),
    }

    outcome = run(tmp_path, stages, "local")

    (error,) = outcome.report.errors
    assert (error.stage, error.item, error.type) == ("pair", "source:17", "WorkerDied")
    assert "SIGKILL" in error.message
    assert outcome.report.ledger.findings == ()
    assert outcome.report.run.exit_code == 1


@pytest.mark.parametrize(
    ("executor", "how"), [("inline", "raise"), ("local", "raise"), ("local", "SIGKILL")]
)
@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("more", [{}, {"batch": 4, "call": "fragile:pairs"}], ids=["one", "batch"])
def test_what_has_no_partner_and_cannot_be_loaded_fails_by_the_policy(
    tmp_path: Path, executor: str, how: str, read: bool, more: dict[str, Any]
) -> None:
    stages = {
        "source": numbers(),
        "left": branch(tmp_path, how, [10, 11, 30]),
        "even": {"call": "fragile:even", "inputs": "source"},
        "pair": pair("left", "even", "zip", "dead_letter", **more),
        **sinks("pair", "errors", *(["unmatched"] if read else [])),
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.items("sink") == [[n, n] for n in range(0, STOP, 2) if n not in {10, 30}]
    letters = outcome.items("errors")
    assert [letter["id"] for letter in letters] == ["source:10", "source:11", "source:30"]
    assert [letter["item"] for letter in letters] == [[None, 10], None, [None, 30]]
    if read:
        assert outcome.items("unmatched") == [n for n in range(1, STOP, 2) if n != 11]
    assert outcome.edge("left.out", "pair").unmatched == STOP // 2 - 1
    assert counts(outcome) == (STOP + 1, STOP - 4, 0, 5, 0)


@pytest.mark.parametrize(
    "more",
    [{"batch": 7, "call": "fragile:pairs"}, {"call": "fragile:pair_slowly", "concurrency": 4}],
    ids=str,
)
@JOINS
def test_who_has_several_pairs_in_hand_loses_but_that_one(
    tmp_path: Path, more: dict[str, Any], join: Any
) -> None:
    stages = {
        "source": fragile(tmp_path, LOST, "SIGKILL", stop=STOP),
        "other": numbers(),
        "pair": pair("source", "other", join, "skip", **more),
        **sinks("pair"),
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but(LOST)


def test_of_the_latest_one_that_kills_costs_no_other(tmp_path: Path) -> None:
    stages = {
        "source": fragile(tmp_path, LOST, "SIGKILL", stop=STOP),
        "other": numbers(1),
        "pair": pair("source", "other", "latest", "dead_letter"),
        **sinks("pair", "errors"),
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.kept["sink"] == [((0, n), [n, 0]) for n in range(STOP) if n not in LOST]
    letters = outcome.items("errors")
    assert [letter["item"] for letter in letters] == [[None, 0]] * 4
    assert counts(outcome) == (STOP + 1, STOP - 4, 0, 5, 0)


@pytest.mark.parametrize(
    ("executor", "how"), [("inline", "raise"), ("local", "raise"), ("local", "SIGKILL")]
)
def test_all_that_have_the_newest_fail_with_it_though_it_has_killed_but_once(
    tmp_path: Path, executor: str, how: str
) -> None:
    stages = {
        "source": numbers(),
        "other": fragile(tmp_path, [0], how, stop=1),
        "pair": pair("source", "other", "latest", "dead_letter"),
        **sinks("pair", "errors"),
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.items("sink") == []
    letters = outcome.items("errors")
    assert [letter["item"] for letter in letters] == [[n, None] for n in range(STOP)]
    assert counts(outcome) == (STOP + 1, 0, 0, STOP + 1, 0)
    assert len([event for event in outcome.events if isinstance(event, WorkerDied)]) == (
        1 if how == "SIGKILL" else 0
    )


def test_the_newest_is_there_for_each_runner_that_follows(tmp_path: Path) -> None:
    given = {"at": [5, 20, 21], "how": "SIGKILL"}
    stages = {
        "source": numbers(),
        "other": numbers(1),
        "pair": {
            **pair("source", "other", "latest", "skip"),
            "call": "fragile:deadly_pair",
            "with": given,
        },
        **sinks("pair"),
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == [[n, 0] for n in range(STOP) if n not in given["at"]]


@JOINS
def test_a_pair_that_never_stops_being_loaded_is_ended_by_the_timeout(
    tmp_path: Path, join: Any
) -> None:
    stages = {
        "source": fragile(tmp_path, [17], "hang", stop=STOP),
        "other": numbers(),
        "pair": pair("source", "other", join, "dead_letter", timeout="300ms"),
        **sinks("pair", "errors"),
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but([17])
    (letter,) = outcome.items("errors")
    assert (letter["id"], letter["error"]["type"]) == ("source:17", "TimeoutError")


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_arrays_of_a_pair_are_as_each_edge_has_them(
    tmp_path: Path, executor: str, copied: bool
) -> None:
    right = {"from": "other", "arrays": "copy" if copied else "shared"}
    stages: dict[str, Any] = {
        "source": {"call": "deadly:arrays", "with": {"stop": 9, "size": 20_000}},
        "other": {"call": "deadly:arrays", "with": {"stop": 9, "size": 20_000}},
        "pair": {
            **pair("source", "other", "zip", "skip"),
            "call": "fragile:writable",
            "inputs": {"left": "source", "right": right},
        },
        **sinks("pair"),
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.items("sink") == [[False, copied, 20_000.0 * 2 * n] for n in range(9)]


@BOTH
@pytest.mark.parametrize("kind", ["colour", "place", "text", "span"])
def test_keys_of_classes_of_the_users_are_equal_in_the_keeper_as_they_are_in_one_process(
    tmp_path: Path, executor: str, kind: str
) -> None:
    stages = {
        "source": numbers(12),
        "other": numbers(12),
        "left": {"call": "fragile:keyed", "inputs": "source", "with": {"kind": kind}},
        "right": {"call": "fragile:keyed", "inputs": "other", "with": {"kind": kind}},
        "pair": {
            **pair("left", "right", {"key": "item['key']"}, "skip"),
            "call": "fragile:numbers_of",
        },
        **sinks("pair", "unmatched"),
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    assert outcome.kept["sink"] == [((4, n), [n, n]) for n in range(12)]
    assert outcome.items("unmatched") == []


@BOTH
def test_an_item_whose_key_cannot_be_worked_out_is_told_with_what_it_is(
    tmp_path: Path, executor: str
) -> None:
    stages = {
        "source": numbers(9),
        "other": numbers(9),
        "pair": pair("source", "other", {"key": "item // (item - 4)", "within": 9}, "dead_letter"),
        **sinks("pair", "errors"),
    }

    outcome = run(tmp_path, stages, executor)

    balanced(outcome)
    letters = outcome.items("errors")
    assert [(each["id"], each["item"]) for each in letters] == [("source:4", 4), ("other:4", 4)]
    assert {each["error"]["type"] for each in letters} == {"ZeroDivisionError"}
    assert "in the join key of input 'left'" in letters[0]["error"]["traceback"]


def test_an_item_whose_key_kills_is_a_dead_letter_and_named(tmp_path: Path) -> None:
    stages = {
        "source": numbers(),
        "other": numbers(),
        "traps": {"call": "fragile:trap", "inputs": "source", "with": {"at": [17]}},
        "traps2": {"call": "fragile:trap", "inputs": "other", "with": {"at": []}},
        "pair": {
            **pair("traps", "traps2", {"key": "item.key", "within": 50}, "dead_letter"),
            "call": "fragile:numbers_of_traps",
        },
        **sinks("pair", "errors"),
    }

    outcome = run(tmp_path, stages, "local")

    balanced(outcome)
    assert outcome.items("sink") == all_but([17])
    (letter,) = outcome.items("errors")
    assert (letter["id"], letter["error"]["type"]) == ("source:17", "WorkerDied")
    assert "unpickling item source:17, or working out its key" in letter["error"]["message"]

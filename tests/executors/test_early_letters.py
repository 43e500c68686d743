"""Dead letters of replicas that end early: one has passed units that the other will never end.

    pre ──> work[0]  0 2 ... 20, and there it stays         ──> slow ──> few (20 items)
            work[1]  1 3 ... 19, letters 21 23 25 ...

``slow`` lets ``few`` have its last item when the letters have filled all that lies before ``kept``,
which waits for unit 20. Then all that reads ``work`` ends, but those who read its letters.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.executors.judging import succeeded
from tests.executors.running import EXECUTORS, Outcome, run

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]

TRANSPORTS = pytest.mark.parametrize("transport", ["pipe", "queue"])
NOWHERE = -1


def run_past(
    tmp_path: Path,
    executor: str,
    *,
    transport: str,
    readers: int,
    work_at: int = NOWHERE,
    letter_at: int = NOWHERE,
) -> Outcome:
    """Run it; whose item says that all is full gives the signal that ``slow`` waits for."""
    signal = str(tmp_path / "full")
    narrow = {"transport": transport, "capacity": 1}
    stages: dict[str, Any] = {
        "source": {"call": "shapes:numbers", "with": {"stop": 300}},
        # Three write to two, so even numbers go to the one and odd ones to the other.
        "pre": {"call": "graphs:same", "inputs": "source", "replicas": 3},
        "work": {
            "call": "early:outlasted",
            "with": {"last": 20, "signal": signal, "at": work_at},
            "inputs": "pre",
            "replicas": 2,
            "on_error": "dead_letter",
        },
        "slow": {
            "call": "early:after",
            # In one process nobody else would give it.
            "with": {"at": 19, "signal": signal if executor == "local" else ""},
            "inputs": "work",
        },
        "few": {"use": "take", "with": {"n": 20}, "inputs": "slow"},
        "sink": {"keep": "few"},
        "letters": {
            "call": "early:lost",
            "with": {"signal": signal, "at": letter_at},
            "inputs": {"from": "work.errors", **narrow},
            "replicas": readers,
        },
        "kept": {"keep": {"from": "letters", **narrow}},
    }

    with held_open(signal):
        outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == list(range(20))
    edge = outcome.edge("work.errors", "letters")
    assert edge.delivered == edge.sent == outcome.stage("work").dead_lettered
    return outcome


@contextmanager
def held_open(signal: str) -> Iterator[None]:
    """Make a fifo that keeps what is written to it, and makes nobody wait who writes."""
    os.mkfifo(signal)
    fd = os.open(signal, os.O_RDWR)
    try:
        yield
    finally:
        os.close(fd)


@TRANSPORTS
def test_who_waits_for_a_unit_of_a_writer_that_has_ended_goes_on(
    tmp_path: Path, executor: str, transport: str
) -> None:
    outcome = run_past(tmp_path, executor, transport=transport, readers=2, letter_at=23)

    if executor == "local":
        assert outcome.items("kept")[:2] == [21, 23]
        assert outcome.items("kept") == sorted(outcome.items("kept"))


@TRANSPORTS
def test_who_waits_for_a_unit_that_may_never_come_holds_nobody_up(
    tmp_path: Path, executor: str, transport: str
) -> None:
    outcome = run_past(tmp_path, executor, transport=transport, readers=4, work_at=29)

    if executor == "local":
        assert outcome.items("kept")[:4] == [21, 23, 25, 27]
        assert outcome.items("kept") == sorted(outcome.items("kept"))


@pytest.mark.parametrize("replica", [0, 1])
def test_a_keyed_replica_that_returns_early_keeps_nobody_from_going_on(
    tmp_path: Path, executor: str, replica: int
) -> None:
    stages: dict[str, Any] = {
        "source": {"call": "shapes:numbers", "with": {"stop": 400}},
        "some": {
            "call": "early:some",
            "with": {"replica": replica, "count": 3},
            "inputs": "source",
            "replicas": 2,
            "partition": {"key": "item % 16"},
        },
        "three": {"call": "graphs:same", "inputs": "some", "replicas": 3},
        "sink": {"keep": "three"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    kept = outcome.items("sink")
    others = {item % 16 for item in kept[-20:]}
    assert kept == sorted(kept)
    assert 0 < len(others) < 16
    assert len(kept) == 25 * len(others) + 3


def test_letters_of_a_replica_that_is_cut_short_reach_their_reader_and_the_rest_goes_on(
    tmp_path: Path, executor: str
) -> None:
    path = tmp_path / "letters.jsonl"
    stages: dict[str, Any] = {
        "source": {"call": "shapes:numbers", "with": {"stop": 400}},
        "work": {
            "call": "early:stuck",
            # In one process nobody could cut it short.
            "with": {"at": 30 if executor == "local" else NOWHERE},
            "inputs": "source",
            "replicas": 2,
            "on_error": "dead_letter",
        },
        "few": {"use": "take", "with": {"n": 10}, "inputs": "work"},
        "sink": {"keep": "few"},
        "file": {"use": "jsonl.write", "with": {"path": str(path)}, "inputs": "work.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    edge = outcome.edge("work.errors", "file")
    assert edge.unread == 0
    assert len(path.read_text().splitlines()) == edge.delivered == edge.sent

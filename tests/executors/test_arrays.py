"""Arrays: what was sent stays as it is, whoever tries what; and what a report says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.report import Status
from tests.executors.running import EXECUTORS, run

pytestmark = pytest.mark.processes

COUNT, LENGTH = 30, 20_000
NBYTES = 8 * LENGTH
SOURCE = {"call": "arrays:lent", "with": {"count": COUNT, "length": LENGTH}}


def calls(name: str, inputs: Any, **options: Any) -> dict[str, Any]:
    return {"call": f"arrays:{name}", "inputs": inputs, "with": options}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_neither_what_came_nor_what_was_sent_can_be_made_writable(
    tmp_path: Path, executor: str
) -> None:
    stages = {"source": SOURCE, "unlocks": calls("Unlocks", "source")}
    stages |= {"told": calls("verdict", "unlocks"), "sink": {"keep": "told"}}

    outcome = run(tmp_path, stages, executor)

    first, *others = outcome.items("sink")
    assert first == [False, False, True, True]  # it had sent nothing yet
    assert others == [[False] * 4] * (COUNT - 1)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_array_that_was_sent_cannot_be_filled_again_and_the_error_says_what_to_do(
    tmp_path: Path, executor: str
) -> None:
    stages = {"source": SOURCE, "refills": calls("Refills", "source")}
    stages |= {"told": calls("total", "refills"), "sink": {"keep": "told"}}

    outcome = run(tmp_path, stages, executor)

    (error,) = outcome.report.errors
    assert (error.stage, error.item, error.type) == ("refills", "source:1", "ValueError")
    assert "if it was passed on, make another by `pipeflow.empty`" in error.message
    assert outcome.report.ledger.balanced


def test_arrays_that_a_stage_keeps_stay_as_they_were(tmp_path: Path) -> None:
    stages = {"source": SOURCE, "forward": calls("forward", "source")}
    stages |= {"remembers": calls("Remembers", "forward", most=12), "sink": {"keep": "remembers"}}

    inline, local = (run(tmp_path / each, stages, each) for each in EXECUTORS)

    assert inline.kept == local.kept
    assert local.items("sink") == [[]] * COUNT


def test_parts_and_results_of_tasks_are_passed_on_by_reference(tmp_path: Path) -> None:
    stages = {"source": SOURCE, "doubled": calls("doubled", "source")}
    stages |= {"part": calls("part", "doubled"), "told": calls("total", "part")}
    stages |= {"sink": {"keep": "told"}}

    inline, local = (run(tmp_path / each, stages, each) for each in EXECUTORS)

    assert inline.report.run.status is local.report.run.status is Status.SUCCEEDED
    assert inline.kept == local.kept
    shared = [local.edge("source.out", "doubled"), local.edge("doubled.out", "part")]
    assert [edge.bytes_shared for edge in shared] == [COUNT * NBYTES] * 2
    passed = local.edge("part.out", "told")
    assert (passed.bytes_shared, passed.slots) == (COUNT * (NBYTES - 40), 0)
    assert local.report.ledger.balanced


@pytest.mark.parametrize(("arrays", "told"), [({}, "read-only"), ({"arrays": "copy"}, "written")])
def test_arrays_of_every_kind_are_read_only_unless_the_edge_copies(
    tmp_path: Path, arrays: dict[str, str], told: str
) -> None:
    stages: dict[str, Any] = {"source": {"call": "arrays:kinds", "with": {"length": LENGTH}}}
    stages["written"] = calls("written", {"from": "source", **arrays})
    stages["sink"] = {"keep": "written"}

    inline, local = (run(tmp_path / each, stages, each) for each in EXECUTORS)

    assert inline.kept == local.kept
    assert len(local.items("sink")) == 4
    assert all(told in each[-1] for each in local.items("sink"))


def test_an_array_that_is_larger_than_the_memory_is_told_as_that(tmp_path: Path) -> None:
    source = {"call": "arrays:lent", "with": {"count": 1, "length": 2**20}}
    stages = {"source": source, "told": calls("total", "source"), "sink": {"keep": "told"}}

    outcome = run(tmp_path, stages, "local", limits={"memory": "4MiB"})

    (error,) = outcome.report.errors
    assert error.message.endswith("limits.memory (4 MiB): one array alone takes 8 MiB")

"""Arrays of changing sizes: what the report says of them, and the limit that they keep."""

from __future__ import annotations

import pytest

from pipeflow.telemetry.report import Status
from tests.executors.running import Outcome, run

pytestmark = pytest.mark.processes

MIB = 2**20
COUNT = 300
LOW, HIGH = 1024, 4 * MIB
LIMIT = 48 * MIB
#: Sizes of slots between 32 KiB and 4 MiB: four a doubling.
CLASSES = 4 * 7 + 1


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    made = {"call": "sizes:arrays", "with": {"count": COUNT, "low": LOW, "high": HIGH}}
    stages = {
        "source": made,
        "forward": {"call": "sizes:forward", "inputs": "source"},
        "half": {"call": "sizes:half", "inputs": "forward"},
        "double": {"call": "sizes:double", "inputs": "forward"},
        "halves": {"call": "sizes:looked_at", "inputs": "half"},
        "doubles": {"call": "sizes:looked_at", "inputs": "double"},
        "kept_halves": {"keep": "halves"},
        "kept_doubles": {"keep": "doubles"},
    }
    return run(tmp_path_factory.mktemp("budget"), stages, "local", limits={"memory": f"{LIMIT}B"})


def test_all_arrive_as_they_were(outcome: Outcome) -> None:
    assert outcome.report.run.status is Status.SUCCEEDED, outcome.report.errors
    assert [item[:2] for item in outcome.items("kept_halves")] == [[n, n] for n in range(COUNT)]
    assert [item[:2] for item in outcome.items("kept_doubles")] == [
        [2 * n, 2 * n] for n in range(COUNT)
    ]


def test_the_shared_arrays_of_a_run_keep_to_its_limit(outcome: Outcome) -> None:
    seen = [item[3] for name in ("kept_halves", "kept_doubles") for item in outcome.items(name)]

    assert sum(item[2] for item in outcome.items("kept_doubles")) > 2 * LIMIT  # or it says nothing
    assert 4 * MIB < max(seen) <= LIMIT + MIB  # the books of the pools lie there too


def test_bytes_are_counted_on_every_edge_where_they_pass(outcome: Outcome) -> None:
    whole = sum(item[2] for item in outcome.items("kept_doubles"))
    part = sum(item[2] for item in outcome.items("kept_halves"))

    for source, target, nbytes in (
        ("source.out", "forward", whole),
        ("forward.out", "half", whole),
        ("forward.out", "double", whole),
        ("half.out", "halves", part),
        ("double.out", "doubles", whole),
    ):
        edge = outcome.edge(source, target)
        assert nbytes <= edge.bytes_shared + edge.bytes_copied < nbytes + 300 * COUNT
        assert edge.bytes_copied < 0.05 * nbytes  # arrays below 32 KiB, and what describes the rest


def test_slots_are_those_of_who_makes_arrays_and_few(outcome: Outcome) -> None:
    for source, target in (("source.out", "forward"), ("double.out", "doubles")):
        assert 10 < outcome.edge(source, target).slots <= 4 * CLASSES
    for target in ("half", "double"):
        edge = outcome.edge("forward.out", target)
        assert (edge.slots, edge.slot_waits) == (0, 0)

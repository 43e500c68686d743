"""What the easy way gets wrong: floods, stalls, lost frames, units larger than their edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.telemetry.report import Status
from tests.executors.running import EXECUTORS, Outcome, run

pytestmark = pytest.mark.processes


def succeeded(outcome: Outcome) -> None:
    assert outcome.report.errors == ()
    assert outcome.report.ledger.findings == ()
    assert outcome.report.run.status is Status.SUCCEEDED


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_zip_pairs_more_results_of_one_item_than_its_edges_hold(
    tmp_path: Path, executor: str, replicas: int
) -> None:
    stages: dict[str, Any] = {
        "source": {"call": "shapes:numbers", "with": {"stop": 3}},
        "many": {
            "call": "shapes:so_many",
            "inputs": "source",
            "with": {"count": 50},
            "replicas": replicas,
        },
        "even": {"call": "shapes:keep_even", "inputs": {"from": "many", "capacity": 2}},
        "late": {"call": "shapes:from_30_on", "inputs": {"from": "many", "capacity": 2}},
        "pair": {
            "call": "shapes:pair",
            "inputs": {
                "left": {"from": "even", "capacity": 1},
                "right": {"from": "late", "capacity": 1},
            },
        },
        "sink": {"keep": "pair"},
        "alone": {"keep": "pair.unmatched"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == [[n, n] for n in range(30, 50, 2)] * 3
    assert sorted(outcome.items("alone")) == sorted([*range(0, 30, 2), *range(31, 50, 2)] * 3)

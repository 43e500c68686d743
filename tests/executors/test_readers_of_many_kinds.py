"""A port whose readers get different items of it: all of them, those of a key, every replica's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.executors.judging import succeeded
from tests.executors.running import run
from tests.executors.stages import kinds

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("executor", ["local", "inline"])
@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("capacity", [1, 3, 256])
def test_readers_by_key_and_of_everything_get_their_items_in_order(
    tmp_path: Path, executor: str, replicas: int, capacity: int
) -> None:
    def reader(**settings: Any) -> dict[str, Any]:
        edge = {"from": "of", "capacity": capacity}
        return {"call": "kinds:told", "inputs": edge, **settings}

    stages = {
        "source": {"use": "range", "with": {"stop": 120}},
        "of": {"call": "kinds:of", "inputs": "source", "replicas": replicas},
        "all": reader(),
        "keyed": reader(replicas=2, partition={"key": "type(item).__name__"}),
        "everyone": reader(replicas=2, partition="broadcast"),
        "sink": {"keep": "all"},
        "keyed-sink": {"keep": "keyed"},
        "everyones-sink": {"keep": "everyone"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    items = [(number, kinds.of(number)) for number in range(120)]
    expected = [((0, number), kinds.told(item)) for number, item in items if item is not None]
    assert outcome.kept["sink"] == expected
    assert outcome.kept["keyed-sink"] == expected
    assert sorted(outcome.kept["everyones-sink"]) == sorted(2 * expected)

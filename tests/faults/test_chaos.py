"""A process of the map is killed again and again: nothing is lost, nothing comes twice.

``PIPEFLOW_LONG=1`` takes a million items and 20 s; ``python -m tests.faults.chaos`` many seeds.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.chaos import run

pytestmark = pytest.mark.processes

LONG = os.environ.get("PIPEFLOW_LONG") == "1"


@pytest.mark.timeout(600 if LONG else 120)
def test_each_item_is_in_each_sink_once_and_in_order_or_a_dead_letter(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # pytest shows it if this fails
    items, seconds = (1_000_000, 20.0) if LONG else (20_000, 2.0)

    chaos = run(tmp_path, seed, items=items, seconds=seconds)

    assert chaos.problems(items) == []
    assert chaos.kills > 0
    (work,) = (stage for stage in chaos.report["stages"] if stage["name"] == "map")
    assert work["received"] == items

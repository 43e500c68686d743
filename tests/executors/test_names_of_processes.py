"""``ps -e`` and ``top`` tell workers apart: each process bears the name of its stage."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.executors.running import run

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names of processes"),
]


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_a_worker_has_the_name_of_its_stage_and_of_its_replica(
    tmp_path: Path, start_method: str
) -> None:
    (tmp_path / "own.py").write_text(
        "from pathlib import Path\n\n"
        "def name(_):\n"
        "    return Path('/proc/self/comm').read_text().strip()\n"
    )
    stages = {
        "numbers": {"use": "range", "with": {"stop": 1}},
        "alone": {"call": "own:name", "inputs": "numbers"},
        "one": {"keep": "alone"},
        "with-a-very-long-name": {
            "call": "own:name",
            "inputs": "numbers",
            "replicas": 2,
            "partition": "broadcast",
        },
        "several": {"keep": "with-a-very-long-name"},
    }

    outcome = run(tmp_path, stages, "local", start_method=start_method)

    assert outcome.items("one") == ["alone"]
    assert sorted(outcome.items("several")) == ["with-a-very-[0]", "with-a-very-[1]"]

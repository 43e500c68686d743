"""What is handed to packages that pipeflow is compared with; none of them is needed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import jobs
from tests.benchmarks.model import NotAvailable
from tests.benchmarks.peers import dora_driver, shmpipeline_driver


def test_each_worker_of_a_step_is_a_node_of_doras_and_no_reader_lets_items_drop(
    tmp_path: Path,
) -> None:
    chain = jobs.burn(str(tmp_path), count=4, steps=1)

    source, *steps, sink = dora_driver.dataflow(chain, tmp_path)["nodes"]

    assert source["outputs"] == ["step-0", "step-1"]
    assert [step["inputs"]["item"]["source"] for step in steps] == [
        "source/step-0",
        "source/step-1",
    ]
    assert sorted(sink["inputs"]) == ["step-0", "step-1"]
    inputs = [each for node in (*steps, sink) for each in node["inputs"].values()]
    assert {each["queue_policy"] for each in inputs} == {"backpressure"}


def test_shmpipeline_is_asked_for_arrays_only(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match="arrays of one shape, not of objects"):
        shmpipeline_driver.run(jobs.dicts(str(tmp_path), count=4))

"""What of ours the launch server loads for the workers, as soon as the file is read."""

from __future__ import annotations

from typing import Any

import pytest

import pipeflow
from pipeflow.planner.make import make_plan
from pipeflow.planner.plan import Machine
from pipeflow.runtime.launch.sharing import expected_modules
from pipeflow.runtime.loading import load_for

OPERATORS = {"pipeflow.stages.declare", "pipeflow.stages.registry"}
KEYS = {"pipeflow.stages.expression", "pipeflow.stages.keys"}

OWN: dict[str, Any] = {"call": "textwrap:wrap", "with": {"text": "a b"}}
WORK = {"call": "textwrap:dedent", "inputs": "first"}


@pytest.mark.parametrize(
    ("stages", "needed"),
    [
        ({"first": OWN, "work": WORK}, set()),
        ({"first": {"use": "range", "with": {"stop": 3}}, "work": WORK}, OPERATORS),
        ({"first": OWN, "work": {**WORK, "replicas": 2, "partition": {"key": "item"}}}, KEYS),
        ({"first": OWN, "work": {"use": "print", "inputs": "first", "enabled": False}}, set()),
    ],
)
def test_the_server_loads_what_the_stages_need_and_a_worker_the_same(
    stages: dict[str, Any], needed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = pipeflow.load({"stages": stages})
    loaded: list[str] = []
    monkeypatch.setattr("pipeflow.runtime.loading.importlib.import_module", loaded.append)

    load_for(make_plan(pipeline, Machine(cores=2, memory=2**30)))

    assert set(expected_modules(pipeline)) == set(loaded) == needed

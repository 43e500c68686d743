"""What the workers of a plan share, and when each has an interpreter of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeflow
from pipeflow.planner.plan import Plan
from pipeflow.runtime.launch.imports import ImportsOf
from pipeflow.runtime.launch.sharing import Sharing, expected_preload, plan_sharing
from pipeflow.values import replace

PURE = "import json\n\ndef work(x): return x\n"
WITH_PACKAGE = "import numpy\n\ndef work(x): return x\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes three stages of which the middle one has this code, in two replicas."""

    def write(code: str = PURE, **settings: Any) -> Path:
        (tmp_path / "ends.py").write_text("def numbers(): return range(4)\ndef keep(x): ...\n")
        (tmp_path / "middle.py").write_text(code, encoding="utf-8")
        middle = {"call": "middle:work", "inputs": "first", "replicas": 2, **settings}
        stages = {
            "first": {"call": "ends:numbers"},
            "middle": middle,
            "last": {"call": "ends:keep", "inputs": "middle"},
        }
        file = tmp_path / "p.yaml"
        file.write_text(json.dumps({"stages": stages}), encoding="utf-8")
        return file

    return write


def planned(file: Path, *, cores: int = 2) -> Plan:
    return replace(pipeflow.plan(file), cores=cores)


def shared(plan: Plan, *, must_share: bool = False) -> Sharing:
    return plan_sharing(plan, ImportsOf(plan.folder, sys.path), must_share=must_share)


def test_replicas_that_can_fill_the_cores_with_pure_python_are_programs_of_their_own(
    write: Callable[..., Path],
) -> None:
    sharing = shared(planned(write()))

    assert sharing.preload is None
    assert sharing.apart == {0, 1, 2, 3}


def test_before_there_is_a_plan_nothing_is_imported_for_them(write: Callable[..., Path]) -> None:
    pipeline = pipeflow.load(write())

    assert expected_preload(pipeline, ImportsOf(pipeline.folder, sys.path)) is None


def test_who_has_asked_for_forked_workers_gets_them(write: Callable[..., Path]) -> None:
    file = write()
    pipeline = pipeflow.load(file)
    imports_of = ImportsOf(pipeline.folder, sys.path)

    sharing = shared(planned(file), must_share=True)

    assert not sharing.apart
    assert sharing.preload is not None
    assert sharing.preload == expected_preload(pipeline, imports_of, must_share=True)


def test_workers_that_share_a_package_are_forked(write: Callable[..., Path]) -> None:
    sharing = shared(planned(write(WITH_PACKAGE)))

    assert not sharing.apart
    assert sharing.preload is not None


@pytest.mark.parametrize(
    ("settings", "cores"),
    [
        pytest.param({"replicas": 1}, 2, id="one worker a stage"),
        pytest.param({"replicas": 2}, 1, id="more replicas than cores"),
        pytest.param({"replicas": 4}, 2, id="far more replicas than cores"),
        pytest.param({"replicas": 2, "on_error": "skip"}, 2, id="too many processes to start"),
    ],
)
def test_workers_are_forked_if_replicas_cannot_fill_the_cores_or_too_many_would_have_to_start(
    write: Callable[..., Path], settings: dict[str, Any], cores: int
) -> None:
    sharing = shared(planned(write(**settings), cores=cores))

    assert not sharing.apart

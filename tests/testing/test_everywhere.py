"""``assert_same_everywhere``: a pipeline by every executor, held against itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeflow.errors import UsageError
from pipeflow.testing import assert_same_everywhere

pytestmark = pytest.mark.processes

CODE = """
import os
import pipeflow
import numpy as np
from dataclasses import dataclass

@dataclass
class Point:
    x: int
    y: float

def numbers(stop):
    return range(stop)

def point(x):
    return Point(x, pipeflow.rng().random())

def array(x):
    return np.full(3, x / 0 if False else float("nan") if x == 1 else x)

def fails(x):
    if x == 3:
        raise ValueError("on purpose")
    return x

def pid(x):
    return os.getpid()

def save(x):
    raise AssertionError("sinks do not run")

def both(a, b):
    raise AssertionError("sinks do not run")
"""


def write(folder: Path, **stages: Any) -> Path:
    (folder / "same.py").write_text(CODE)
    source = {"call": "same:numbers", "with": {"stop": 6}}
    file = folder / "p.yaml"
    file.write_text(json.dumps({"stages": {"source": source, **stages}}))
    return file


def stage(name: str, inputs: Any = "source", **more: Any) -> dict[str, Any]:
    return {"call": f"same:{name}", "inputs": inputs, **more}


def test_what_reaches_sinks_is_the_same_and_is_given_back(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        point=stage("point", replicas=3),
        array=stage("array"),
        ok=stage("fails", on_error="dead_letter"),
        save=stage("save", ["point", "array"]),
        both=stage("both", {"a": "point", "b": "array"}),
        letters={"use": "jsonl.write", "inputs": "ok.errors", "with": {"path": "never.jsonl"}},
    )

    came = assert_same_everywhere(file, seed=5)

    assert set(came) == {
        "point -> save",
        "array -> save",
        "point, array -> both",
        "ok",
        "ok.errors -> letters",
    }
    assert [point.x for point in came["point -> save"]] == list(range(6))
    assert np.isnan(came["array -> save"][1]).all()
    assert came["ok"] == [0, 1, 2, 4, 5]
    assert [letter["item"] for letter in came["ok.errors -> letters"]] == [3]
    assert list(came["point, array -> both"][0]) == ["a", "b"]


def test_where_they_differ_it_says_so(tmp_path: Path) -> None:
    file = write(tmp_path, pid=stage("pid"))

    with pytest.raises(AssertionError, match=r"'pid', item 0: inline gives \d+ \(id 0.0\), local"):
        assert_same_everywhere(file)


def test_runs_that_fail_alike_are_the_same(tmp_path: Path) -> None:
    file = write(tmp_path, ok=stage("fails"))

    assert_same_everywhere(file)


def test_behind_a_merge_the_order_is_left_out(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        one=stage("fails", on_error="skip", replicas=2),
        two=stage("fails", on_error="skip", ordered=False, replicas=2),
        merged=stage("fails", ["one", "two"]),
    )

    assert sorted(assert_same_everywhere(file)["merged"]) == sorted([0, 1, 2, 4, 5] * 2)


@pytest.mark.parametrize(
    ("top", "more", "words"),
    [
        ({}, {"inputs": {"from": "source", "overflow": "drop_oldest"}}, "drops items"),
        ({"shared": {"x": {"type": "dict"}}}, {"with": {"y": "${shared.x}"}}, "shared state"),
    ],
)
def test_what_arrival_decides_is_refused(
    tmp_path: Path, top: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    file = write(tmp_path, work=stage("fails") | more)
    told = json.loads(file.read_text())
    (tmp_path / "same.py").write_text(CODE + "\ndef fails(x, **more): return x\n")
    file.write_text(json.dumps(told | top))

    with pytest.raises(UsageError, match=words):
        assert_same_everywhere(file)

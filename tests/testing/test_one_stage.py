"""``pipeflow.testing`` for authors of stages: one stage on a list, shared state, a clock."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeflow
from pipeflow import testing
from pipeflow.errors import InvalidPipeline, StageFailed
from pipeflow.testing import FakeClock, run_stage, shared_state


def square(x: int) -> int | None:
    return x * x if x else None


def numbers(stop: int) -> Iterator[int]:
    yield from range(stop)


def saved(item: str, folder: Path) -> str:
    return f"{type(folder).__name__}:{item}"


def write_into(item: Any) -> Any:
    item[0] = 1
    return item


@pipeflow.stream
def pairs(xs: Iterator[int], by: int = 2) -> Iterator[list[int]]:
    kept: list[int] = []
    for x in xs:
        kept.append(x)
        if len(kept) == by:
            yield kept
            kept = []


class Sum:
    def __init__(self, start: int) -> None:
        self.total = start
        self.closed = False

    def __call__(self, x: int) -> Any:
        self.total += x
        return pipeflow.to("odd", x) if x % 2 else None

    def finish(self) -> Iterator[int]:
        yield self.total


def broken(x: int) -> int:
    if x == 2:
        raise ValueError("on purpose")
    return x


def blend(left: int, right: int) -> int:
    return 10 * left + right


def test_what_a_function_gives_is_a_list_with_ids() -> None:
    got = run_stage(square, [1, 0, 3])

    assert got == [1, 9]
    assert got.ids == ("items:0", "items:2")
    assert {stage.name: stage.empty for stage in got.report.stages}["square"] == 1


def test_every_form_of_a_stage_runs_as_pipeflow_runs_it() -> None:
    assert run_stage(numbers, stop=3) == [0, 1, 2]
    assert run_stage(pairs, [1, 2, 3, 4], by=2) == [[1, 2], [3, 4]]
    assert run_stage(saved, ["a"], folder="out") == [f"{type(Path()).__name__}:a"]
    assert run_stage(lambda x: iter([x, x]), [5]) == [5, 5]
    assert run_stage(blend, {"left": [1, 2], "right": [3, 4]}) == [13, 24]


def test_other_ports_and_the_end_are_there_too() -> None:
    got = run_stage(Sum, [1, 2, 3], {"outputs": ["odd"]}, start=10)

    assert got == [16]
    assert got.ports["odd"] == [1, 3]


def test_an_array_is_read_only_as_in_a_run() -> None:
    with pytest.raises(StageFailed, match="arrays are shared, so read-only"):
        run_stage(write_into, [np.zeros(3)])


def test_what_a_stage_raises_is_told_with_its_own_traceback() -> None:
    with pytest.raises(StageFailed, match="stage 'broken', item items:1: ValueError") as caught:
        run_stage(broken, [1, 2])

    assert 'raise ValueError("on purpose")' in caught.value.__notes__[0]


def test_settings_of_a_stage_hold() -> None:
    got = run_stage(broken, [1, 2, 3], {"on_error": "dead_letter", "replicas": 2})

    assert got == [1, 3]
    assert [letter["id"] for letter in got.ports["errors"]] == ["items:1"]
    with pytest.raises(InvalidPipeline, match="did you mean 'replicas'"):
        run_stage(square, [1], {"replica": 2})


def test_a_missing_parameter_is_told_as_in_a_run() -> None:
    with pytest.raises(StageFailed, match="missing a required argument: 'folder'"):
        run_stage(saved, ["a"])


def test_a_stage_of_a_test_leaves_nothing_behind() -> None:
    before = list(sys.path)

    run_stage(square, [1])

    assert sys.path == before


def test_shared_state_is_as_in_a_run() -> None:
    def count(x: int, total: Any, seen: Any) -> None:
        with total:
            total.value += x
        seen[x] = seen.get(x, 0) + 1

    total, seen = shared_state("value"), shared_state("dict", name="seen")

    assert run_stage(count, [1, 2, 2], {"replicas": 2}, total=total, seen=seen) == []
    assert (total.value, seen) == (5, {1: 1, 2: 2})
    assert shared_state("array", shape=3, dtype="float32", value=1).array.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="there is no element type 'flaot32'"):
        shared_state("array", dtype="flaot32")


def test_a_clock_stands_still_until_it_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(start=100.0)

    clock.sleep(2)
    clock.advance(0.5)

    assert (clock.time(), clock.monotonic(), clock.perf_counter_ns()) == (102.5, 2.5, 2_500_000_000)
    assert clock.sleeps == [2]
    with pytest.raises(ValueError, match="time only grows"):
        clock.advance(-1)


def test_the_public_names_are_there() -> None:
    assert all(hasattr(testing, name) for name in testing.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'run_stages'"):
        _ = testing.run_stages

"""What ``inline`` gives is what plain Python says: the other executors are measured by it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.executors.running import run
from tests.executors.stages import graphs

Row = tuple[tuple[int, ...], int]

#: Name of a function to how its failures are met.
FUNCTIONS = {
    "affine": "stop",
    "sift": "stop",
    "fan": "stop",
    "fail": "skip",
    "fan_and_fail": "skip",
}


def applied(call: str, by: int, rows: list[Row]) -> Iterator[Row]:
    """A function at work, item by item."""
    function: Callable[[Any, int], Any] = getattr(graphs, call)
    for item, number in rows:
        try:
            result = function(number, by)
            if isinstance(result, Iterator):
                for place, each in enumerate(result):
                    yield (*item, place), each
            elif result is not None:
                yield item, result
        except ValueError:
            continue


def streamed(call: str, stage: int, rows: list[Row]) -> Iterator[Row]:
    """A stream function at work: it counts its results anew."""
    results = getattr(graphs, call)(iter([number for _, number in rows]))
    for place, result in enumerate(results):
        yield (stage, place), result


def summed(stage: int, rows: list[Row]) -> Iterator[Row]:
    """A class that keeps state, and says more at the end."""
    sums = graphs.Sums()
    for item, number in rows:
        result = sums(number)
        if result is not None:
            yield item, result
    for place, result in enumerate(sums.finish()):
        yield (stage, place), result


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[*HealthCheck])
@given(
    stop=st.integers(0, 40),
    steps=st.lists(
        st.tuples(
            st.sampled_from([*FUNCTIONS, *FUNCTIONS, "running", "in_pairs", "Sums"]),
            st.integers(0, 4),
            st.integers(1, 3),
            st.sampled_from([1, 2, 256]),
        ),
        max_size=6,
    ),
)
def test_a_chain_gives_what_plain_python_gives_ids_included(
    stop: int, steps: list[tuple[str, int, int, int]]
) -> None:
    rows: list[Row] = [((0, number), number) for number in range(stop)]
    stages: dict[str, Any] = {
        "source": {"call": "graphs:numbers", "with": {"stop": stop, "kind": "number", "size": 1}}
    }
    last = "source"
    for place, (call, by, replicas, capacity) in enumerate(steps, 1):
        stage: dict[str, Any] = {
            "call": f"graphs:{call}",
            "inputs": {"from": last, "capacity": capacity},
        }
        if call in FUNCTIONS:
            stage |= {"with": {"by": by}, "replicas": replicas, "on_error": FUNCTIONS[call]}
            rows = list(applied(call, by, rows))
        elif call == "Sums":
            rows = list(summed(place, rows))
        else:
            rows = list(streamed(call, place, rows))
        last = f"s{place}"
        stages[last] = stage
    stages["sink"] = {"keep": last, "call": "graphs:Note"}

    assert noted(stages) == rows


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[*HealthCheck])
@given(
    stop=st.integers(0, 40),
    ways=st.tuples(*[st.lists(st.sampled_from(["affine", "sift", "fail"]), max_size=2)] * 2),
    replicas=st.integers(1, 3),
)
def test_a_zip_pairs_what_both_ways_let_through(
    stop: int, ways: tuple[list[str], list[str]], replicas: int
) -> None:
    stages: dict[str, Any] = {
        "source": {"call": "graphs:numbers", "with": {"stop": stop, "kind": "number", "size": 1}}
    }
    sides: list[tuple[str, dict[tuple[int, ...], int]]] = []
    for side, calls in enumerate(ways):
        last = "source"
        rows: list[Row] = [((0, number), number) for number in range(stop)]
        for call in calls:
            name = f"s{len(stages)}"
            stages[name] = {
                "call": f"graphs:{call}",
                "inputs": last,
                "with": {"by": side},
                "on_error": FUNCTIONS[call],
            }
            last, rows = name, list(applied(call, side, rows))
        sides.append((last, dict(rows)))
    (left_name, left), (right_name, right) = sides
    inputs = {"left": left_name, "right": right_name}
    stages["zip"] = {"call": "graphs:combine", "inputs": inputs, "replicas": replicas}
    stages["sink"] = {"keep": "zip", "call": "graphs:Note"}

    assert noted(stages) == [
        (item, graphs.combine(number, right[item]))
        for item, number in left.items()
        if item in right
    ]


def noted(stages: dict[str, Any]) -> list[Row]:
    """What reaches the sink, by ``inline``; and the ledger balances."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder), stages, "inline")
    assert outcome.report.errors == ()
    assert outcome.report.ledger.findings == ()
    return outcome.kept["sink"]

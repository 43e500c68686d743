from __future__ import annotations

from typing import Any

import pipeflow
from pipeflow.runtime.flow.gaps import leave_gaps

NUMBERS = {"use": "range", "with": {"stop": 9}}


def mapped(inputs: Any, **settings: Any) -> dict[str, Any]:
    return {"use": "map", "with": {"expr": "item"}, "inputs": inputs, **settings}


def gaps_behind(stages: dict[str, Any]) -> dict[str, list[str]]:
    """For each edge, the stages that may leave gaps on it; where there are none it is left out."""
    plan = pipeflow.plan({"stages": {"all": NUMBERS, **stages}})
    found = {
        f"{plan.stages[edge.source].name}.{edge.port} > {plan.stages[edge.target].name}": [
            plan.stages[number].name for number in sorted(leave_gaps(plan, edge))
        ]
        for edge in plan.edges
    }
    return {way: names for way, names in found.items() if names}


def test_letters_of_replicas_may_have_gaps_as_far_as_their_units_are_kept() -> None:
    stages = {
        "work": mapped("all", replicas=2, on_error="dead_letter"),
        "sink": {"use": "null", "inputs": "work"},
        "letters": mapped("work.errors", replicas=3),
        "one": mapped("letters"),
        "three": mapped("one", replicas=3),
        "end": {"use": "null", "inputs": "three"},
    }

    assert gaps_behind(stages) == {
        "work.errors > letters": ["work"],
        "letters.out > one": ["work"],
    }


def test_replicas_that_zip_by_position_may_leave_gaps_on_every_port() -> None:
    stages = {
        "others": NUMBERS,
        "pair": {
            "call": "builtins:complex",
            "inputs": {"real": "all", "imag": "others"},
            "replicas": 2,
        },
        "sink": {"use": "null", "inputs": "pair"},
        "lone": {"use": "null", "inputs": "pair.unmatched"},
    }

    assert gaps_behind(stages) == {"pair.out > sink": ["pair"], "pair.unmatched > lone": ["pair"]}


def test_letters_of_one_worker_have_none() -> None:
    stages = {
        "work": mapped("all", on_error="dead_letter"),
        "sink": {"use": "null", "inputs": "work"},
        "letters": mapped("work.errors", replicas=3),
        "end": {"use": "null", "inputs": "letters"},
    }

    assert gaps_behind(stages) == {}


def test_nor_have_those_of_replicas_that_each_see_every_unit() -> None:
    stages = {
        "work": mapped("all", replicas=2, partition={"key": "item % 5"}, on_error="dead_letter"),
        "sink": {"use": "null", "inputs": "work"},
        "end": {"use": "null", "inputs": "work.errors"},
    }

    assert gaps_behind(stages) == {}


def test_letters_of_letters_may_lack_units_of_both() -> None:
    stages = {
        "work": mapped("all", replicas=2, on_error="dead_letter"),
        "sink": {"use": "null", "inputs": "work"},
        "letters": mapped("work.errors", replicas=2, on_error="dead_letter"),
        "saved": {"use": "null", "inputs": "letters"},
        "end": {"use": "null", "inputs": "letters.errors"},
    }

    assert gaps_behind(stages)["letters.errors > end"] == ["work", "letters"]

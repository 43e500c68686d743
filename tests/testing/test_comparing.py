from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeflow.errors import Location
from pipeflow.spec.pipeline import Expected, PortRef
from pipeflow.testing.comparing import Difference, differences


class Size(Enum):
    SMALL = "small"


@dataclass
class Box:
    name: Size
    corner: tuple[int, int]


def at(line: int) -> Location:
    return Location("p.yaml", line, 9)


def compared(came: Sequence[object], **expected: Any) -> list[Difference]:
    places = {key: at(number) for number, key in enumerate(("count", "contains", "each"), 4)}
    stated = Expected(port=PortRef("shrink"), at=at(2), value_at=at(3), part_at=places, **expected)
    return differences(stated, came, {"width": 2}, "emitted")


@pytest.mark.parametrize(
    ("came", "written"),
    [
        ([1, 2.0, "a", None, True], (1, 2, "a", None, True)),
        ([Path("a/b.jpg")], ("a/b.jpg",)),
        ([np.arange(3), np.float64(0.5)], ([0, 1, 2], 0.5)),
        ([Box(Size.SMALL, (1, 2))], ({"name": "small", "corner": [1, 2]},)),
        ([{"b": 1, "a": (2,)}], ({"a": [2], "b": 1},)),
        ([float("nan")], (float("nan"),)),
        ([], ()),
    ],
)
def test_items_are_compared_as_they_would_stand_in_a_file(
    came: list[object], written: tuple[object, ...]
) -> None:
    assert compared(came, items=written) == []


@pytest.mark.parametrize(
    ("came", "written"),
    [([True], (1,)), ([1], ("1",)), ([1, 2], (2, 1)), ([[1]], ([1, 2],)), ([{"a": 1}], ({},))],
)
def test_other_items_are_a_difference(came: list[object], written: tuple[object, ...]) -> None:
    (found,) = compared(came, items=written)

    assert found.at == at(3)


def test_a_difference_shows_what_was_expected_and_what_came() -> None:
    (found,) = compared(["a", "x", "c"], items=("a", "b", "c"))

    assert found.problem == "'shrink': 1 of 3 items is not as expected"
    assert found.lines == ('  "a"', '- "b"', '+ "x"', '  "c"')


def test_too_few_items_are_counted() -> None:
    (found,) = compared(["a"], items=("a", "b"))

    assert found.problem == "'shrink' emitted 1 item, expected 2"
    assert found.lines == ('  "a"', '- "b"')


def test_each_form_of_an_expectation_is_judged_at_its_own_place() -> None:
    found = compared([1, 2, 3], count=2, contains=(3, 3), each="item <= params.width")

    assert [(each.at.line, each.problem) for each in found] == [
        (4, "'shrink' emitted 3 items, expected 2"),
        (5, "'shrink' emitted 3 items, and 1 item that should be among them did not come"),
        (6, "'shrink': 'each' does not hold for 1 of 3 items"),
    ]
    assert compared([1, 2], count=2, contains=(2, 1), each="item <= params.width") == []


def test_an_expression_that_raises_does_not_hold() -> None:
    (found,) = compared(["a"], each="item > 1")

    assert found.lines[0].startswith("raised TypeError: ")


def test_long_differences_are_cut() -> None:
    (found,) = compared(list(range(100)), items=())

    assert len(found.lines) == 41
    assert found.lines[-1] == "… and 60 more lines"

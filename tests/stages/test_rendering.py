"""Items as text."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from pipeflow.stages.rendering import aligned, json_text, utf8


class Color(Enum):
    RED = "red"


@dataclass
class Box:
    left: int
    color: Color


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"a": [1, None, True, "ä"]}, '{"a": [1, null, true, "ä"]}'),
        (Path("a/b"), '"a/b"'),
        (dt.datetime(2024, 5, 1, tzinfo=dt.UTC), '"2024-05-01T00:00:00+00:00"'),
        (dt.date(2024, 5, 1), '"2024-05-01"'),
        (dt.timedelta(seconds=1.5), "1.5"),
        (np.int64(3), "3"),
        (np.float32(0.5), "0.5"),
        (np.True_, "true"),
        (np.arange(4).reshape(2, 2), "[[0, 1], [2, 3]]"),
        (np.datetime64("2024-05-01T00:00", "ns"), "1714521600000000000"),
        (b"a\xff", '"a\\\\xff"'),
        ({3, 1, 2}, "[1, 2, 3]"),
        (frozenset({"a", 1}), '[1, "a"]'),
        (Box(1, Color.RED), '{"left": 1, "color": "red"}'),
        (Decimal("1.10"), '"1.10"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (MappingProxyType({"a": 1}), '{"a": 1}'),
        ({2: "a", None: "b", True: "c"}, '{"2": "a", "null": "b", "true": "c"}'),
        ({(1, "a"): 1, Path("p"): 2, np.int64(3): 4}, '{"[1, \\"a\\"]": 1, "p": 2, "3": 4}'),
        ([{(1,): Box(1, Color.RED)}], '[{"[1]": {"left": 1, "color": "red"}}]'),
    ],
)
def test_an_item_is_one_line_of_json(item: Any, expected: str) -> None:
    text = json_text(item)

    assert text == expected
    json.loads(text)


def test_an_object_without_a_form_is_refused_or_shown() -> None:
    with pytest.raises(TypeError, match=r"type builtins\.complex_thing|cannot be written as JSON"):
        json_text({"a": [json]})

    assert json_text({"a": len}, lenient=True) == '{"a": "<built-in function len>"}'
    assert json_text({(1, len): 1}, lenient=True) == '{"[1, \\"<built-in function len>\\"]": 1}'


def test_half_a_surrogate_pair_becomes_an_escape_that_json_reads() -> None:
    line = utf8(json_text("\udc80"))

    assert json.loads(line) == "\udc80"


def test_a_table_sets_numbers_right_and_the_rest_left() -> None:
    rows: list[Any] = [{"n": 1, "t": "aa", "f": 1.5}, {"n": 10, "t": True, "f": np.float64(2)}]

    assert aligned(rows) == [
        " n  t       f",
        "--  ----  ---",
        " 1  aa    1.5",
        "10  True  2.0",
    ]


def test_an_item_that_has_no_form_is_no_circle_the_next_time() -> None:
    inner: list[object] = [object()]
    item = {"inner": inner}

    with pytest.raises(TypeError):
        json_text(item)
    inner[0] = 1

    assert json_text(item) == '{"inner": [1]}'
    inner[0] = item
    with pytest.raises(ValueError, match="Circular reference"):
        json_text(item)

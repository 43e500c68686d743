"""From YAML values to annotated types."""

from __future__ import annotations

import datetime as dt
import typing
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Literal, NewType, Optional, Protocol, TypedDict, Union
from uuid import UUID

import pytest

from pipeflow.spec.durations import seconds
from pipeflow.stages.convert import convert, hints_of, type_name

if typing.TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]  # what a checker alone would see


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Box:
    left: int
    top: int = 0
    color: Color = Color.RED


@dataclass
class Layout:
    boxes: list[Box]
    folder: Path = field(default_factory=Path)


class Options(TypedDict, total=False):
    folder: Path


class Runs(Protocol):
    def run(self) -> None: ...


Name = NewType("Name", str)

FITS: list[tuple[Any, Any, Any]] = [
    (3, int, 3),
    (3, float, 3.0),
    (2.5, float, 2.5),
    (True, bool, True),
    ("x", str, "x"),
    ("x", Any, "x"),
    ([1, "a"], object, [1, "a"]),
    ("a/b", Path, Path("a/b")),
    ("red", Color, Color.RED),
    ("BLUE", Color, Color.BLUE),
    (2, Level, Level.HIGH),
    ("HIGH", Level, Level.HIGH),
    ("fast", Literal["fast", "slow"], "fast"),
    (1, Literal[True, 1], 1),
    ("2024-05-01T12:30:00Z", dt.datetime, dt.datetime(2024, 5, 1, 12, 30, tzinfo=dt.UTC)),
    ("2024-05-01", dt.date, dt.date(2024, 5, 1)),
    ("12:30", dt.time, dt.time(12, 30)),
    ("50ms", dt.timedelta, dt.timedelta(milliseconds=50)),
    ("2s", dt.timedelta, dt.timedelta(seconds=2)),
    ("5m", dt.timedelta, dt.timedelta(minutes=5)),
    ("1h", dt.timedelta, dt.timedelta(hours=1)),
    ("1h30m", dt.timedelta, dt.timedelta(minutes=90)),
    (0.05, dt.timedelta, dt.timedelta(milliseconds=50)),
    (None, Optional[int], None),  # noqa: UP045 - authors still write it
    (4, Optional[int], 4),  # noqa: UP045
    ("8", int | str, "8"),
    (8, Union[str, int], 8),  # noqa: UP007 - likewise
    ("a", Path | None, Path("a")),
    ("a", Path | str, "a"),
    (None, None, None),
    ([1, 2], list[int], [1, 2]),
    (["a"], typing.Sequence[Path], [Path("a")]),
    ([3, 4], tuple[int, int], (3, 4)),
    ([3, 4, 5], tuple[int, ...], (3, 4, 5)),
    ([3, "a"], tuple, (3, "a")),
    (["red", "red"], set[Color], {Color.RED}),
    (["a"], frozenset[str], frozenset({"a"})),
    ({"a": "b"}, dict[str, Path], {"a": Path("b")}),
    ({"a": 1}, typing.Mapping[str, int], {"a": 1}),
    ({"left": 3, "color": "blue"}, Box, Box(3, 0, Color.BLUE)),
    ({"boxes": [{"left": 1}], "folder": "x"}, Layout, Layout([Box(1)], Path("x"))),
    ({"folder": "x"}, Options, {"folder": Path("x")}),
    ("1.10", Decimal, Decimal("1.10")),
    ("12345678-1234-5678-1234-567812345678", UUID, UUID("12345678-1234-5678-1234-567812345678")),
    ("n", Name, "n"),
    ("a", typing.Annotated[Path, "where"], Path("a")),
    ("a", "unresolved", "a"),
    ({"a": 1}, Runs, {"a": 1}),
]


@pytest.mark.parametrize(("value", "annotation", "expected"), FITS)
def test_a_value_becomes_the_annotated_type(value: Any, annotation: Any, expected: Any) -> None:
    result = convert(value, annotation, "p")

    assert result == expected
    assert type(result) is type(expected)


MISFITS: list[tuple[Any, Any, str]] = [
    ("12", int, "parameter 'p' takes int, but got the text '12'"),
    (True, int, "parameter 'p' takes int, but got the boolean True"),
    (1.5, int, "parameter 'p' takes int, but got the number 1.5"),
    (True, float, "parameter 'p' takes float, but got the boolean True"),
    (1, bool, "parameter 'p' takes bool (true or false), but got the whole number 1"),
    (3, str, "parameter 'p' takes str, but got the whole number 3"),
    (None, str, "parameter 'p' takes str, but got null"),
    (3, Path, "parameter 'p' takes Path, but got the whole number 3"),
    ("green", Color, "parameter 'p' takes Color (one of red, blue), but got the text 'green'"),
    ("x", Literal["a", 1], "parameter 'p' takes one of 'a', 1, but got the text 'x'"),
    (True, Literal[1], "parameter 'p' takes one of 1, but got the boolean True"),
    ("soon", dt.timedelta, "parameter 'p' takes timedelta (as 50ms, 2s, 5m or 1h), but got"),
    ("2024-13-45", dt.date, "parameter 'p' takes date (as 2024-05-01), but got the text"),
    ("x", int | None, "parameter 'p' takes int | None, but got the text 'x'"),
    (True, Optional[Path | int], "parameter 'p' takes"),  # noqa: UP045 - as above
    ("abc", list[str], "parameter 'p' takes list (a list), but got the text 'abc'"),
    ([1, "x"], list[int], "parameter 'p[1]' takes int, but got the text 'x'"),
    ([1], tuple[int, int], "parameter 'p' takes a tuple of 2, but got the list [1]"),
    ([[1]], set[Any], "parameter 'p' takes a set, but its list holds an unhashable type: 'list'"),
    ([], dict[str, int], "parameter 'p' takes dict (a mapping), but got the list []"),
    ({"a": "x"}, dict[str, int], "parameter 'p.a' takes int, but got the text 'x'"),
    ({"left": "x"}, Box, "parameter 'p.left' takes int, but got the text 'x'"),
    ({"lefd": 1}, Box, "parameter 'p': Box has no field 'lefd'; did you mean 'left'?"),
    ({}, Box, "parameter 'p': Box needs left"),
    (3, Box, "parameter 'p' takes Box (a mapping), but got the whole number 3"),
    ("x", bytes, "parameter 'p' takes bytes, but got the text 'x'"),
    ("x" * 99, int, "parameter 'p' takes int, but got the text 'xxxx"),
]


@pytest.mark.parametrize(("value", "annotation", "message"), MISFITS)
def test_what_does_not_fit_is_refused_by_name_and_both_types(
    value: Any, annotation: Any, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        convert(value, annotation, "p")

    assert str(caught.value).startswith(message)


def test_an_object_that_is_no_yaml_data_passes_as_it_is() -> None:
    shared = object()

    assert convert(shared, dict[str, int], "p") is shared


def test_a_hint_that_cannot_be_resolved_hides_no_other() -> None:
    def decode(item: Unknown, folder: Path, mode: Unknown) -> None: ...

    assert hints_of(decode, ["folder", "mode", "missing"]) == {"folder": Path}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50ms", 0.05), ("1.5s", 1.5), (" 2m ", 120.0), ("5", None), ("", None), ("2 weeks", None)],
)
def test_durations_bear_units(text: str, expected: float | None) -> None:
    assert seconds(text) == expected


def test_types_are_named_as_people_write_them() -> None:
    assert type_name(Path | None) == "Path | None"
    assert type_name(list[Path]) == "list[Path]"
    assert type_name(int) == "int"

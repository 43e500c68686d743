"""Values of the file against the annotations of a function, nested ones too."""

from __future__ import annotations

import pytest

from pipeflow.config.annotations import Misfit, fitted
from pipeflow.config.nodes import Node, Scalar, Seq
from pipeflow.config.reader import read_text
from pipeflow.errors import Location

BOX = "Box(width=int, label=NotRequired[str])"
COLOR = "Enum['red', 'blue', 'RED', 'BLUE']"
HERE = Location("p.yaml", 1, 1)


def value(text: str) -> Node:
    """The value of ``v: TEXT``; it begins in column 4."""
    document = read_text(f"v: {text}\n", "p.yaml")
    assert document.findings == ()
    assert document.root is not None
    node = document.root.get("v")
    assert node is not None
    return node


def from_outside(text: str) -> Scalar:
    return Scalar(at=HERE, value=text, text=text, from_text=True)


def quantity(text: str, number: float) -> Scalar:
    return Scalar(at=HERE, value=text, text=text, quantity=number)


def told(text: str, annotation: str) -> tuple[int, str]:
    """Column and words of what is wrong."""
    found = fitted(value(text), annotation)
    assert isinstance(found, Misfit)
    return found.at.column, f"{found.inside}: {found.problem}"


@pytest.mark.parametrize(
    ("text", "annotation", "fits"),
    [
        ("1", "int", True),
        ("true", "int", False),
        ("1", "float", True),
        ("50ms", "timedelta", True),
        ("10", "dt.timedelta", False),
        ("[1, a]", "list[int]", False),
        ("[1, 2]", "tuple[int, ...]", True),
        ("null", "Optional[int]", True),
        ("null", "int | None", True),
        ("null", "int", False),
        ("3", "Literal[1, 2]", False),
        ("-1", "Literal[-1]", True),
        ("x", "Color", True),
        ("x", "np.ndarray", True),
        ("x", "(((", True),
        ("1", '"str"', False),
        ("2024-13-45", "datetime", False),
        ("25:00", "time", False),
        ("abc", "bytes", False),
        ("abc", "Callable[[int], int]", False),
        ("1.5", "Decimal", True),
        ("x", "Decimal", False),
    ],
)
def test_only_sure_misfits_are_told(text: str, annotation: str, fits: bool) -> None:
    assert isinstance(fitted(value(text), annotation), Misfit) is not fits


@pytest.mark.parametrize(
    ("text", "annotation", "column", "problem"),
    [
        ("[1, x]", "list[int]", 8, '[1]: expected int, got the text "x"'),
        ("{a: 1, b: x}", "dict[str, int]", 14, '.b: expected int, got the text "x"'),
        ("{a: 1}", "dict[int, int]", 5, ': as key expected int, got the text "a"'),
        ("[1, 2]", "tuple[int, str]", 8, "[1]: expected str, got the number 2"),
        ("[1]", "tuple[int, str]", 4, ": expected tuple[int, str], got a list of 1"),
        ("{width: x}", BOX, 12, '.width: expected int, got the text "x"'),
        ("{width: 1, labl: x}", BOX, 15, ": Box has no field 'labl'"),
        ("{label: x}", BOX, 4, ": Box(width, label=...) needs 'width'"),
        (
            "[{width: 1}, {width: x}]",
            f"list[{BOX}]",
            25,
            '[1].width: expected int, got the text "x"',
        ),
        ("[1, x]", "list[int] | None", 8, '[1]: expected int, got the text "x"'),
        ("x", "int | None", 4, ': expected int or null, got the text "x"'),
    ],
)
def test_what_is_wrong_inside_a_value_is_told_at_its_own_place(
    text: str, annotation: str, column: int, problem: str
) -> None:
    assert told(text, annotation) == (column, problem)


@pytest.mark.parametrize(
    ("text", "annotation", "hint"),
    [
        ('"5"', "int", "remove the quotes"),
        ('"true"', "bool", "remove the quotes"),
        ('"5"', "bool", ""),
        ("5", "str", 'write "5" in quotes'),
        ("1.50", "Path | None", 'write "1.50" in quotes'),
        ("yes", "bool", "write true"),
        ("0", "bool", "write false"),
        ("1e3", "int", "write 1000"),
        ("1.5", "int", ""),
        ("5", "timedelta", "write 5s, 5ms or 5m"),
        ("rde", COLOR, "did you mean 'red'?"),
        ("5", "list[int]", "write [5]"),
        ("{widht: 1}", BOX, "did you mean 'width'?"),
        ("{colour: 1}", BOX, "fields: width, label"),
    ],
)
def test_a_misfit_says_what_to_write_where_that_can_be_told(
    text: str, annotation: str, hint: str
) -> None:
    found = fitted(value(text), annotation)

    assert isinstance(found, Misfit)
    assert found.hint == hint


@pytest.mark.parametrize(
    ("text", "annotation", "read"),
    [
        ("7", "int", 7),
        ("7", "Optional[int]", 7),
        ("7", "Annotated[int, 'positive']", 7),
        ("7", "str", "7"),
        ("7", "int | str", "7"),
        ("7", "", 7),
        ("7", "Any", 7),
        ("1", "Enum[1, 2, 'LOW', 'HIGH']", 1),
        ("abc", "", "abc"),
    ],
)
def test_text_from_outside_is_the_number_that_the_annotation_asks_for(
    text: str, annotation: str, read: object
) -> None:
    assert fitted(from_outside(text), annotation) == read


@pytest.mark.parametrize(
    ("annotation", "read"),
    [
        ("float", 0.05),
        ("float | None", 0.05),
        ("Optional[float]", 0.05),
        ("str", "50ms"),
        ("timedelta", "50ms"),
        ("", 0.05),
    ],
)
def test_a_duration_is_seconds_where_a_number_is_due(annotation: str, read: object) -> None:
    assert fitted(quantity("50ms", 0.05), annotation) == read


def test_texts_and_quantities_inside_lists_and_mappings_are_read_alike() -> None:
    pair = Seq(at=HERE, items=(from_outside("7"), quantity("1KiB", 1024)))

    assert fitted(pair, "list[int]") == [7, 1024]
    assert fitted(pair, "tuple[int, str]") == [7, "1KiB"]
    assert fitted(pair, "") == [7, 1024]
    assert fitted(pair, "list[str]") == ["7", "1KiB"]


def test_a_secret_is_never_shown() -> None:
    secret = Scalar(at=HERE, value="hunter2", text="hunter2", secret=True)

    found = fitted(secret, "int")

    assert isinstance(found, Misfit)
    assert "hunter2" not in found.problem + found.hint

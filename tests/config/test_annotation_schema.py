"""An annotation as schema lets in what the check of annotations lets in, and nothing else."""

from __future__ import annotations

import pytest
from jsonschema import Draft7Validator

from pipeflow.config.annotations import Misfit, fitted
from pipeflow.config.docstrings import documented
from pipeflow.config.nodes import plain
from pipeflow.config.schema.annotations import annotation_schema
from tests.config.test_annotations import BOX, COLOR, value

ANNOTATIONS = [
    *("int", "float", "str", "bool", "Path", "pathlib.Path", "None", "Any", "object", "np.ndarray"),
    *("list", "dict", "tuple", "list[int]", "Sequence[str]", "set[int]", "dict[str, int]"),
    *("tuple[int, ...]", "tuple[int, str]", "Optional[int]", "int | None", "int | str"),
    *("Union[int, list[str]]", "list[int] | None", "dict[str, list[int]]", "Annotated[int, 3]"),
    *("Literal['a', 'b']", "Literal[1, 2]", "Literal['a', 1]", "Literal['a'] | None"),
    "Literal[-1]",
    *("Literal['a'] | int", "list[Literal['a', 'b']]", "Literal[True]", "Literal['a'] | str"),
    *("timedelta", "timedelta | None", "dt.timedelta | int", "(((", "f()", "'int'"),
    '"list[int]"',
    *(BOX, COLOR, f"list[{BOX}]", f"{BOX} | None", f"{COLOR} | None", f"dict[str, {BOX}]"),
    *("Color", "list[Color]", "int | Color", "Decimal", "PathLike[str]"),
]  # fmt: skip
VALUES = [
    *("1", "-1", "1.5", "3", "true", "null", "a", "b", "c", "'1'", "red", "RED", "50ms", "10"),
    *("x", "[]", "[1]", "[1, 2]", "[a, b]", "[1, a]", "[a]", "{}", "{a: 1}", "{a: b}", "{a: [1]}"),
    *("{width: 1}", "{width: 1, label: x}", "{widht: 1}", "{label: x}", "{width: x}"),
    "[{width: 1}]",
    "{a: {width: 1}}",
]  # fmt: skip


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_schema_and_check_let_in_the_same_values(annotation: str) -> None:
    schema = annotation_schema(annotation, "it")
    Draft7Validator.check_schema(schema)
    judge = Draft7Validator(schema)

    differ = [
        text
        for text in VALUES
        if judge.is_valid(plain(value(text))) == isinstance(fitted(value(text), annotation), Misfit)
    ]

    assert differ == []


@pytest.mark.parametrize("annotation", [one for one in ANNOTATIONS if one != "None"])
def test_a_reference_may_become_any_value(annotation: str) -> None:
    judge = Draft7Validator(annotation_schema(annotation, "it"))

    only_mappings = ("dict", "Box")
    if not annotation.startswith(only_mappings):
        assert judge.is_valid("${params.x}")


GOOGLE = """Shrink it.

    More of it.

    Args:
        width: How wide,
            in pixels.
        height (int, optional): How high.

    Returns:
        Nothing of interest.
"""
NUMPY = """Shrink it.

More of it.

Parameters
----------
width : int
    How wide,
    in pixels.
height : int, optional
    How high.

Returns
-------
int
    Nothing of interest.
"""
SPHINX = """Shrink it.

More of it.

:param width: How wide,
    in pixels.
:param int height: How high.
:returns: Nothing of interest.
"""


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_a_docstring_tells_of_the_function_and_of_its_parameters(doc: str) -> None:
    found = documented((doc,))

    assert found.summary == "Shrink it.\n\nMore of it."
    assert found.parameters == {"width": "How wide, in pixels.", "height": "How high."}


@pytest.mark.parametrize(
    "doc", ["", ":param", "Args:\n:::", ":param x", "Parameters\n---\n\n", "\n"]
)
def test_a_docstring_of_no_style_is_no_failure(doc: str) -> None:
    assert documented((doc,)).parameters == {}


def test_the_parameters_of_a_class_are_told_in_either_docstring() -> None:
    found = documented(("Finds things.", "Load it.\n\n:param model: Its name."))

    assert (found.summary, found.parameters) == ("Finds things.", {"model": "Its name."})

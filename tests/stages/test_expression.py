"""Expressions over ``item``."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from pipeflow.stages.expression import compile_expression


@pytest.mark.parametrize(
    ("text", "item", "expected"),
    [
        ("item * 2", 4, 8),
        ('item["user"]', {"user": "ada"}, "ada"),
        ("params.width + item", 1, 257),
        ('params["width"]', None, 256),
        ("params.items", None, 3),
        ('"width" in params and len(params) == 2 and sorted(params)', None, ["items", "width"]),
        ("math.floor(item)", 2.5, 2),
        (r're.sub(r"\d", "", item)', "a1b2", "ab"),
        ("json.loads(item)", "[1]", [1]),
        ("datetime.date(2024, 1, item).isoformat()", 2, "2024-01-02"),
        ("[x + item for x in range(params.items)]", 1, [1, 2, 3]),
        ("(lambda y: y + item)(1)", 2, 3),
        ("(y := item + 1) * y", 2, 9),
        ("item  # a comment", 5, 5),
        ("  item\n", 5, 5),
    ],
)
def test_an_expression_gives_its_value(text: str, item: Any, expected: Any) -> None:
    function = compile_expression(text, {"width": 256, "items": 3})

    assert function(item) == expected


@pytest.mark.parametrize(
    "text", ["", "item +", "x = 1", "item) + (item", "yield item", "return item", "a\0b", "item; 1"]
)
def test_what_is_no_expression_is_a_syntax_error(text: str) -> None:
    with pytest.raises(SyntaxError):
        compile_expression(text, {})


def test_a_missing_param_is_named_with_those_there_are() -> None:
    function = compile_expression("params.widht", {"width": 1})

    with pytest.raises(
        AttributeError, match="params has no 'widht'; the pipeline's params are: width"
    ):
        function(None)


def test_a_traceback_shows_which_expression_it_was() -> None:
    for text in ("1 / item", "2 / item", "1 / item"):
        function = compile_expression(text, {})

        with pytest.raises(ZeroDivisionError) as caught:
            function(0)

        frame = traceback.extract_tb(caught.value.__traceback__)[-1]
        assert frame.filename.startswith("<expression")
        assert frame.line == text

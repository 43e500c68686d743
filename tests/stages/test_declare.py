"""An operator's declaration checks and converts its parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role, Shape
from pipeflow.stages.author import stream
from pipeflow.stages.declare import Declaration, declaration_of, operator

OPTIONS = (
    Option(name="path", types=(OptionType.PATH,)),
    Option(name="n", types=(OptionType.INTEGER,), default=3, minimum=1, maximum=9),
    Option(name="mode", types=(OptionType.STRING,), default="auto", choices=("auto", "fast")),
    Option(name="sep", types=(OptionType.STRING,), default=",", pattern="."),
    Option(name="wait", types=(OptionType.DURATION,), default=None),
    Option(name="room", types=(OptionType.SIZE,), default=None),
    Option(name="by", types=(OptionType.EXPRESSION,), default=None),
    Option(name="names", types=(OptionType.STRING, OptionType.LIST), default="x"),
    Option(name="rest", types=(OptionType.ANY,), default=None),
)


def declaration() -> Declaration:
    @operator(name="thing", role=Role.OPERATOR, summary="A thing.", options=OPTIONS)
    class Thing:
        def __call__(self, item: Any) -> Any:
            return item

    found = declaration_of(Thing)
    assert found is not None
    return found


def test_defaults_are_filled_in() -> None:
    arguments = declaration().arguments({"path": "a"}, {})

    assert arguments == {
        "path": Path("a"),
        "n": 3,
        "mode": "auto",
        "sep": ",",
        "wait": None,
        "room": None,
        "by": None,
        "names": "x",
        "rest": None,
    }


def test_values_are_converted() -> None:
    given = {"path": "a", "wait": "50ms", "room": 1024, "by": "item + params.n", "names": ["a"]}

    arguments: dict[str, Any] = declaration().arguments(given, {"n": 1})

    assert arguments["wait"] == 0.05
    assert arguments["room"] == 1024
    assert arguments["by"](2) == 3
    assert arguments["names"] == ["a"]
    assert declaration().arguments({"path": "a", "wait": 2}, {})["wait"] == 2.0


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, TypeError, "thing needs path"),
        ({"path": "a", "nn": 1}, TypeError, "thing has no parameter 'nn'; did you mean 'n'?"),
        ({"path": "a", "zzz": 1}, TypeError, "thing has no parameter 'zzz'; it has path, n, mode"),
        ({"path": 3}, ValueError, "parameter 'path' takes Path, but got the whole number 3"),
        ({"path": "a", "n": "3"}, ValueError, "parameter 'n' takes int, but got the text '3'"),
        ({"path": "a", "n": 0}, ValueError, "parameter 'n' is at least 1, got 0"),
        ({"path": "a", "n": 10}, ValueError, "parameter 'n' is at most 9, got 10"),
        ({"path": "a", "mode": "fst"}, ValueError, "parameter 'mode' is one of auto, fast, not"),
        ({"path": "a", "sep": ";;"}, ValueError, "parameter 'sep': ';;' does not match ."),
        ({"path": "a", "wait": "soon"}, ValueError, "parameter 'wait' takes a duration as 50ms"),
        ({"path": "a", "by": [1]}, ValueError, "parameter 'by' takes a Python expression as text"),
        ({"path": "a", "by": "1 +"}, SyntaxError, "invalid syntax"),
        ({"path": "a", "names": 3}, ValueError, "parameter 'names' takes str, but got the whole"),
        ({"path": "a", "n": None}, ValueError, "parameter 'n' takes int, but got null"),
    ],
)
def test_what_does_not_fit_is_refused(
    given: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        declaration().arguments(given, {})

    assert str(caught.value).startswith(message)


def test_the_shape_is_read_off_the_code() -> None:
    def shape(target: Any) -> Shape:
        declared = operator(name="x", role=Role.SOURCE, summary="X.")(target)
        found = declaration_of(declared)
        assert found is not None
        return found.stage_type().shape

    def plain() -> None: ...

    def many() -> Any:
        yield 1

    @stream
    def whole(items: Any) -> Any:
        return items

    assert [shape(plain), shape(many), shape(whole)] == [
        Shape.FUNCTION,
        Shape.GENERATOR,
        Shape.STREAM,
    ]
    assert declaration().stage_type().shape is Shape.CLASS


def test_a_class_that_inherits_from_an_operator_is_none() -> None:
    @operator(name="base", role=Role.OPERATOR, summary="A base.")
    class Base:
        pass

    class Own(Base):
        pass

    assert declaration_of(Base) is not None
    assert declaration_of(Own) is None

"""The ``params`` block and ``--param``."""

from __future__ import annotations

import pytest

from pipeflow.config.interpolate import Scope
from pipeflow.config.params import Params, read_params
from pipeflow.config.reader import read_text

BLOCK = """\
width: {type: integer, default: 256, minimum: 16, maximum: 512}
wait: {type: duration, default: 50ms, maximum: 1s}
memory: {type: size, default: 64KiB}
mode: {enum: [fast, slow], default: fast}
tags: [a, b]
photos: photos
home: "${env.HOME}/x"
key: {default: abc, secret: true}
flag: false
"""


def read(given: dict[str, object], block: str = BLOCK) -> Params:
    root = read_text(block, "p.yaml").root
    return read_params(root, given, Scope(environ={"HOME": "/home/me"}, folder="/f"))


def test_defaults_have_their_types_and_secrets_are_left_out() -> None:
    params = read({})

    assert params.findings == ()
    assert params.values == {
        "width": 256,
        "wait": 0.05,
        "memory": 65536,
        "mode": "fast",
        "tags": ["a", "b"],
        "photos": "photos",
        "home": "/home/me/x",
        "flag": False,
    }
    assert params.secrets == ("abc",)


def test_texts_are_read_as_the_declared_types() -> None:
    given: dict[str, object] = {
        "width": "32",
        "wait": "1s",
        "tags": "x, 1",
        "photos": "7",
        "flag": "true",
    }

    values = read(given).values

    read_back = {name: values[name] for name in given}
    expected = {"width": 32, "wait": 1.0, "tags": ["x", 1], "photos": "7", "flag": True}
    assert read_back == expected


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"width": "8"}, "parameter 'width' must be at least 16, got 8"),
        ({"wait": "2s"}, "parameter 'wait' must be at most 1s, got 2s"),
        ({"width": "x"}, "parameter 'width': expected a whole number, got the text \"x\""),
        ({"wait": "10"}, "parameter 'wait': a duration needs a unit"),
        ({"mode": "fsat"}, 'parameter \'mode\' must be one of "fast", "slow", got "fsat"'),
        ({"wdth": "1"}, "no parameter 'wdth'"),
    ],
)
def test_what_does_not_fit_is_a_finding(given: dict[str, object], problem: str) -> None:
    (finding,) = read(given).findings

    assert finding.problem == problem
    assert finding.at.file == "<--param>"


def test_a_parameter_without_default_must_be_given() -> None:
    params = read({}, "width: {type: integer}\n")

    (finding,) = params.findings
    assert (finding.code, finding.hint) == ("missing-param", "--param width=1")
    assert params.failed == {"width"}


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (
            "a: {type: integer, enum: [1, x], default: 3}",
            "1:30 'enum' of parameter 'a': expected a whole number, got the text \"x\"",
        ),
        (
            "a: {type: size, maximum: 5, default: 1KiB}",
            "1:26 'maximum' of parameter 'a': a size needs a unit",
        ),
        (
            "a: {type: integer, minimum: 5, maximum: 3, default: 4}",
            "1:29 'minimum' of parameter 'a' is 5, and 'maximum' 3",
        ),
        (
            "a: {type: path, minimum: 5, default: x}",
            "1:17 parameter 'a' is a path, which has no 'minimum'",
        ),
        ("a: {}", "1:1 parameter 'a' has no default and must be given"),
    ],
)
def test_what_is_wrong_with_a_declaration_is_told_at_its_place(block: str, told: str) -> None:
    (finding,) = read({}, block).findings

    assert f"{finding.at.line}:{finding.at.column} {finding.problem}" == told


@pytest.mark.parametrize(
    ("block", "hint"),
    [
        ("a: {enum: [fast, exact]}", "--param a=fast"),
        ("a: {type: integer, minimum: 16}", "--param a=16"),
        ("a: {type: duration}", "--param a=10s"),
        ("a: {type: boolean, default: yes}", "write true"),
    ],
)
def test_a_hint_shows_a_value_that_is_allowed(block: str, hint: str) -> None:
    (finding,) = read({}, block).findings

    assert finding.hint == hint

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
        ({"wait": "2s"}, "parameter 'wait' must be at most 1s, got 2.0"),
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

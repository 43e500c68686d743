"""``join``, read: a word, or a key and how long an item waits for its partner."""

from __future__ import annotations

import pytest

from pipeflow.config.load import Loaded, load
from pipeflow.errors import Severity
from pipeflow.spec.policies import JoinPolicy, KeyedInputs, LatestInputs, ZipInputs
from pipeflow.stages.registry import stage_types

TWO = "{left: numbers, right: numbers}"


def loaded(join: str, inputs: str = TWO) -> Loaded:
    """A file whose stage ``it`` says ``join``; empty: it says nothing."""
    text = (
        "stages:\n"
        "  numbers: {use: range, with: {stop: 3}}\n"
        "  it:\n"
        "    use: 'null'\n"
        f"    inputs: {inputs}\n" + (f"    join: {join}\n" if join else "")
    )
    return load("-", environ={}, stage_types=stage_types(), search_path=(), stdin_text=text)


def join_of(text: str) -> JoinPolicy:
    result = loaded(text)
    assert result.findings == ()
    assert result.pipeline is not None
    return result.pipeline.stages[-1].join


def codes(text: str, inputs: str = TWO) -> list[str]:
    return [finding.code for finding in loaded(text, inputs).findings]


@pytest.mark.parametrize(
    ("text", "join"),
    [
        ("zip", ZipInputs()),
        ("latest", LatestInputs()),
        (
            "{key: 'item[0]'}",
            KeyedInputs(expressions={"left": "item[0]", "right": "item[0]"}, items=1000),
        ),
        (
            "{key: {right: item.b, left: item.a}, within: 5}",
            KeyedInputs(expressions={"left": "item.a", "right": "item.b"}, items=5),
        ),
        (
            "{key: item, within: 1m30s}",
            KeyedInputs(
                expressions={"left": "item", "right": "item"},
                items=None,
                seconds=90.0,
            ),
        ),
    ],
)
def test_a_join_has_three_forms(text: str, join: object) -> None:
    assert join_of(text) == join


def test_named_inputs_are_zipped_when_nothing_is_said() -> None:
    assert join_of("") == ZipInputs()


def test_nothing_is_filled_in_inside_a_key() -> None:
    (finding,) = loaded("{key: {left: 'item[\"${x}\"]', right: item}}").findings

    assert (finding.code, finding.severity) == ("reference-in-expression", Severity.WARNING)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{key: 'item['}", "bad-expression"),
        ("{key: {left: item, rigth: item}}", "bad-join"),
        ("{key: {left: item}}", "bad-join"),
        ("{key: item, within: 0}", "out-of-range"),
        ("{key: item, within: -1}", "out-of-range"),
        ("{key: item, within: 0s}", "out-of-range"),
        ("{key: item, within: 2.5}", "duration"),
        ("{key: item, within: soon}", "duration"),
        ("{within: 3}", "missing-key"),
        ("{key: {}}", "wrong-type"),
        ("{key: item, window: 3}", "unknown-key"),
        ("newest", "bad-value"),
        ("[latest]", "wrong-type"),
    ],
)
def test_what_cannot_be_meant_is_a_mistake(text: str, code: str) -> None:
    assert codes(text) == [code]


@pytest.mark.parametrize("join", ["latest", "{key: item}"])
def test_one_input_has_nothing_to_be_joined_with(join: str) -> None:
    assert codes(join, "{item: numbers}") == ["bad-join"]

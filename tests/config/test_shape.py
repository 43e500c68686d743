"""What jsonschema finds, retold: one finding for one mistake, at the key or value that is wrong."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from pipeflow.config.nodes import Map
from pipeflow.config.reader import read_text
from pipeflow.config.shape import Shape, check_shape
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.shapes import Shape as WorkShape
from pipeflow.spec.stage_type import StageType

TYPES = {
    "pick": StageType(
        name="pick",
        role=Role.OPERATOR,
        shape=WorkShape.FUNCTION,
        options=(
            Option(name="count", types=(OptionType.INTEGER,), minimum=1, description="How many."),
            Option(name="mode", types=(OptionType.STRING,), default="a", choices=("any", "all")),
            Option(name="wait", types=(OptionType.DURATION,), default=None),
        ),
    ),
    "acme/read": StageType(name="acme/read", role=Role.SOURCE, shape=WorkShape.UNKNOWN),
}


def shape(text: str) -> Shape:
    document = read_text(dedent(text), "p.yaml")
    assert document.findings == ()
    assert document.root is not None
    return check_shape(document.root, TYPES)


def told(text: str) -> list[str]:
    return [
        f"{finding.at.line}:{finding.at.column} {finding.code}: {finding.problem}"
        for finding in sorted(shape(text).findings, key=lambda finding: finding.at)
    ]


def stage(body: str) -> list[str]:
    """What is said of a stage, whose body begins on line 3."""
    lines = dedent(body).strip().replace("\n", "\n    ")
    return told(f"stages:\n  it:\n    {lines}\n")


def test_a_good_file_earns_nothing() -> None:
    assert stage("use: pick\nwith: {count: 3, mode: any, wait: 2s}\ninputs: it") == []


def test_an_unknown_key_is_told_at_the_key_and_its_value_is_left_alone() -> None:
    result = shape("stages:\n  it: {call: 'm:f', quue: {a: 1}}\n")

    (finding,) = result.findings
    assert (finding.at.line, finding.at.column, finding.length) == (2, 21, 4)
    assert ("stages", "it", "quue") in result.wrong


def test_a_slip_of_a_required_key_is_told_once() -> None:
    assert stage("cal: m:f") == ["3:5 unknown-key: stage 'it' has no option 'cal'"]
    assert stage("use: pick\nwith: {coutn: 3}") == [
        "4:12 unknown-parameter: operator 'pick' has no 'coutn'"
    ]
    assert stage("call: m:f\ninputs: {form: it, capacity: 8}") == [
        "4:14 unknown-key: an edge has no key 'form'"
    ]


def test_a_value_of_a_wrong_type_is_told_once_whatever_else_is_wrong_with_it() -> None:
    assert stage("call: m:f\non_error: 3") == [
        "4:15 wrong-type: 'on_error' must be 'stop', 'skip' or 'dead_letter' or a mapping, got 3"
    ]
    assert stage("call: m:f\nreplicas: [1]") == [
        "4:15 wrong-type: 'replicas' must be a whole number from 1 to 4096 or 'auto', got a list"
    ]


def test_an_empty_value_says_so() -> None:
    assert stage("call: m:f\ninputs:") == [
        "4:5 wrong-type: 'inputs' is empty: it names the stage that is read"
    ]


def test_a_number_in_quotes_is_told_to_leave_them() -> None:
    (finding,) = shape("stages:\n  it: {call: 'm:f', replicas: '8'}\n").findings

    assert finding.hint == "remove the quotes: replicas: 8"


def test_a_near_choice_is_named() -> None:
    (finding,) = shape("stages:\n  it: {call: 'm:f', on_error: skp}\n").findings

    assert finding.hint == "did you mean 'skip'?"


def test_a_word_for_truth_is_translated() -> None:
    (finding,) = shape("stages:\n  it: {call: 'm:f', ordered: off}\n").findings

    assert finding.hint == "ordered: false"


def test_a_number_where_text_is_due_is_told_to_take_quotes() -> None:
    (finding,) = shape("name: 5\nstages:\n  it: {call: 'm:f'}\n").findings

    assert finding.hint == 'write it in quotes: name: "5"'


def test_a_parameter_of_an_operator_is_described_when_it_is_missing() -> None:
    (finding,) = shape("stages:\n  it: {use: pick, with: {mode: all}}\n").findings

    assert finding.problem == "stage 'it' needs parameter 'count' of operator 'pick'"
    assert finding.hint == "count: a whole number of at least 1. How many."


def test_a_duration_without_a_unit_is_told_in_the_words_of_durations() -> None:
    assert stage("use: pick\nwith: {count: 1, wait: 10}") == [
        "4:28 duration: a duration needs a unit"
    ]


def test_a_plug_in_that_says_nothing_of_its_parameters_takes_any() -> None:
    assert stage("use: acme/read\nwith: {topic: t}") == []


def test_an_unknown_built_in_operator_and_an_unknown_plug_in_differ() -> None:
    near = shape("stages:\n  it: {use: pikc}\n").findings[0]

    assert near.problem == "no operator 'pikc'"
    assert near.hint == "did you mean 'pick'? 'pipeflow stages' lists them all"


def test_both_call_and_use_is_one_mistake() -> None:
    assert stage("call: m:f\nuse: pick") == [
        "4:5 call-or-use: stage 'it' has both 'call' and 'use'"
    ]


@pytest.mark.parametrize("text", ["stages: []", "stages: {}", "stages:"])
def test_a_pipeline_without_stages_says_so(text: str) -> None:
    assert [line.split(": ", 1)[1] for line in told(text)] == [
        "a pipeline needs at least one stage"
    ]


def test_mistakes_of_several_stages_and_keys_come_together() -> None:
    lines = told(
        """\
        nmae: x
        stages:
          a: {call: 'm:f', replicas: 0}
          b: {inputs: a}
          c d: {call: 'm:f'}
        """
    )

    assert [line.split(":")[0] for line in lines] == ["1", "3", "4", "5"]


def test_keys_of_the_user_are_free_at_the_top_and_in_a_stage() -> None:
    assert told("x-a: 1\nstages:\n  it: {call: 'm:f', x-b: [1]}\n") == []
    assert len(told("stages:\n  it: {call: 'm:f', resources: {x-b: 1}}\n")) == 1


def test_the_key_for_editors_is_allowed_at_the_top() -> None:
    assert told("$schema: ../schemas/pipeline.schema.json\nstages: {it: {call: 'm:f'}}\n") == []


def test_judging_opens_no_connection() -> None:
    opened: list[str] = []
    sys.addaudithook(lambda event, _: opened.append(event) if "socket" in event else None)

    shape("stages:\n  it: {call: 'm:f', $ref: 'http://localhost:1/x.json'}\n")

    assert opened == []


def test_a_tree_that_was_never_a_file_is_judged_too() -> None:
    at = read_text("a: 1", "p.yaml").root
    assert at is not None

    result = check_shape(Map(at=at.at, entries=()), {})

    assert [finding.code for finding in result.findings] == ["missing-key"]


def test_an_input_with_a_bad_name_is_told_though_its_stage_is_there() -> None:
    assert stage('call: m:f\ninputs: {"b c": it}') == [
        "4:14 bad-name: input name 'b c' cannot be used"
    ]


def test_what_is_empty_is_called_empty() -> None:
    assert stage("call: m:f\ninputs: {}") == [
        "4:13 wrong-type: 'inputs' is empty: it names the stage that is read"
    ]
    assert stage("call: m:f\nresources: {cpus: []}") == ["4:23 wrong-type: 'cpus' is empty"]


def test_what_stands_in_the_place_of_a_missing_key_is_told_alone() -> None:
    assert stage("use: pick\nwith: {number: 3}") == [
        "4:12 unknown-parameter: operator 'pick' has no 'number'"
    ]
    assert stage("call: m:f\ninputs: [it, {x: it}]") == ["4:19 unknown-key: an edge has no key 'x'"]
    assert sorted(told("foo: 1")) == [
        "1:1 missing-key: 'stages:' is missing",
        "1:1 unknown-key: unknown key 'foo'",
    ]


@pytest.mark.parametrize("inputs", ['"${x}"', '{from: "${x}"}', '["${x}"]', '{a: "${x}"}'])
def test_a_reference_does_not_choose_what_is_read(inputs: str) -> None:
    (finding,) = shape(f"stages:\n  it: {{call: 'm:f', inputs: {inputs}}}\n").findings

    assert finding.code == "bad-value"
    assert finding.hint.startswith("${…} is not filled in here")

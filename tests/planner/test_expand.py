"""From files in files to one flat graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeflow.errors import InvalidPipeline, UsageError
from pipeflow.planner.expand import expand, port_in
from pipeflow.planner.explain import graph_text
from pipeflow.planner.make import make_plan
from pipeflow.planner.trial.decide import decide_trial
from pipeflow.spec.pipeline import Edge, Pipeline
from pipeflow.spec.policies import ArrayMode, Overflow, TransportKind
from tests.config.parts import reading, told, write
from tests.planner.building import MACHINE

NUMBERS = "stages:\n  numbers: {use: range, with: {stop: 3}}\n"


def flat(folder: Path) -> Pipeline:
    return expand(reading(folder).require()).pipeline


def edges(pipeline: Pipeline) -> dict[str, list[str]]:
    return {stage.name: [str(edge.source) for edge in stage.edges] for stage in pipeline.stages}


def edge_of(pipeline: Pipeline, name: str) -> Edge:
    (stage,) = (each for each in pipeline.stages if each.name == name)
    return stage.edges[0]


PART = """\
inputs: [xs]
outputs: {out: b, side: a.side}
stages:
  a: {call: 'steps:double', inputs: {from: xs%s}, outputs: [side], on_error: dead_letter}
  b: {call: 'steps:double', inputs: a, on_error: dead_letter}
"""


def test_the_stages_of_a_file_stand_in_its_place(tmp_path: Path) -> None:
    outer = (
        f"{NUMBERS}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
        "  show: {use: print, inputs: [part, part.side, part.errors]}\n"
    )
    write(tmp_path, part=PART % "", outer=outer)

    assert edges(flat(tmp_path)) == {
        "numbers": [],
        "part/a": ["numbers"],
        "part/b": ["part/a"],
        "show": ["part/b", "part/a.side", "part/a.errors", "part/b.errors"],
    }


def test_what_feeds_a_file_may_be_a_list_and_another_file(tmp_path: Path) -> None:
    outer = (
        f"{NUMBERS}  one: {{pipeline: part.yaml, inputs: [numbers, numbers2]}}\n"
        "  numbers2: {use: range, with: {stop: 3}}\n"
        "  two: {pipeline: part.yaml, inputs: one}\n"
        "  show: {use: print, inputs: [two, one.errors, two.errors]}\n"
    )
    write(tmp_path, part=PART % "", outer=outer)

    found = edges(flat(tmp_path))

    assert found["one/a"] == ["numbers", "numbers2"]
    assert found["two/a"] == ["one/b"]


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("", "", (TransportKind.AUTO, None, Overflow.BLOCK, ArrayMode.SHARED)),
        (", capacity: 3", "", (TransportKind.AUTO, 3, Overflow.BLOCK, ArrayMode.SHARED)),
        (
            ", capacity: 3, transport: queue",
            ", capacity: 5",
            (TransportKind.QUEUE, 5, Overflow.BLOCK, ArrayMode.SHARED),
        ),
        (
            ", arrays: copy",
            ", overflow: drop_oldest",
            (TransportKind.AUTO, None, Overflow.DROP_OLDEST, ArrayMode.COPY),
        ),
    ],
)
def test_an_edge_through_a_file_has_the_settings_of_both_ends(
    tmp_path: Path, inner: str, outer: str, expected: tuple[object, ...]
) -> None:
    text = (
        f"{NUMBERS}  part: {{pipeline: part.yaml, inputs: {{from: numbers{outer}}}}}\n"
        "  show: {use: print, inputs: [part, part.errors]}\n"
    )
    write(tmp_path, part=PART % inner, outer=text)

    edge = edge_of(flat(tmp_path), "part/a")

    assert (edge.transport, edge.capacity.items, edge.overflow, edge.arrays) == expected


def test_dead_letters_that_nobody_reads_inside_must_be_read_outside(tmp_path: Path) -> None:
    outer = (
        f"{NUMBERS}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
        "  show: {use: print, inputs: part}\n"
    )
    write(tmp_path, part=PART % "", outer=outer)

    assert told(tmp_path) == ["outer.yaml:3:3 unread-errors"]
    assert told(tmp_path, "part") == []


def test_dead_letters_that_a_file_gives_out_by_name_must_be_read_too(tmp_path: Path) -> None:
    part = (PART % "").replace("side: a.side", "lost: a.errors")
    outer = (
        f"{NUMBERS}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
        "  show: {use: print, inputs: [part, part.errors]}\n"
    )
    write(tmp_path, part=part.replace(", outputs: [side]", ""), outer=outer)

    (found,) = reading(tmp_path).findings
    assert found.problem.startswith("nothing reads 'part.lost', where the dead letters")


def test_dead_letters_that_are_read_inside_stay_there(tmp_path: Path) -> None:
    part = PART % "" + "  lost: {use: 'null', inputs: [a.errors, b.errors]}\n"
    outer = (
        f"{NUMBERS}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
        "  show: {use: print, inputs: [part, part.errors]}\n"
    )
    write(tmp_path, part=part, outer=outer)

    assert told(tmp_path) == ["outer.yaml:4:37 errors-not-open"]


def test_an_unknown_output_is_told_with_those_there_are(tmp_path: Path) -> None:
    outer = (
        f"{NUMBERS}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
        "  show: {use: print, inputs: [part.sid, part.errors]}\n"
    )
    write(tmp_path, part=PART % "", outer=outer)

    (found,) = reading(tmp_path).findings
    assert found.code == "unknown-port"
    assert found.hint == "did you mean 'part.side'? The ports of 'part' are: out, side, errors."


JOIN = """\
inputs: [left, right]
outputs: {out: both}
stages:
  both: {call: 'steps:add', inputs: {x: left, n: right}}
"""


def test_a_join_inside_takes_one_output_for_each_input(tmp_path: Path) -> None:
    outer = (
        f"{NUMBERS}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
        "  join: {pipeline: join.yaml, inputs: {left: part, right: part.errors}}\n"
        "  show: {use: print, inputs: join}\n"
    )
    write(tmp_path, part=PART % "", join=JOIN, outer=outer)

    (found,) = reading(tmp_path).findings
    assert found.code == "join-merged"
    assert found.problem.startswith("input 'n' of stage 'join/both' would be fed by several")


def test_ways_that_part_outside_and_meet_inside_pair_by_id(tmp_path: Path) -> None:
    outer = (
        f"{NUMBERS}  odd: {{use: filter, inputs: numbers, with: {{where: item % 2}}}}\n"
        "  join: {pipeline: join.yaml, inputs: {left: numbers, right: odd}}\n"
        "  show: {use: print, inputs: join}\n"
    )
    write(tmp_path, join=JOIN, outer=outer)

    # By position the filter would be refused.
    assert told(tmp_path) == []
    assert told(tmp_path, "join") == []


def test_what_joins_cannot_pair_is_told_in_the_inner_file_with_the_outer_one(
    tmp_path: Path,
) -> None:
    outer = (
        f"{NUMBERS}  words: {{use: range, with: {{stop: 2}}}}\n"
        "  odd: {use: filter, inputs: words, with: {where: item % 2}}\n"
        "  join: {pipeline: join.yaml, inputs: {left: numbers, right: odd}}\n"
        "  show: {use: print, inputs: join}\n"
    )
    write(tmp_path, join=JOIN, outer=outer)

    (found,) = reading(tmp_path).findings
    assert found.code == "join-drops"
    assert "odd" in found.problem


def test_a_file_with_ports_is_not_run_by_itself(tmp_path: Path) -> None:
    write(tmp_path, part=PART % "")

    with pytest.raises(InvalidPipeline) as caught:
        make_plan(reading(tmp_path, "part").require(), MACHINE)

    (found,) = caught.value.findings
    assert (found.code, found.at.line, found.at.column) == ("part-of-another", 1, 1)
    assert found.hint.startswith("in the other file: pipeline: part.yaml;")


def test_a_file_with_ports_is_drawn_with_its_inputs(tmp_path: Path) -> None:
    write(tmp_path, part=PART % "")

    drawn = graph_text(reading(tmp_path, "part").require())

    assert "xs  (input:xs)\n  └──> a\n" in drawn


def test_a_param_without_a_value_is_lacking_only_when_the_file_is_used(tmp_path: Path) -> None:
    part = "params: {n: {type: integer}}\n" + PART % ""
    write(tmp_path, part=part)

    result = reading(tmp_path, "part")

    assert result.findings == ()
    with pytest.raises(InvalidPipeline) as caught:
        result.require()
    assert [each.code for each in caught.value.findings] == ["missing-param"]


def test_expressions_see_the_params_of_their_own_file(tmp_path: Path) -> None:
    part = "params: {n: 7}\n" + PART % ""
    outer = (
        f"params: {{n: 3}}\n{NUMBERS}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
        "  show: {use: print, inputs: [part, part.errors]}\n"
    )
    write(tmp_path, part=part, outer=outer)

    plan = make_plan(reading(tmp_path).require(), MACHINE)

    values = {stage.name: plan.values_for(stage)["n"] for stage in plan.stages}
    assert values == {"numbers": 3, "part/a": 7, "part/b": 7, "show": 3}


TESTED = """\
tests:
  it:
    given: {%s: [1, 2]}
    expect:
      %s: {count: 2}
"""


@pytest.mark.parametrize(
    ("given", "expect", "running"),
    [
        ("numbers", "part", {"numbers", "part/a", "part/b"}),
        ("part", "show", {"part/b"}),
        ("numbers", "part.side", {"numbers", "part/a"}),
    ],
)
def test_tests_name_a_stage_with_a_file_as_any_other(
    tmp_path: Path, given: str, expect: str, running: set[str]
) -> None:
    outer = (
        f"{NUMBERS}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
        "  lost: {use: 'null', inputs: part.errors}\n"
        "  show: {use: print, inputs: part}\n"
    )
    write(tmp_path, part=PART % "", outer=outer + TESTED % (given, expect))
    pipeline = reading(tmp_path).require()

    trial = decide_trial(pipeline, pipeline.tests[0])

    names = {stage.name for stage in trial.pipeline.stages}
    assert {name for name in names if "emits" not in name} - {"show"} == running
    make_plan(trial.pipeline, MACHINE)


def test_a_file_is_tested_alone_with_items_for_its_inputs(tmp_path: Path) -> None:
    write(tmp_path, part=PART % "" + TESTED % ("xs", "b"))
    pipeline = reading(tmp_path, "part").require()

    trial = decide_trial(pipeline, pipeline.tests[0])

    assert [stage.name for stage in trial.pipeline.stages][:3] == ["xs", "a", "b"]
    make_plan(trial.pipeline, MACHINE)


def test_a_test_that_feeds_no_input_is_told(tmp_path: Path) -> None:
    write(tmp_path, part=PART % "" + "tests: {it: {expect: {b: {count: 2}}}}\n")

    assert told(tmp_path, "part") == ["part.yaml:6:9 test-input"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("part", "part/b"),
        ("part.side", "part/a.side"),
        ("part/a", "part/a"),
        ("numbers", "numbers"),
    ],
)
def test_a_command_line_may_name_stages_inside_and_outside(
    tmp_path: Path, target: str, expected: str
) -> None:
    outer = (
        f"{NUMBERS}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
        "  show: {use: print, inputs: [part, part.errors]}\n"
    )
    write(tmp_path, part=PART % "", outer=outer)
    expanded = expand(reading(tmp_path).require())

    assert str(port_in(expanded, target)) == expected
    with pytest.raises(UsageError, match=r"several stages give 'part\.errors'"):
        port_in(expanded, "part.errors")
    with pytest.raises(UsageError, match=r"there is no output 'part\.x'"):
        port_in(expanded, "part.x")


def test_dead_letters_pass_through_a_file_that_does_not_read_them(tmp_path: Path) -> None:
    part = (PART % "").replace("side: a.side", "lost: a.errors").replace(", outputs: [side]", "")
    middle = "inputs: [ys]\noutputs: {out: it}\nstages:\n  it: {pipeline: part.yaml, inputs: ys}\n"
    outer = (
        f"{NUMBERS}  middle: {{pipeline: middle.yaml, inputs: numbers}}\n"
        "  show: {use: print, inputs: [middle, middle.errors]}\n"
    )
    write(tmp_path, part=part, middle=middle, outer=outer)

    assert told(tmp_path) == []
    assert edges(flat(tmp_path))["show"] == [
        "middle/it/b",
        "middle/it/a.errors",
        "middle/it/b.errors",
    ]

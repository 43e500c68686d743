"""A stage that runs another file: what is said of it, and in which file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pipeflow.api import Settings, read
from pipeflow.config.inclusion import MOST_FILES, MOST_LEVELS
from pipeflow.config.render import render_json, render_text
from pipeflow.errors import Severity
from tests.config.parts import DOUBLE, reading, told, write

OUTER = "stages:\n  numbers: {use: range, with: {stop: 3}}\n"
SHOW = "  show: {use: print, inputs: part}\n"

SCALE = """\
params:
  factor: {type: integer, minimum: 1}
  mode: {enum: [fast, exact], default: fast}
inputs: [xs]
outputs: {out: scaled}
stages:
  scaled: {call: 'steps:add', inputs: xs, with: {n: "${params.factor}"}}
"""

PAIR = """\
inputs: [left, right]
outputs: {out: both}
stages:
  both: {use: map, inputs: {l: left, r: right}, with: {expr: item}}
"""


def test_a_file_runs_as_a_stage(tmp_path: Path) -> None:
    write(
        tmp_path,
        part=DOUBLE,
        outer=f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers}}\n{SHOW}",
    )

    assert told(tmp_path) == []


def test_nothing_of_the_inner_file_is_imported(tmp_path: Path) -> None:
    write(
        tmp_path,
        part=DOUBLE,
        outer=f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers}}\n{SHOW}",
    )
    (tmp_path / "steps.py").write_text("raise SystemExit('imported')\ndef double(x): return x\n")
    before = set(sys.modules)

    assert told(tmp_path) == []
    assert "steps" not in set(sys.modules) - before


def test_files_and_modules_are_looked_for_beside_the_file_that_names_them(tmp_path: Path) -> None:
    middle = (
        "inputs: [xs]\noutputs: {out: deep}\n"
        "stages:\n  deep: {pipeline: deep/part.yaml, inputs: xs}\n"
    )
    outer = f"{OUTER}  part: {{pipeline: sub/middle.yaml, inputs: numbers}}\n{SHOW}"
    write(tmp_path, outer=outer, sub__middle=middle, sub__deep__part=DOUBLE)
    (tmp_path / "steps.py").unlink()
    (tmp_path / "sub" / "steps.py").unlink()

    assert told(tmp_path) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("with: {factor: 2}", []),
        ("with: {factor: 2, mode: exact}", []),
        ("with: {factor: 0}", ["63 param-value"]),
        ("with: {factor: two}", ["63 param-type"]),
        ("with: {factor: 2, mode: slow}", ["72 param-value"]),
        ("with: {facter: 2}", ["55 unknown-param"]),
        ("with: {factor: 2, size: 2}", ["66 unknown-param"]),
        ("with: {mode: fast}", ["48 missing-param"]),
        ("x-a: 1", ["3 missing-param"]),
        ("with: {factor: '${env.NONE}'}", ["64 unset-variable"]),
    ],
)
def test_params_are_judged_where_the_stage_gives_them(
    tmp_path: Path, given: str, expected: list[str]
) -> None:
    outer = f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers, {given}}}\n{SHOW}"
    write(tmp_path, part=SCALE, outer=outer)

    assert told(tmp_path) == [f"outer.yaml:3:{each}" for each in expected]


def test_a_slip_in_a_param_says_what_was_meant(tmp_path: Path) -> None:
    outer = f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers, with: {{facter: 2}}}}\n{SHOW}"
    write(tmp_path, part=SCALE, outer=outer)

    (found,) = reading(tmp_path).findings
    assert found.problem == f"'{tmp_path / 'part.yaml'}' has no parameter 'facter'"
    assert found.hint == "did you mean 'factor'?"


@pytest.mark.parametrize(
    ("inputs", "code", "hint"),
    [
        ("", "missing-inputs", "inputs: {left: …, right: …}"),
        ("inputs: numbers", "unknown-input", "name them: inputs: {left: …, right: …}"),
        ("inputs: [numbers]", "unknown-input", "name them: inputs: {left: …, right: …}"),
        (
            "inputs: {left: numbers, rigth: numbers}",
            "unknown-input",
            "did you mean 'right'? its inputs are: left, right",
        ),
        ("inputs: {left: numbers}", "missing-inputs", "right: the stage that feeds it"),
    ],
)
def test_inputs_are_those_of_the_file(tmp_path: Path, inputs: str, code: str, hint: str) -> None:
    outer = f"{OUTER}  part: {{pipeline: part.yaml, {inputs}}}\n{SHOW}"
    write(tmp_path, part=PAIR, outer=outer)

    (found,) = (each for each in reading(tmp_path).findings if each.severity is Severity.ERROR)
    assert (found.code, found.hint) == (code, hint)
    assert (Path(found.at.file).name, found.at.line) == ("outer.yaml", 3)


def test_a_file_without_inputs_takes_none(tmp_path: Path) -> None:
    source = "outputs: {out: count}\nstages:\n  count: {use: range, with: {stop: 2}}\n"
    outer = f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers}}\n{SHOW}"
    write(tmp_path, part=source, outer=outer)

    assert told(tmp_path) == ["outer.yaml:3:31 unknown-input"]


@pytest.mark.parametrize(
    "setting",
    ["replicas: 2", "on_error: skip", "env: {A: b}", "resources: {threads: 1}", "ordered: false"],
)
def test_settings_of_processes_stand_in_the_file_that_has_them(
    tmp_path: Path, setting: str
) -> None:
    outer = f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers, {setting}}}\n{SHOW}"
    write(tmp_path, part=DOUBLE, outer=outer)

    (found,) = reading(tmp_path).findings
    key = setting.partition(":")[0]
    assert found.code == "beside-pipeline"
    assert found.problem == f"stage 'part' runs another file, so it has no '{key}' of its own"
    assert found.hint.startswith(f"write '{key}' in that file")


def test_a_stage_has_one_kind_of_work(tmp_path: Path) -> None:
    outer = f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers, use: print}}\n{SHOW}"
    write(tmp_path, part=DOUBLE, outer=outer)

    assert told(tmp_path) == ["outer.yaml:3:48 call-or-use"]


def test_defaults_do_not_reach_into_the_file(tmp_path: Path) -> None:
    outer = (
        "defaults: {replicas: 3, on_error: skip, env: {A: b}}\n"
        f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers}}\n{SHOW}"
    )
    write(tmp_path, part=DOUBLE, outer=outer)

    pipeline = reading(tmp_path).require()
    (part,) = (each for each in pipeline.stages if each.name == "part")
    assert part.inner is not None
    (twice,) = part.inner.stages
    assert (twice.replicas, twice.on_error.then.value, twice.env) == (1, "stop", {})


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("prat.yaml", ("file-missing", "did you mean")),
        ("none/part.yaml", ("file-missing", "")),
        (".", ("bad-value", "its name ends in .yaml")),
        ("folder.yaml", ("unreadable", "")),
        ("pipe.yaml", ("unreadable", "")),
        ("/etc/passwd", ("bad-value", "its name ends in .yaml")),
        ("'${params.x}.yaml'", ("bad-value", "write the path")),
        ("''", ("bad-value", "its name ends in .yaml")),
        ('"a\\0b"', ("bad-value", "")),
    ],
)
def test_a_file_that_is_not_there_is_the_mistake_of_who_names_it(
    tmp_path: Path, named: str, expected: tuple[str, str]
) -> None:
    outer = f"{OUTER}  part: {{pipeline: {named}, inputs: numbers}}\n{SHOW}"
    write(tmp_path, part=DOUBLE, outer=outer)
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")

    (found,) = reading(tmp_path).findings
    assert (found.code, found.hint.startswith(expected[1])) == (expected[0], True)
    assert (Path(found.at.file).name, found.at.line, found.at.column) == ("outer.yaml", 3, 20)


THREE = {
    "outer": f"{OUTER}  part: {{pipeline: sub/middle.yaml, inputs: numbers}}\n{SHOW}",
    "sub__middle": "inputs: [xs]\noutputs: {out: low}\nstages:\n  low:\n    pipeline: bottom.yaml\n"
    "    inputs: xs\n",
    "sub__bottom": "inputs: [xs]\noutputs: {out: twice}\nstages:\n  twice:\n"
    "    call: steps:dubble\n    inputs: xs\n",
}


def test_a_mistake_three_levels_deep_shows_all_three_files_with_their_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, **THREE)
    monkeypatch.chdir(tmp_path)

    result = reading(Path())

    assert render_text(result.findings, result.sources) == (
        "sub/bottom.yaml:5:11: error[unknown-attribute]: steps.py has no function 'dubble'\n"
        "    5 |     call: steps:dubble\n"
        "      |           ^^^^^^^^^^^^\n"
        "  hint: did you mean 'double' (line 1)?\n"
        "  included at sub/middle.yaml:5:15 | pipeline: bottom.yaml\n"
        "  included at outer.yaml:3:20 | part: {pipeline: sub/middle.yaml, inputs: numbers}\n"
    )
    assert '"included": [' in render_json(result.findings)
    assert str(result.findings[0]).endswith(
        "  included at sub/middle.yaml:5:15\n  included at outer.yaml:3:20"
    )


def test_a_file_that_two_stages_run_tells_a_mistake_once(tmp_path: Path) -> None:
    outer = THREE["outer"] + "  again: {pipeline: sub/bottom.yaml, inputs: numbers}\n"
    write(tmp_path, **{**THREE, "outer": outer})

    assert told(tmp_path) == ["sub/bottom.yaml:5:11 unknown-attribute"]


@pytest.mark.parametrize(
    "broken", ["stages: [", "stages: {a: }", "- a", "", "stages:\n  a: {use: print, inputs: b}"]
)
def test_a_broken_inner_file_is_told_in_that_file(tmp_path: Path, broken: str) -> None:
    outer = f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers}}\n{SHOW}"
    write(tmp_path, part=broken, outer=outer)

    found = [each for each in reading(tmp_path).findings if each.at.file.endswith("part.yaml")]

    assert found
    assert {str(each.at.includes()[0].line) for each in found} == {"3"}


def test_a_file_that_runs_itself_by_way_of_another_is_told(tmp_path: Path) -> None:
    one = "stages:\n  a: {pipeline: two.yaml}\n"
    two = "stages:\n  b: {pipeline: ./one.yaml}\n"
    write(tmp_path, outer=f"{OUTER}  part: {{pipeline: one.yaml}}\n", one=one, two=two)

    (found,) = (e for e in reading(tmp_path).findings if e.code == "recursive-pipeline")
    assert found.problem.replace(f"{tmp_path}/", "") == (
        "a file cannot run itself: one.yaml -> two.yaml -> one.yaml"
    )
    assert [place.line for place in found.at.includes()] == [2, 3]


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    write(tmp_path, outer=f"{OUTER}  part: {{pipeline: link.yaml}}\n")
    (tmp_path / "link.yaml").symlink_to("outer.yaml")

    assert "recursive-pipeline" in " ".join(told(tmp_path))


def test_levels_of_files_are_bounded(tmp_path: Path) -> None:
    for level in range(MOST_LEVELS + 5):
        deeper = f"stages:\n  down: {{pipeline: level{level + 1}.yaml}}\n"
        write(tmp_path, **{f"level{level}": deeper})

    (found,) = reading(tmp_path, "level0").findings

    assert found.code == "too-deep"
    assert len(found.at.includes()) == MOST_LEVELS


def test_a_file_that_doubles_at_each_level_is_bounded(tmp_path: Path) -> None:
    for level in range(12):
        text = "".join(f"  {side}: {{pipeline: level{level + 1}.yaml}}\n" for side in "ab")
        write(tmp_path, **{f"level{level}": f"stages:\n{text}"})
    write(tmp_path, level12="stages:\n  n: {use: range, with: {stop: 1}}\n")

    result = reading(tmp_path, "level0")

    assert {each.code for each in result.findings} == {"too-many-files"}
    assert MOST_FILES < 2**11


def test_what_is_secret_in_the_outer_file_stays_so_inside(tmp_path: Path) -> None:
    outer = (
        "params: {token: {type: string, secret: true}}\n"
        f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers, "
        f"with: {{key: '${{params.token}}'}}}}\n{SHOW}"
    )
    part = DOUBLE.replace(
        "inputs: [xs]", "params: {key: {minimum: 3, type: integer}}\ninputs: [xs]"
    )
    write(tmp_path, part=part, outer=outer)

    result = reading(tmp_path, token="hunter2")

    (found,) = result.findings
    assert "hunter2" not in str(found)
    write(tmp_path, part=part.replace("{minimum: 3, type: integer}", "none"))
    pipeline = reading(tmp_path, token="hunter2").require()
    inner = pipeline.stages[1].inner
    assert inner is not None
    assert (pipeline.secrets, inner.parameters) == (("hunter2",), {})


def test_a_file_for_use_as_a_stage_is_fine_alone(tmp_path: Path) -> None:
    write(tmp_path, part=SCALE)

    assert told(tmp_path, "part") == []


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ("inputs: [xs, xs]", ["1:14 duplicate-name"]),
        ("inputs: [xs, Twice]", ["1:14 duplicate-name"]),
        ("inputs: [xs, ys]", ["1:14 unread-input"]),
        ("inputs: xs", ["1:9 wrong-type"]),
        ("inputs: []", ["1:9 wrong-type"]),
        ("inputs: [xs, 3]", ["1:14 wrong-type"]),
        ("inputs: [xs, 'a b']", ["1:14 bad-value"]),
        ("inputs: [xs]\noutputs: {out: twise}", ["2:16 unknown-stage"]),
        ("inputs: [xs]\noutputs: {out: xs}", ["2:16 unknown-stage"]),
        ("inputs: [xs]\noutputs: {out: twice.masks}", ["2:16 unknown-port"]),
        ("inputs: [xs]\noutputs: {out: twice.errors}", ["2:16 unknown-port"]),
        ("inputs: [xs]\noutputs: {errors: twice}", ["2:11 bad-output"]),
        ("inputs: [xs]\noutputs: {unmatched: twice}", ["2:11 bad-output"]),
        ("inputs: [xs]\noutputs: {a b: twice}", ["2:11 bad-name"]),
        ("inputs: [xs]\noutputs: {out: [twice]}", ["2:16 wrong-type"]),
        ("inputs: [xs]\noutputs: [twice]", ["2:10 wrong-type"]),
        ("inputs: [xs]\noutputs: {out: '${params.x}'}", ["2:16 bad-value"]),
    ],
)
def test_mistakes_in_ports_are_told(tmp_path: Path, top: str, expected: list[str]) -> None:
    write(tmp_path, part=f"{top}\nstages:\n  twice: {{call: 'steps:double', inputs: xs}}\n")

    errors = [each for each in told(tmp_path, "part") if "unread-output" not in each]

    # Where no input could be read, nobody knows what `xs` is.
    assert errors[:1] == [f"part.yaml:{each}" for each in expected]
    assert {each.split(" ")[1] for each in errors[1:]} <= {"unknown-stage"}


def test_an_output_of_a_file_counts_as_read(tmp_path: Path) -> None:
    part = DOUBLE.replace("{out: twice}", "{masks: twice.masks}").replace(
        "inputs: xs}", "inputs: xs, outputs: [masks, edges]}"
    )
    write(tmp_path, part=part)

    found = reading(tmp_path, "part").findings

    assert [each.problem for each in found if each.code == "unread-output"] == [
        "nothing reads the output 'twice.edges'"
    ]


def test_a_mapping_finds_its_files_where_the_command_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, part=DOUBLE)
    monkeypatch.chdir(tmp_path)
    stages = {
        "numbers": {"use": "range", "with": {"stop": 2}},
        "part": {"pipeline": "part.yaml", "inputs": "numbers"},
        "show": {"use": "print", "inputs": "part"},
    }

    assert read({"stages": stages}, Settings(), {}).findings == ()


def test_files_of_any_length_are_bounded_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeflow.config.inclusion.MOST_TEXT", 200)
    outer = f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
    outer += "".join(f"  p{n}: {{pipeline: part.yaml, inputs: part}}\n" for n in range(4))
    write(tmp_path, part=DOUBLE, outer=outer)

    assert {each.code for each in reading(tmp_path).findings} >= {"too-many-files"}


def test_limits_of_an_inner_file_are_not_used_and_that_is_said(tmp_path: Path) -> None:
    outer = f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers}}\n{SHOW}"
    write(tmp_path, part=f"limits: {{processes: 2}}\n{DOUBLE}", outer=outer)

    assert told(tmp_path) == ["part.yaml:1:1 limits-of-a-part"]


def test_a_stage_of_an_inner_file_cannot_be_named_outside(tmp_path: Path) -> None:
    show = SHOW.replace("inputs: part", "inputs: part/twice")
    outer = f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers}}\n{show}"
    write(tmp_path, part=DOUBLE, outer=outer)

    (found,) = (e for e in reading(tmp_path).findings if e.severity is Severity.ERROR)
    assert found.code == "bad-value"
    assert found.hint.startswith("a file that a stage runs gives its outputs: inputs: part,")


@pytest.mark.parametrize("name", ["factor", "seen"])
@pytest.mark.parametrize("given", ["'${shared.seen}'", "[1, '${shared.seen}']"])
def test_state_of_the_outer_file_is_no_param(tmp_path: Path, given: str, name: str) -> None:
    write(
        tmp_path,
        part=SCALE.replace("minimum: 1", "default: 1"),
        outer=f"{OUTER}  part:\n    pipeline: part.yaml\n    inputs: numbers\n"
        f"    with: {{{name}: {given}}}\n"
        f"{SHOW}shared: {{seen: {{type: dict}}}}\n",
    )

    (finding,) = reading(tmp_path).findings

    assert (finding.code, finding.at.line) == ("bad-reference", 6)
    assert finding.at.file.endswith("outer.yaml")
    assert finding.problem.startswith("${shared.seen} cannot be handed to another file")


def test_state_that_no_stage_of_the_inner_file_uses_is_told_there_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        part=f"shared: {{seen: {{type: dict}}}}\n{DOUBLE}",
        outer=f"{OUTER}  part: {{pipeline: part.yaml, inputs: numbers}}\n"
        f"  again: {{pipeline: part.yaml, inputs: part}}\n{SHOW.replace('part', 'again')}",
    )

    assert {each.partition(" ")[2] for each in told(tmp_path)} == {"unused-shared"}
    assert {each.at.file.rpartition("/")[2] for each in reading(tmp_path).findings} == {"part.yaml"}

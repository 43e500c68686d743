"""The commands on files that run other files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.fakes import play
from tests.config.parts import DOUBLE, write

OUTER = """\
params: {stop: 3}
stages:
  numbers: {use: range, with: {stop: "${params.stop}"}}
  part: {pipeline: parts/part.yaml, inputs: numbers, with: {n: 5}}
  show: {use: print, inputs: part}
"""
PART = f"params: {{n: {{type: integer, minimum: 1, description: How many.}}}}\n{DOUBLE}"
PAIR = """\
inputs: [left, right]
outputs: {both: both}
stages:
  both: {call: 'steps:add', inputs: {x: left, n: right}}
"""


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, where it runs a pipeline."""
    return subprocess.run(
        [sys.executable, "-m", "pipeflow", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, outer=OUTER, parts__part=PART)
    return tmp_path


def test_a_part_is_validated_alone_and_with_its_folder() -> None:
    assert play("validate", "--strict", "parts/part.yaml")[0] == 0
    code, out, _ = play("validate", "--strict", ".")
    assert (code, out) == (0, "outer.yaml: ok\nparts/part.yaml: ok\n")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_part_is_neither_run_nor_planned_by_itself(command: str, tmp_path: Path) -> None:
    write(tmp_path, parts__part=DOUBLE)

    code, out, err = play(command, "parts/part.yaml")

    assert (code, out) == (2, "")
    assert err.startswith(
        "parts/part.yaml:1:1: error[part-of-another]: this file has 'inputs' or 'outputs': it is "
        "run as a stage of another file, not by itself\n    1 | inputs: [xs]\n"
    )


def test_plan_and_graph_show_the_stages_inside() -> None:
    _, plan, _ = play("plan", "outer.yaml")
    _, graph, _ = play("graph", "outer.yaml")
    _, part, _ = play("graph", "parts/part.yaml")

    assert "part/twice  steps:double" in plan
    assert "numbers -> part/twice" in plan
    assert "part/twice  (steps:double)\n  └──> show\n" in graph
    assert "xs  (input:xs)\n  └──> twice\n" in part


def test_show_keeps_the_stage_as_it_is_and_can_be_read_again(tmp_path: Path) -> None:
    code, shown, _ = play("show", "outer.yaml", "--param", "stop=7")

    (tmp_path / "again.yaml").write_text(shown, encoding="utf-8")
    assert code == 0
    assert "    pipeline: parts/part.yaml\n    inputs: numbers\n    with:\n      n: 5\n" in shown
    assert play("show", "again.yaml")[1] == shown


def test_until_names_a_stage_inside_or_the_stage_that_runs_the_file(tmp_path: Path) -> None:
    write(tmp_path, outer=OUTER + "tests: {it: {given: {numbers: [1]}, expect: {show: [2]}}}\n")
    take = ("--take", "2", "--executor", "inline", "--quiet")

    whole, inside = (
        command("run", "outer.yaml", "--until", target, *take) for target in ("part", "part/twice")
    )
    assert (whole.returncode, whole.stdout, whole.stderr) == (0, "0\n2\n", "")
    assert (inside.returncode, inside.stdout, inside.stderr) == (0, "0\n2\n", "")
    code, _, err = play("run", "outer.yaml", "--until", "part.masks", *take)
    assert (code, "there is no output 'part.masks'" in err) == (2, True)


def test_set_reaches_the_params_and_no_stage_inside() -> None:
    good = play("validate", "outer.yaml", "--set", "stages.part.with.n=2")
    bad = play("validate", "outer.yaml", "--set", "stages.part/twice.replicas=2")

    assert good[0] == 0
    assert bad[0] == 2
    assert "is closed: give it a param, and set stages.part.with.NAME" in bad[1]


def test_tests_of_both_files_pass(tmp_path: Path) -> None:
    tests = "tests: {it: {given: {%s: [1, 2]}, expect: {%s: [2, 4]}}}\n"
    write(
        tmp_path,
        outer=OUTER + tests % ("numbers", "part"),
        parts__part=PART + tests.replace("{given", "{params: {n: 1}, given") % ("xs", "twice"),
    )

    code, out, _ = play("test", ".")

    assert (code, out.count("PASSED")) == (0, 2)


def test_a_test_of_a_part_without_the_params_that_it_needs_is_told(tmp_path: Path) -> None:
    tests = "tests: {it: {given: {xs: [1, 2]}, expect: {twice: [2, 4]}}}\n"
    write(tmp_path, parts__part=PART + tests)

    code, out, err = play("test", "parts/part.yaml")

    assert code == 2
    assert "missing-param" in out + err


def test_the_schema_of_a_file_knows_params_and_inputs_of_the_files_it_runs(tmp_path: Path) -> None:
    outer = OUTER + "  two: {pipeline: pair.yaml, inputs: {left: part, right: numbers}}\n"
    outer += "  end: {use: print, inputs: two.both}\n"
    write(tmp_path, outer=outer, pair=PAIR)

    code, out, _ = play("schema", "outer.yaml", "--stages")

    assert code == 0
    schema = json.loads(out)
    cases = {
        rule["if"]["patternProperties"]["^pipeline$"]["const"]: rule["then"]["properties"]
        for rule in schema["definitions"]["stage"]["allOf"]
        if "const" in rule.get("if", {}).get("patternProperties", {}).get("^pipeline$", {})
    }
    params = cases["parts/part.yaml"]["with"]
    assert params["required"] == ["n"]
    assert params["properties"]["n"]["minimum"] == 1
    assert params["properties"]["n"]["description"] == "How many. Required."
    assert list(cases["pair.yaml"]["inputs"]["then"]["properties"]) == ["left", "right"]
    assert '"two.both"' in out


def test_a_failure_at_the_bottom_shows_the_files_that_led_there(tmp_path: Path) -> None:
    (tmp_path / "parts" / "steps.py").write_text("def double(x):\n    return x / 0\n")

    failed = command("run", "outer.yaml", "--executor", "inline", "--quiet")

    err = failed.stderr
    assert failed.returncode == 1
    assert (
        "parts/part.yaml:5:3: error[stage-failed]: stage 'part/twice' failed on item numbers:0: "
        "ZeroDivisionError: division by zero\n"
    ) in err
    assert "  included at outer.yaml:4:20 | part: {pipeline: parts/part.yaml" in err

"""``run``: what a file says of a program, and what is said of that."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeflow
from pipeflow.config.cursor import Cursor, Findings
from pipeflow.config.load import Loaded, load, resolved_yaml
from pipeflow.config.reader import read_text
from pipeflow.config.stage.edges import Inputs
from pipeflow.config.stage.program import judge_program
from pipeflow.errors import Finding
from pipeflow.spec.pipeline import Stage
from pipeflow.spec.program import ItemFormat, Program, ProgramMode
from pipeflow.spec.shapes import Shape
from pipeflow.stages.registry import stage_types


def loaded(stage: str, top: str = "", **environ: str) -> Loaded:
    """A file with a source, and behind it a stage that says this."""
    body = "".join(f"    {line}\n" for line in stage.splitlines())
    return load(
        "-",
        environ={"PATH": "/bin:/usr/bin", **environ},
        stage_types=stage_types(),
        search_path=(),
        stdin_text=f"{top}\nstages:\n  first:\n    run: [cat]\n  work:\n{body}",
    )


def work(stage: str, top: str = "") -> Stage:
    result = loaded(f"{stage}\ninputs: first", top)
    assert result.findings == ()
    assert result.pipeline is not None
    return result.pipeline.stages[1]


def findings(stage: str, **environ: str) -> tuple[Finding, ...]:
    return loaded(f"{stage}\ninputs: first", **environ).findings


def test_a_list_is_a_program_for_the_whole_stream() -> None:
    assert work("run: [sort, -n]").work == Program(command=("sort", "-n"))


def test_a_mapping_says_how_it_meets_the_items() -> None:
    made = work("run: {cmd: [cat], mode: item, format: jsonl}").work

    assert made == Program(command=("cat",), mode=ProgramMode.ITEM, format=ItemFormat.JSONL)


def test_arguments_are_taken_as_they_are_spelled() -> None:
    made = work("run: [head, -n, 05.0, 1e3, true, '${replica}', '$1', '']").work

    assert isinstance(made, Program)
    assert made.command == ("head", "-n", "05.0", "1e3", "true", "${replica}", "$1", "")


def test_defaults_reach_a_program_as_far_as_it_can_have_them() -> None:
    top = "defaults: {replicas: 3, on_error: skip, timeout: 2s}"

    whole = work("run: [cat]", top)
    single = work("run: {cmd: [cat], mode: each}", top)

    assert (whole.replicas, whole.on_error.then.value, whole.timeout_s) == (1, "stop", None)
    assert (single.replicas, single.on_error.then.value, single.timeout_s) == (3, "skip", 2.0)


def test_a_resolved_file_says_the_same() -> None:
    first = loaded("run: {cmd: [sed, -u, 's/a/${b}/'], mode: item}\ninputs: first")

    again = load(
        "-",
        environ={"PATH": "/bin:/usr/bin"},
        stage_types=stage_types(),
        search_path=(),
        stdin_text=resolved_yaml(first),
    )

    assert again.findings == ()
    assert again.pipeline is not None
    assert first.pipeline is not None
    assert again.pipeline.stages[1].work == first.pipeline.stages[1].work


def test_a_program_is_looked_for_where_the_stage_says(tmp_path: Path) -> None:
    tool = tmp_path / "my-tool"
    tool.write_text("#!/bin/sh\n")

    (missing,) = findings("run: [my-tool]", PATH=f"{tmp_path}:/bin:/usr/bin")
    tool.chmod(0o755)

    assert (missing.code, missing.severity.value) == ("unknown-program", "warning")
    assert findings("run: [my-tool]", PATH=f"{tmp_path}:/bin:/usr/bin") == ()
    assert findings(f"run: [my-tool]\nenv: {{PATH: '{tmp_path}'}}") == ()


def test_a_file_that_may_not_be_run_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tool.sh").write_text("#!/bin/sh\n")

    (finding,) = findings("run: [./tool.sh]")

    assert finding.problem == "there is no program './tool.sh' that may be run"
    assert finding.hint == "chmod +x ./tool.sh"


@pytest.mark.parametrize(
    ("run", "hint"),
    [
        ("sort -n", "run: [sort, -n]"),
        ("grep 'a b' x.txt", "run: [grep, 'a b', x.txt]"),
        ("it's", 'run: ["it\'s"]'),
        ("ls *.txt", "for what a shell does, start one: run: [sh, -c, 'ls *.txt']"),
        ("echo it's > a", "for what a shell does, start one: run: [sh, -c, 'echo it''s > a']"),
    ],
)
def test_a_command_line_is_answered_by_the_list_that_was_meant(run: str, hint: str) -> None:
    (finding,) = findings(f"run: {run}")

    assert finding.code == "wrong-type"
    assert finding.hint.replace("'it''s'", '"it\'s"') == hint


def test_what_is_no_argument_is_told_at_its_place() -> None:
    (finding,) = findings('run: [cat, "a\\0b"]')

    assert (finding.code, finding.at.column) == ("bad-run", 16)


@pytest.mark.parametrize("key", ["batch", "concurrency"])
def test_a_program_has_no_settings_that_are_for_functions(key: str) -> None:
    document = read_text(f"run: [cat]\n{key}: 3\n", "p.yaml")
    assert document.root is not None
    cursor = Cursor(document.root, (), frozenset(), Findings())

    judge_program(cursor, Program(command=("cat",)), Inputs())

    (finding,) = cursor.findings.found
    assert (finding.code, finding.at.line) == ("bad-run", 2)
    assert f"no '{key}'" in finding.problem


@pytest.mark.parametrize(
    ("mode", "shape", "keeps_state"),
    [
        ("stream", Shape.STREAM, True),
        ("item", Shape.FUNCTION, False),
        ("each", Shape.FUNCTION, False),
    ],
)
def test_a_program_is_planned_as_what_it_is_like(
    mode: str, shape: Shape, keeps_state: bool
) -> None:
    plan = pipeflow.plan(
        {
            "stages": {
                "source": {"use": "range", "with": {"stop": 3}},
                "work": {"run": {"cmd": ["cat"], "mode": mode}, "inputs": "source"},
                "end": {"use": "null", "inputs": "work"},
            }
        }
    )

    planned = plan.stages[1]
    assert (planned.shape, planned.keeps_state) == (shape, keeps_state)
    assert planned.program == Program(command=("cat",), mode=ProgramMode(mode))
    assert not planned.stdin
    assert plan.processes == 4  # the program is one of them


def test_a_program_for_the_whole_stream_is_one_even_if_keys_could_be_told() -> None:
    def stages(mode: str) -> dict[str, object]:
        run = {"cmd": ["cat"], "mode": mode}
        work = {"run": run, "inputs": "source", "replicas": 2, "partition": {"key": "item"}}
        return {"stages": {"source": {"use": "range", "with": {"stop": 3}}, "work": work}}

    assert pipeflow.plan(stages("item")).stages[1].replicas == 2
    with pytest.raises(pipeflow.InvalidPipeline, match="runs 'cat' for the whole stream, which"):
        pipeflow.plan(stages("stream"))


def test_an_item_keeps_its_id_through_a_program_that_answers_it() -> None:
    def stages(mode: str) -> dict[str, object]:
        program = {"run": {"cmd": ["cat"], "mode": mode}, "inputs": "source"}
        joined = {"use": "print", "inputs": {"a": "source", "b": "work"}}
        return {"source": {"use": "range", "with": {"stop": 3}}, "work": program, "both": joined}

    assert pipeflow.plan({"stages": stages("item")}).stages[2].join.value == "zip_by_id"
    assert pipeflow.plan({"stages": stages("each")}).stages[2].join.value == "zip_by_id"
    with pytest.raises(pipeflow.InvalidPipeline, match="is a program for the whole stream"):
        pipeflow.plan({"stages": stages("stream")})

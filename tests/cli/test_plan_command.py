"""``pipeflow plan`` as people and programs read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeflow.cli.main import main
from tests.cli.fakes import Terminal, Theatre, play

#: One doubt of the checks of the graph, one of the planner.
DOUBTFUL = """\
limits: {memory: 4GiB}
stages:
  numbers: {use: range, with: {stop: 3}}
  double: {use: map, with: {expr: item}, inputs: {from: numbers, capacity: {bytes: 8GiB}}}
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("doubtful.yaml").write_text(DOUBTFUL, encoding="utf-8")


WARNINGS = """\
doubtful.yaml:4:3: warning[unread-output]: nothing reads the output of 'double'
    4 |   double: {use: map, with: {expr: item}, inputs: {from: numbers, capacity: {bytes: 8GiB}}}
      |   ^^^^^^
  hint: add a stage with `inputs: double`; `use: 'null'` takes what nobody needs
doubtful.yaml:4:57: warning[capacity-lowered]: capacity of the edge from 'numbers' to 'double' is \
lowered from 8 GiB to 4 GiB, so that all fit in limits.memory
    4 |   double: {use: map, with: {expr: item}, inputs: {from: numbers, capacity: {bytes: 8GiB}}}
      |                                                         ^^^^^^^
  hint: raise limits.memory, or lower the capacities
"""


def test_each_warning_has_its_line_a_caret_and_a_hint() -> None:
    code, out, err = play("plan", "doubtful.yaml")

    plan, _, warnings = out.rpartition("\n\n")
    assert plan.startswith("doubtful (doubtful.yaml): 2 processes")
    assert (code, warnings, err) == (0, WARNINGS, "")


def test_a_run_tells_the_same_warnings_in_the_same_order() -> None:
    _, _, err = play("run", "--quiet", "doubtful.yaml")

    assert err == WARNINGS


def test_the_json_holds_each_warning_once_and_nothing_else_is_said() -> None:
    _, out, err = play("plan", "--format", "json", "doubtful.yaml")

    codes = [warning["code"] for warning in json.loads(out)["warnings"]]
    assert (codes, err) == (["unread-output", "capacity-lowered"], "")


def test_a_warning_has_one_form_in_the_json_of_all_commands() -> None:
    _, planned, _ = play("plan", "--format", "json", "doubtful.yaml")
    _, validated, _ = play("validate", "--format", "json", "doubtful.yaml")

    rows = json.loads(validated)
    assert [row["code"] for row in rows] == ["unread-output"]
    assert rows[0] in json.loads(planned)["warnings"]


@pytest.mark.parametrize("command", ["plan", "validate"])
@pytest.mark.parametrize(
    ("environ", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_warnings_are_coloured_where_the_terminal_can(
    command: str, environ: dict[str, str], colored: bool
) -> None:
    theatre = Theatre(stdout=Terminal(), environ=environ)

    main([command, "doubtful.yaml"], theatre.world)

    assert ("\x1b[1;33mwarning" in theatre.out) is colored

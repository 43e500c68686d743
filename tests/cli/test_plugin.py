"""A plug-in brings operators: listed, validated, completed and run like our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

pytestmark = pytest.mark.processes

PLUGIN: Final = Path(__file__).parents[1] / "plugin"
PIPELINE: Final = """\
stages:
  count: {use: acme/countdown, with: {start: 3}}
  thing: {use: acme/thing, inputs: count, with: {times: 3}}
  words: {use: acme/words, inputs: thing, with: {least: 2}}
  show: {use: print, inputs: words}
"""

Pipeflow = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def pipeflow(tmp_path: Path) -> Pipeflow:
    """Runs the command in a folder, with the plug-in installed as pip would."""
    site = tmp_path / "site-packages"
    shutil.copytree(PLUGIN / "acme_things", site / "acme_things")
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    info = site / "acme_things-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = "\n".join(
        f"{name} = {code}" for name, code in project["entry-points"]["pipeflow.operators"].items()
    )
    (info / "entry_points.txt").write_text(f"[pipeflow.operators]\n{points}\n")
    (tmp_path / "work").mkdir()

    def run(*arguments: str, text: str = PIPELINE) -> subprocess.CompletedProcess[str]:
        (tmp_path / "work/p.yaml").write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "pipeflow", *arguments],
            cwd=tmp_path / "work",
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    return run


def test_stages_lists_where_each_operator_comes_from(pipeflow: Pipeflow) -> None:
    listed = pipeflow("stages").stdout

    assert "Sources (built in)\n" in listed
    assert (
        "From acme-things 1.2\n"
        "  acme/countdown  Counts down to zero.\n"
        "  acme/thing      Repeats each item, as text.\n"
        "  acme/words      Gives the words of a text.\n"
    ) in listed
    assert "the code of a plug-in runs" not in listed


def test_an_operator_of_a_plugin_has_a_manual_page(pipeflow: Pipeflow) -> None:
    page = pipeflow("stages", "acme/thing").stdout

    assert page.startswith("# acme/thing\n\nRepeats each item, as text.\n\nNumbers are repeated")
    assert "It comes from acme-things 1.2." in page
    assert "- `times` (whole number, at least 1, at most 9, default `2`): How often." in page
    assert pipeflow("stages", "acme/words").stdout == (
        "# acme/words\n\nGives the words of a text.\n\nIt comes from acme-things 1.2.\n"
    )


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_operators_of_a_plugin_run(pipeflow: Pipeflow, executor: str) -> None:
    ended = pipeflow("run", "p.yaml", "--executor", executor, "--report", "report.json")

    assert (ended.returncode, ended.stdout) == (0, "333\n222\n111\n000\n"), ended.stderr


def test_validation_judges_their_parameters_and_runs_none_of_their_code(
    pipeflow: Pipeflow,
) -> None:
    broken = PIPELINE.replace("times: 3", "times: 10, cas: upper").replace("start: 3", "start: x")

    right = pipeflow("validate", "--strict", "p.yaml")
    wrong = pipeflow("validate", "p.yaml", text=broken)

    assert (right.returncode, right.stderr) == (0, ""), right.stdout
    assert "the code of a plug-in runs" not in right.stdout + wrong.stdout
    told = wrong.stdout + wrong.stderr
    assert wrong.returncode == 2
    assert "p.yaml:2:46: error[bad-value]: 'start' must be a whole number of at least 0" in told
    assert "error[out-of-range]: 'times' must be a whole number from 1 to 9, got 10" in told
    assert "error[unknown-parameter]: operator 'acme/thing' has no 'cas'" in told
    assert "hint: did you mean 'case'? parameters: times, case" in told


def test_what_its_parameters_say_together_is_judged_when_it_starts(pipeflow: Pipeflow) -> None:
    odd = PIPELINE.replace("times: 3", "times: 1, case: upper")

    read = pipeflow("validate", "--strict", "p.yaml", text=odd)
    ended = pipeflow("run", "p.yaml", text=odd)

    assert read.returncode == 0, read.stdout
    assert ended.returncode == 1
    assert "ValueError: acme/thing: one thing has no case; times: 2" in ended.stderr


def test_a_name_that_the_plugin_does_not_have_is_told(pipeflow: Pipeflow) -> None:
    told = pipeflow("validate", "p.yaml", text=PIPELINE.replace("acme/thing", "acme/thin"))

    assert "error[unknown-operator]: no operator 'acme/thin'" in told.stdout + told.stderr
    assert "did you mean 'acme/thing'?" in told.stdout + told.stderr


def test_the_schema_completes_their_names_and_parameters(pipeflow: Pipeflow) -> None:
    schema = json.loads(pipeflow("schema").stdout)

    text = json.dumps(schema)
    names = _consts(schema)
    assert {"acme/countdown", "acme/thing", "acme/words"} <= names
    assert "they become capitals" in text
    assert "How often." in text


def _consts(node: Any) -> set[str]:
    """All single values that a schema names."""
    if isinstance(node, dict):
        own = {node["const"]} if isinstance(node.get("const"), str) else set()
        return own.union(*map(_consts, node.values()))
    return set().union(*map(_consts, node)) if isinstance(node, list) else set()

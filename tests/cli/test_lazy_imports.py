"""A command loads what it needs: nobody waits for libraries that are not used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"jsonschema", "networkx", "rich", "numpy", "yaml", "importlib.metadata", "email"}

PROGRAM = """
import json, sys
from pipeflow.cli.main import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    """What a command has loaded of the heavy libraries."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "pipelines",
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    return HEAVY & set(modules)


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["run", "--help"], set()),
        (["explain", "cycle"], set()),
        (["stages"], set()),
        (["validate", "hello.yaml"], set()),
        (["plan", "hello.yaml"], set()),
        (["graph", "hello.yaml"], set()),
        (["run", "hello.yaml", "--quiet"], set()),
        (["show", "hello.yaml"], {"yaml"}),
    ],
)
def test_a_command_loads_only_what_it_needs(arguments: list[str], needed: set[str]) -> None:
    assert loaded(*arguments) == needed


def test_a_file_with_a_mistake_is_judged_by_jsonschema(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("stages: {a: {call: 3}}\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "validate", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )

    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 2
    assert "jsonschema" in modules

"""Every process of a run has the pipeflow that was called, though another is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pipeflow

pytestmark = pytest.mark.processes

STAGES = """
import pipeflow

def once(): return [0]
def where(_): return pipeflow.__file__
def keep(found): open("found", "w").write(found)
"""

PROGRAM = """
import pipeflow

if __name__ == "__main__":
    pipeflow.run("p.yaml", start_method={method!r})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a pipeline, and a pipeflow of its own."""
    shutil.copytree(Path(pipeflow.__file__).parent, tmp_path / "pipeflow")
    (tmp_path / "steps.py").write_text(STAGES, encoding="utf-8")
    stages = {
        "once": {"call": "steps:once"},
        "where": {"call": "steps:where", "inputs": "once"},
        "keep": {"call": "steps:keep", "inputs": "where"},
    }
    (tmp_path / "p.yaml").write_text(json.dumps({"stages": stages}), encoding="utf-8")
    return tmp_path


def found_by(folder: Path, *program: str) -> Path:
    subprocess.run([sys.executable, *program], cwd=folder, check=True, timeout=60)
    return Path((folder / "found").read_text(encoding="utf-8"))


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_the_workers_of_a_command_have_the_package_of_the_command(
    folder: Path, method: str
) -> None:
    found = found_by(folder, "-m", "pipeflow", "run", "p.yaml", "--start-method", method)

    assert found == folder / "pipeflow" / "__init__.py"


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_the_workers_of_a_program_have_the_package_that_it_has_imported(
    folder: Path, method: str
) -> None:
    (folder / "program.py").write_text(PROGRAM.format(method=method), encoding="utf-8")

    found = found_by(folder, "program.py")

    assert found == folder / "pipeflow" / "__init__.py"

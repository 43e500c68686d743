"""What is compiled at installation, and what happens where nothing can be."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STRETCH = Path("pipeflow/runtime/loops/stretch")

for needed in ("hatchling", "setuptools"):
    pytest.importorskip(needed, reason="only what builds pipeflow brings it")


def compile_in(folder: Path, compiler: str | None = None) -> int:
    """Run the hook's work on a copy of the sources; its exit code."""
    shutil.copytree(ROOT / STRETCH, folder / STRETCH, ignore=shutil.ignore_patterns("*.so"))
    environment = {"PATH": "/usr/bin:/bin"} | ({"CC": compiler} if compiler else {})
    command = [sys.executable, str(ROOT / ".ci" / "hatch_compile.py")]
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_the_module_lands_beside_its_source_and_nothing_else_is_left(tmp_path: Path) -> None:
    assert compile_in(tmp_path) == 0

    (made,) = (tmp_path / STRETCH).glob("*.so")
    assert made.name.startswith("_compiled.")
    assert [each.name for each in tmp_path.iterdir()] == ["pipeflow"]


def test_without_a_compiler_there_is_no_module_and_no_failure_but_a_word(tmp_path: Path) -> None:
    assert compile_in(tmp_path, compiler="/bin/false") == 1

    assert not list((tmp_path / STRETCH).glob("*.so"))

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = """\
stages:
  numbers: {use: range, with: {stop: 3}}
  square: {call: 'work:square', inputs: numbers}
  end: {use: print, inputs: square}
tests:
  right: {given: {numbers: [2, 3]}, expect: {square: [4, 9]}}
  wrong:
    given: {numbers: [2]}
    expect: {square: [5]}
"""

WORK = "def square(x):\n    print('saw', x)\n    return x * x\n"

pytestmark = pytest.mark.processes


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """A pytest of its own, which knows the plug-in as this one does or by its name."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments],
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=50,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "work.py").write_text(WORK, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["pipeflow.yaml", "photos.pipeflow.yaml"])
def test_tests_of_pipeline_files_are_items_with_a_readable_failure(
    project: Path, name: str
) -> None:
    (project / name).write_text(PIPELINE, encoding="utf-8")

    code, out = run(project)

    assert code == 1
    assert "1 failed, 1 passed" in out
    assert f"{name}:9:22: error[test-failed]: 'square': 1 of 1 item is not as expected" in out
    assert "    - 5\n    + 4\n" in out
    assert "square: saw 2" in out
    assert "Traceback" not in out
    assert f"FAILED {name}::wrong" in out
    assert run(project, f"{name}::right")[0] == 0


def test_other_files_are_collected_where_the_option_says_so(project: Path) -> None:
    (project / "flows").mkdir()
    (project / "flows/work.py").write_text(WORK, encoding="utf-8")
    (project / "flows/a.yaml").write_text(PIPELINE, encoding="utf-8")
    (project / "b.yml").write_text(PIPELINE, encoding="utf-8")

    assert run(project)[0] == 5  # none collected

    (project / "pytest.ini").write_text("[pytest]\npipeflow_files = flows/*.yaml b.yml\n")
    assert "2 failed, 2 passed" in run(project)[1]


def test_a_mistake_in_a_file_is_told_with_its_place(project: Path) -> None:
    (project / "pipeflow.yaml").write_text(PIPELINE.replace("square: [5]", "sqare: [5]"))

    code, out = run(project)

    assert code == 2
    assert "pipeflow.yaml:9:14: error[unknown-stage]: test 'wrong' names 'sqare'" in out
    assert "did you mean 'square'?" in out


def test_a_pytest_without_pipeline_files_loads_nothing_more(project: Path) -> None:
    (project / "test_it.py").write_text(
        "import sys\n\n\ndef test_it():\n"
        "    ours = {name for name in sys.modules if name.split('.')[0] == 'pipeflow'}\n"
        "    assert ours == {'pipeflow', 'pipeflow.testing', 'pipeflow.testing.pytest_plugin'}\n"
        "    assert 'numpy' not in sys.modules and 'yaml' not in sys.modules\n"
    )
    (project / "other.yaml").write_text("a: 1\n")

    code, out = run(project)

    assert code == 0, out

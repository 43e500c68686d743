from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeflow.cli.init import NAMES, TEMPLATES, template
from pipeflow.cli.write_schema import MODELINE
from tests.cli.fakes import play

#: What a run of each leaves in its folder, beside what was written.
MADE = {
    "minimal": set(),
    "images": {"broken.jsonl", "hills.pgm", "moon.pgm", "waves.pgm"},
    "etl": {"broken.jsonl", "orders.csv"},
    "stream": {"means.jsonl"},
}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_folder_of_templates_is_one_that_can_be_asked_for() -> None:
    assert {path.name for path in TEMPLATES.iterdir() if path.is_dir()} == set(NAMES)


@pytest.mark.processes
@pytest.mark.parametrize("name", NAMES)
def test_a_new_project_runs(name: str, tmp_path: Path) -> None:
    assert play("init", "x", "--template", name)[0] == 0

    subprocess.run(
        [sys.executable, "-m", "pipeflow", "run", "pipeline.yaml"],
        cwd=tmp_path / "x",
        check=True,
        timeout=50,
        capture_output=True,
    )

    assert {path.name for path in (tmp_path / "x/out").glob("*")} == MADE[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_new_project_passes_its_tests_and_the_strictest_check(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert play("init", "x", "--template", name)[0] == 0
    monkeypatch.chdir(tmp_path / "x")

    tested, told, _ = play("test")

    assert (tested, "FAILED" in told, "PASSED" in told) == (0, False, True)
    assert play("validate", "--strict", "pipeline.yaml") == (0, "pipeline.yaml: ok\n", "")


@pytest.mark.parametrize("name", NAMES)
def test_the_editor_knows_a_new_project(name: str, tmp_path: Path) -> None:
    play("init", "x", "--template", name)

    assert (tmp_path / "x/pipeline.yaml").read_text("utf-8").splitlines()[0] == MODELINE
    _, _, err = play("validate", "--write-schema", "x/pipeline.yaml")
    assert err == f"{tmp_path}/x/.pipeflow/schema.json is fresh\n"


@pytest.mark.parametrize("name", NAMES)
def test_tests_of_a_new_project_can_fail(name: str, tmp_path: Path) -> None:
    play("init", "x", "--template", name)
    (module,) = (tmp_path / "x").glob("*.py")
    text = module.read_text("utf-8")
    wrong = {
        "minimal": ("number * number", "number + number"),
        "images": ("* width //", "* 2 * width //"),
        "etl": (".strip()", ""),
        "stream": ("/ len(last)", "/ 2"),
    }[name]
    module.write_text(text.replace(*wrong), encoding="utf-8")
    assert text != module.read_text("utf-8")

    assert play("test", "x")[0] == 1


def test_it_says_what_it_wrote_and_what_to_do_next() -> None:
    code, out, err = play("init", "x")

    assert code == 0
    assert out.splitlines()[:4] == [
        "next:",
        "  cd x",
        "  pipeflow run pipeline.yaml",
        "  pipeflow test",
    ]
    assert err.splitlines() == [
        *("wrote x/README.md", "wrote x/pipeline.yaml", "wrote x/steps.py"),
        "wrote x/.pipeflow/schema.json",
        f"editors know it by the first line of pipeline.yaml: {MODELINE}",
    ]


def test_this_folder_can_be_made_a_project(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")

    code, out, _ = play("init", ".")

    assert code == 0
    assert "cd " not in out
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_folder_with_files_of_the_same_names_is_refused_and_stays_as_it_is(
    tmp_path: Path,
) -> None:
    (tmp_path / "steps.py").write_text("mine", encoding="utf-8")

    code, _, err = play("init", ".")

    assert code == 2
    assert err == "pipeflow: error: '.' has steps.py already; nothing was written\n"
    assert [path.name for path in tmp_path.iterdir()] == ["steps.py"]
    assert play("init", "steps.py")[2] == "pipeflow: error: 'steps.py' is a file, not a folder\n"


def test_what_python_leaves_behind_is_no_part_of_a_template() -> None:
    for name in NAMES:
        assert not [file for file in template(name) if "__pycache__" in file]

"""The project as a whole: one version, a wheel with all in it, documents that tell the truth."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

import pipeflow
from tests.mutations.catalogue import MUTATIONS

ROOT: Final = Path(__file__).parent.parent

#: Places that mean something on one machine only (``/usr``, ``/proc``, ``/dev`` are on all).
MACHINE_PATHS: Final = re.compile(r"(?<![\w.])/(?:work|root)/\w+|(?<![\w.])/tmp/(?:venv|prompts)")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return settings


def tracked_files() -> list[Path]:
    """What git knows; outside a clone (an unpacked sdist) there is nothing to look at."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git clone")
    listing = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def test_there_is_one_version(project: dict[str, Any]) -> None:
    declared = project["project"]["version"]

    assert pipeflow.__version__ == declared
    assert metadata.version("pipeflow") == declared
    assert f"## {declared}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_ruff_exception_has_its_reason(project: dict[str, Any]) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.findall(r'^ +"[A-Z]+[0-9]*",?(.*)$', text, flags=re.MULTILINE)

    assert project["tool"]["ruff"]["lint"]["select"] == ["ALL"]
    assert len(listed) >= len(project["tool"]["ruff"]["lint"]["ignore"])
    assert [line for line in listed if not re.match(r' +# ["\w]', line)] == []


def test_the_folders_are_those_of_the_architecture() -> None:
    drawing = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("```")[1]
    drawn = set(re.findall(r"^(\w+)/", drawing, flags=re.MULTILINE))

    folders = {init.parent.name for init in (ROOT / "pipeflow").glob("*/__init__.py")}

    assert folders == drawn


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked_files()
        if path != Path(__file__)
        for match in MACHINE_PATHS.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]

    assert found == []


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("changelog.d/*.md")]
    broken = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
        if "://" not in target and not (document.parent / target).exists()
    ]

    assert broken == []


@pytest.mark.processes
def test_the_wheel_holds_the_package_and_the_schemas(tmp_path: Path) -> None:
    if find_spec("hatchling") is None:
        pytest.skip(
            "hatchling is not installed here, and tests download nothing: wheel NOT checked"
        )

    subprocess.check_call(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "pipeflow").rglob("*.py")}
    assert modules <= names
    assert {"pipeflow/py.typed", "pipeflow/schemas/pipeline.schema.json"} <= names
    assert "pipeflow/cli/examples.json" in names
    templates = (ROOT / "pipeflow/templates").rglob("*.*")
    files = {str(path.relative_to(ROOT)) for path in templates if path.suffix != ".pyc"}
    assert "pipeflow/templates/images/photos/hills.pgm" in files
    assert files <= names
    assert not [name for name in names if name.startswith(("tests/", "pipelines/"))]


def test_s27_there_are_few_dependencies_at_run_time(project: dict[str, Any]) -> None:
    names = {re.split(r"[<>=~!;\[ ]", each)[0] for each in project["project"]["dependencies"]}

    assert names == {"docstring-parser", "jsonschema", "networkx", "numpy", "pyyaml", "rich"}


def test_each_mutation_has_its_place_in_the_source_and_tests_that_there_are() -> None:
    texts = {each.file: (ROOT / "pipeflow" / each.file).read_text("utf-8") for each in MUTATIONS}

    stale = [each.name for each in MUTATIONS if texts[each.file].count(each.old) != 1]
    files = {name.partition("::")[0] for each in MUTATIONS for name in each.tests}

    assert stale == []
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []

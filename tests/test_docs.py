"""The documents: reference pages are fresh, and what stands in a code block is true."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
import yaml

from pipeflow.telemetry.report import EdgeFacts, Report, StageFacts

ROOT: Final = Path(__file__).parent.parent
DOCUMENTS: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


@pytest.fixture(scope="module")
def make_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs/make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_blocks(document: Path, language: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["keys.md", "operators.md", "errors.md"])
def test_a_reference_page_is_fresh(make_reference: ModuleType, page: str) -> None:
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")

    assert written == make_reference.pages()[page], "run: python docs/make_reference.py"


def test_every_error_code_has_a_fresh_page_and_no_other_has(make_reference: ModuleType) -> None:
    pages = {f"errors/{path.name}": path for path in (ROOT / "docs/errors").glob("*.md")}
    made = {name: text for name, text in make_reference.pages().items() if "/" in name}

    assert set(pages) == set(made)
    stale = [name for name, path in pages.items() if path.read_text("utf-8") != made[name]]
    assert stale == [], "run: python docs/make_reference.py"


def test_the_examples_that_explain_shows_are_fresh(make_reference: ModuleType) -> None:
    written = make_reference.EXAMPLES.read_text(encoding="utf-8")

    assert written == make_reference.examples_text(), "run: python docs/make_reference.py"
    assert len(make_reference.examples()) > 80


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_yaml_block_can_be_read(document: Path) -> None:
    for block in code_blocks(document, "yaml"):
        assert yaml.safe_load(block) is not None or block.startswith("# yaml-language-server")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_python_block_compiles(document: Path) -> None:
    for block in code_blocks(document, "python"):
        compile(block, str(document), "exec", dont_inherit=True)


def test_the_readme_names_every_example() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    missing = [
        path.name
        for path in (ROOT / "pipelines").glob("*.yaml")
        if f"(pipelines/{path.name})" not in readme
    ]

    assert missing == []


def test_what_the_page_of_speed_names_of_a_report_stands_in_one() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    table = page.partition("| in the report |")[2].partition("\n\n")[0]
    parts = (Report, StageFacts, EdgeFacts)
    known = {field.name for part in parts for field in dataclasses.fields(part)}

    named = re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE)

    assert len(named) > 5
    assert [name for name in named if name not in known] == []


def test_every_change_file_has_a_known_kind() -> None:
    names = [path.name for path in (ROOT / "changelog.d").glob("*.md") if path.name != "README.md"]

    assert names
    assert all(re.fullmatch(r"[\w-]+\.(added|changed|fixed|removed)\.md", name) for name in names)


def test_the_page_of_faults_has_every_row_and_names_tests_that_there_are() -> None:
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([FS]\d\d) \|", page, flags=re.MULTILINE)
    files = (file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    tests = {name for text in files for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}

    named = re.findall(r"`(test_\w+)`", page)

    assert rows == [*(f"F{n:02}" for n in range(1, 61)), *(f"S{n:02}" for n in range(1, 28))]
    assert [name for name in named if name not in tests] == []

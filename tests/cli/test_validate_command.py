import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeflow
from pipeflow.api import Reading
from pipeflow.cli.codes import CODES
from pipeflow.cli.main import main
from pipeflow.errors import Severity
from tests.cli.fakes import Theatre, finding, reading

GOOD = reading()
BAD = reading(None, finding())
DOUBTFUL = reading(None, finding("unread-output", Severity.WARNING))


def play(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, Reading], *arguments: str
) -> tuple[int, Theatre]:
    theatre = Theatre()
    monkeypatch.setattr("pipeflow.cli.reading.read", lambda file, *_, **__: found[file])
    return main(["validate", *found, *arguments], theatre.world), theatre


def test_a_good_file_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    code, theatre = play(monkeypatch, {"a.yaml": GOOD})

    assert (code, theatre.out, theatre.err) == (0, "a.yaml: ok\n", "")


def test_a_name_of_several_lines_is_told_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _, theatre = play(monkeypatch, {"a\nb\x1b.yaml": GOOD})

    assert theatre.out == "a\\x0ab\\x1b.yaml: ok\n"


def test_mistakes_are_answers_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    code, theatre = play(monkeypatch, {"a.yaml": BAD, "b.yaml": GOOD, "c.yaml": DOUBTFUL})

    assert code == 2
    assert "a.yaml:6:13: error[unknown-stage]: no stage 'fnid'" in theatre.out
    assert "b.yaml: ok" in theatre.out
    assert theatre.err == "1 error, 1 warning in 2 files\n"


@pytest.mark.parametrize(("more", "expected"), [((), 0), (("--strict",), 2)])
def test_warnings_fail_only_when_strict(
    monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], expected: int
) -> None:
    code, theatre = play(monkeypatch, {"a.yaml": DOUBTFUL}, *more)

    assert code == expected
    assert theatre.err == "1 warning in 1 file\n"


def test_json_is_nothing_but_json(monkeypatch: pytest.MonkeyPatch) -> None:
    code, theatre = play(monkeypatch, {"a.yaml": BAD, "b.yaml": GOOD}, "--format", "json")

    [row] = json.loads(theatre.out)
    assert code == 2
    assert (row["code"], row["line"], row["column"]) == ("unknown-stage", 6, 13)


def test_github_gets_a_workflow_command_for_each_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    code, theatre = play(monkeypatch, {"a.yaml": BAD}, "--format", "github")

    assert code == 2
    assert theatre.out == (
        "::error file=a.yaml,line=6,col=13,endColumn=17,title=unknown-stage"
        "::no stage 'fnid'%0Ahint: did you mean 'find'?\n"
    )


def test_sarif_has_a_result_with_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    _, theatre = play(monkeypatch, {"a.yaml": BAD}, "--format", "sarif")

    log = json.loads(theatre.out)
    [result] = log["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert log["version"] == "2.1.0"
    assert (result["ruleId"], result["level"]) == ("unknown-stage", "error")
    assert region == {"startLine": 6, "startColumn": 13, "endColumn": 17}


def test_every_code_of_a_finding_can_be_explained() -> None:
    used = {code for package in ("config", "planner") for code in _codes(package)}

    assert used
    assert used - set(CODES) == set()


def test_every_code_that_can_be_explained_is_given_somewhere() -> None:
    assert pipeflow.__file__ is not None
    files = [file for file in Path(pipeflow.__file__).parent.rglob("*.py") if file.stem != "codes"]
    texts = {
        node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert set(CODES) - texts == set()


def _codes(package: str) -> Iterator[str]:
    """What stands as ``code="..."`` anywhere in a package."""
    assert pipeflow.__file__ is not None
    for file in (Path(pipeflow.__file__).parent / package).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code":
                value = getattr(node.value, "value", None)
                if isinstance(value, str):
                    yield value

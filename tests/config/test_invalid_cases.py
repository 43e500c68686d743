"""Each bad file under ``tests/cases/invalid`` earns exactly the messages that it opens with.

A head is made of comment lines, in the order of the findings::

    # 7:5: error[unknown-key]: stage 'load' has no option 'replica'
    #   hint: did you mean 'replicas'? options: ...

Lines and columns count the whole file, head included.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeflow.config.load import Loaded, load
from pipeflow.errors import Finding, InvalidPipeline, Severity
from pipeflow.planner.checks import check
from pipeflow.planner.make import make_plan
from pipeflow.planner.plan import Machine
from pipeflow.stages.registry import stage_types

CASES = Path(__file__).resolve().parents[1] / "cases"
INVALID = sorted((CASES / "invalid").glob("*.yaml"))
VALID = sorted(path for path in (CASES / "valid").iterdir() if path.suffix in {".yaml", ".json"})
MACHINE = Machine(cores=2, memory=2**33)
ENVIRON = {"HOME": "/home/somebody", "LANG": "C"}


def judge(path: str | Path, **more: object) -> tuple[Finding, ...]:
    """What the loader says of a file, and then the planner; doubts only where no mistake is."""
    loaded = read(path, **more)
    findings = list(loaded.findings)
    if loaded.pipeline is not None:
        findings += check(loaded.pipeline)
    if loaded.pipeline is not None and not any(map(is_error, findings)):
        try:
            findings += make_plan(loaded.pipeline, MACHINE).warnings
        except InvalidPipeline as refused:
            findings += refused.findings
    # A mistake can hide an edge, and then a stage seems to have no reader.
    mistakes = [finding for finding in findings if is_error(finding)]
    return tuple(sorted(dict.fromkeys(mistakes or findings), key=lambda each: (each.at, each.code)))


def read(path: str | Path, **more: object) -> Loaded:
    return load(
        path,
        environ=ENVIRON,
        stage_types=stage_types(),
        search_path=(),
        **more,  # type: ignore[arg-type]  # options of load, given by name
    )


def is_error(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR


def told(findings: Sequence[Finding]) -> list[str]:
    """Findings as a head tells them."""
    lines = []
    for finding in findings:
        at, what = finding.at, f"{finding.severity.value}[{finding.code}]"
        lines.append(f"{at.line}:{at.column}: {what}: {finding.problem}")
        if finding.hint:
            lines.append(f"  hint: {finding.hint}")
    return lines


def head(path: Path) -> list[str]:
    """The comment that a case opens with, up to the first line that is none of it."""
    lines = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not re.match(r"# (\d+:\d+: (error|warning)\[|  hint: )", line):
            break
        lines.append(line.removeprefix("# "))
    return lines


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_bad_file_earns_the_messages_that_it_opens_with(path: Path) -> None:
    findings = judge(path)

    assert told(findings) == head(path)
    assert findings


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_good_file_earns_no_error(path: Path) -> None:
    findings = judge(path)

    assert told(findings) == head(path)
    assert not any(map(is_error, findings))


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_every_place_lies_inside_the_file(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")

    for finding in judge(path):
        assert 1 <= finding.at.line <= len(lines)
        assert 1 <= finding.at.column <= len(lines[finding.at.line - 1]) + 1


def test_seven_different_mistakes_give_seven_errors() -> None:
    findings = judge(CASES / "invalid" / "seven-mistakes.yaml")

    assert len(findings) == 7
    assert len({finding.code for finding in findings}) >= 6
    assert all(map(is_error, findings))


def test_mistakes_in_scalar_key_edge_call_and_parameter_show_all_at_once() -> None:
    findings = judge(CASES / "invalid" / "one-mistake-of-each-kind.yaml")

    assert len(findings) == 5
    assert [finding.code for finding in findings] == [
        "leading-zero",
        "unknown-attribute",
        "unknown-stage",
        "unknown-parameter",
        "unknown-key",
    ]


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_every_mistake_has_a_hint(path: Path) -> None:
    lines = head(path)

    following = zip(lines, [*lines[1:], ""], strict=True)
    without = [one for one, two in following if not (one + two).count("  hint: ")]
    assert without == []

"""Findings as text and as JSON."""

from __future__ import annotations

import json

from pipeflow.config.render import render_json, render_text
from pipeflow.errors import Finding, Location, Severity


def finding(
    line: int, column: int, *, problem: str = "it is wrong", hint: str = "", length: int = 1
) -> Finding:
    return Finding(
        at=Location("p.yaml", line, column),
        code="some-code",
        problem=problem,
        hint=hint,
        length=length,
    )


def test_a_finding_shows_its_place_its_line_a_caret_and_its_hint() -> None:
    source = "version: 1\nstages:\n  load: 3\n"

    text = render_text([finding(3, 9, hint="write a mapping", length=1)], {"p.yaml": source})

    assert text == (
        "p.yaml:3:9: error[some-code]: it is wrong\n"
        "    3 |   load: 3\n"
        "      |         ^\n"
        "  hint: write a mapping\n"
    )


def test_the_caret_stands_below_its_place_behind_tabs_and_wide_characters() -> None:
    source = "\t名前: x"

    text = render_text([finding(1, 6, length=1)], {"p.yaml": source})

    _, shown, caret = text.splitlines()
    # Each of the two characters fills two columns of a terminal, so the caret lies two further.
    assert shown.index("x") + 2 == caret.index("^")


def test_a_finding_without_a_line_in_the_file_shows_no_excerpt() -> None:
    beyond = render_text([finding(9, 1)], {"p.yaml": "a: 1\n"})
    unknown = render_text([finding(1, 1)], {})

    assert beyond == "p.yaml:9:1: error[some-code]: it is wrong\n"
    assert unknown == "p.yaml:1:1: error[some-code]: it is wrong\n"


def test_control_and_direction_characters_reach_no_terminal() -> None:
    evil = "name \x1b[2J \u202e reversed"

    text = render_text([finding(1, 1, problem=evil, hint=evil)], {"p.yaml": evil})

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2J" in text
    assert "\\u202e" in text


def test_all_findings_are_shown_however_many() -> None:
    many = [finding(line, 1) for line in range(1, 31)]

    assert render_text(many, {}).count("error[") == 30


def test_a_long_line_is_cut_round_the_place() -> None:
    source = "x" * 5000 + "HERE" + "y" * 5000

    text = render_text([finding(1, 5001, length=4)], {"p.yaml": source})

    _, shown, caret = text.splitlines()
    assert len(shown) < 200
    assert shown.index("HERE") == caret.index("^")
    assert caret.count("^") == 4


def test_colours_are_used_only_on_request() -> None:
    found = [finding(1, 1)]

    assert "\x1b[" in render_text(found, {}, color=True)
    assert "\x1b[" not in render_text(found, {}, color=False)


def test_json_holds_every_finding_with_its_place() -> None:
    warning = Finding(
        at=Location("p.yaml", 2, 3),
        code="unread",
        problem="nothing reads it",
        severity=Severity.WARNING,
    )

    rows = json.loads(render_json([warning] * 30))

    assert len(rows) == 30
    assert rows[0] == {
        "path": "p.yaml",
        "line": 2,
        "column": 3,
        "length": 1,
        "severity": "warning",
        "code": "unread",
        "message": "nothing reads it",
        "hint": "",
    }


def test_no_findings_give_no_text() -> None:
    assert render_text([], {}) == ""

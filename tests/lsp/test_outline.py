"""The names in a pipeline file, without a server: found in every form, in every half-typed text."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from pipeflow.lsp.checking import findings
from pipeflow.lsp.outline import Kind, Name, outline
from pipeflow.lsp.rename import renamed
from pipeflow.lsp.words import Surroundings, hover

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = sorted((ROOT / "pipelines").glob("*.yaml"))

TEXT: Final = """params: {size: 3, "other": "${params.size}"}
x-base: &base {inputs: first}
stages:
  first: {use: range, with: {stop: "${params.size}"}}
  'second':
    call: mod:fun
    inputs: [first, {from: first.errors, capacity: 3}]
  third: {use: print, inputs: {left: "second", right: {from: 'second'}}}
  fourth: {use: print, <<: *base}
"""


def places(kind: Kind, name: str) -> list[tuple[int, int]]:
    return [
        (one.line, one.column)
        for one in outline(TEXT).names
        if (one.kind, one.text) == (kind, name)
    ]


def test_a_stage_is_found_wherever_it_is_named() -> None:
    # What comes in by a merge key stands at its anchor.
    assert places(Kind.STAGE, "first") == [(2, 24), (4, 3), (7, 14), (7, 28)]
    assert places(Kind.STAGE, "second") == [(5, 4), (8, 39), (8, 63)]


def test_params_calls_and_operators_are_found_too() -> None:
    assert places(Kind.PARAM, "size") == [(1, 10), (1, 38), (4, 46)]
    assert places(Kind.CALL, "mod:fun") == [(6, 11)]
    assert len(places(Kind.USE, "print")) == 2


def test_shared_state_is_found_where_it_is_declared_and_used() -> None:
    text = 'shared: {seen: {type: dict}}\nstages: {a: {call: "m:f", with: {b: "${shared.seen}"}}}\n'
    file = outline(text)
    name = file.at(1, 10)

    assert name is not None
    assert [(one.line, one.column, one.stage) for one in file.same(name)] == [
        (1, 10, ""),
        (2, 47, "a"),
    ]
    assert renamed(name, "known", file) == file.same(name)
    assert hover(name, file, Surroundings(folder=".", search_path=(), operators={})) == (
        "**shared `seen`**\n\ntype: `dict`\n\nShared by `a`."
    )


def test_a_name_is_found_by_any_place_that_touches_it() -> None:
    file = outline(TEXT)

    at_ends = [file.at(4, 3), file.at(4, 8)]

    assert [name and name.text for name in at_ends] == ["first", "first"]
    assert file.at(4, 9) is None


def test_a_rename_that_would_leave_a_place_out_is_refused() -> None:
    file = outline("stages:\n  a: {use: print}\n  a: {use: print}\n")
    name = file.at(2, 3)
    assert name is not None

    assert isinstance(renamed(name, "b", file), str)


def test_what_a_call_names_is_not_renamed_here() -> None:
    file = outline(TEXT)
    name = Name(kind=Kind.CALL, text="mod:fun", line=6, column=11)

    assert (
        renamed(name, "other", file) == "only stages, params and shared state can be renamed here"
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_no_half_typed_text_is_too_much(example: Path) -> None:
    text = example.read_text(encoding="utf-8")

    for length in range(0, len(text), 23):
        half = text[:length]
        outline(half)
        for finding in findings(str(example), half, {}):
            assert 1 <= finding.at.line <= half.count("\n") + 1


def test_what_tests_name_is_found_with_the_rest() -> None:
    text = (
        "params: {n: 1}\nstages:\n  a: {use: range, with: {stop: 1}}\n"
        "tests:\n  it: {params: {n: 2}, given: {a: []}, expect: {'a.errors': []}}\n"
    )

    found = outline(text)

    assert found.whole
    stages = [(one.line, one.column, one.defines) for one in found.names if one.text == "a"]
    assert stages == [(3, 3, True), (5, 32, False), (5, 50, False)]
    assert [(one.line, one.column) for one in found.names if one.text == "n"] == [(1, 10), (5, 17)]

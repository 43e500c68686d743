from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeflow.config.load import load
from pipeflow.spec.pipeline import Expected
from pipeflow.stages.registry import stage_types
from pipeflow.testing.comparing import as_written, same
from pipeflow.testing.updating import updated

HEAD = "stages:\n  find: {use: range, with: {stop: 3}}\n  end: {use: print, inputs: find}\ntests:\n"


def expectations(text: str) -> tuple[Expected, ...]:
    loaded = load("p.yaml", text=text, environ={}, stage_types=stage_types())
    assert loaded.pipeline is not None
    assert loaded.findings == ()
    return tuple(each for test in loaded.pipeline.tests for each in test.expect)


def after(body: str, *came: list[Any]) -> str:
    text = HEAD + body
    seen = list(zip(expectations(text), came, strict=True))
    return updated("p.yaml", text, seen).removeprefix(HEAD)


def test_a_list_in_brackets_stays_in_brackets_and_comments_stay() -> None:
    body = "  one:  # first\n    expect: {find: [1, 2]}  # here\n  # end\n"

    assert after(body, [3, "a b", None]) == body.replace("[1, 2]", "[3, a b, null]")


def test_a_list_in_a_column_stays_one() -> None:
    body = "  one:\n    expect:\n      find:\n        - 1  # old\n        - [2]\n\n      # and\n"
    body += "      end: []\n"

    assert after(body, ["x", {"a": 1}], []) == body.replace(
        "- 1  # old\n        - [2]", "- x\n        - {a: 1}"
    )


def test_a_list_that_grows_too_long_becomes_a_column() -> None:
    body = "  one:\n    expect:\n      find: []\n      end: {count: 0}\n"

    new = after(body, ["x" * 60, "y" * 60], [])

    assert new == body.replace("find: []", f"find:\n        - {'x' * 60}\n        - {'y' * 60}")


def test_lines_end_as_they_did() -> None:
    body = "  one:\n    expect:\n      find:\n        - 1\n"
    text = (HEAD + body).replace("\n", "\r\n")

    new = updated("p.yaml", text, [(expectations(text)[0], [2, 3])])

    assert new == text.replace("- 1", "- 2\r\n        - 3")


def test_a_count_is_a_number_at_its_place() -> None:
    body = "  one:\n    expect: {find: {each: 'item', count: 2}, end: {count: 1}}\n"

    assert after(body, [1, 2, 3], [1]) == body.replace("count: 2", "count: 3")


def test_what_came_in_by_a_reference_is_left() -> None:
    text = (
        "params:\n  items: {type: list, default: [1]}\n"
        + HEAD
        + '  one: {expect: {find: "${params.items}"}}\n'
    )

    assert updated("p.yaml", text, [(expectations(text)[0], [2])]) == text


def test_what_stands_in_another_file_is_left(tmp_path: Path) -> None:
    text = HEAD + "  one: {expect: {find: [1]}}\n"

    assert updated("other.yaml", text, [(expectations(text)[0], [2])]) == text


ITEMS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats()
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from(["no", "1e3", "0x1f", "$${a}", "${params.x}", "a: b", "- a", "#", "12", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b c", "1", "x:y", "no"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("body", ["    expect: {find: []}\n", "    expect:\n      find: [7]\n"])
@settings(max_examples=150, deadline=None)
@given(items=st.lists(ITEMS, max_size=4))
def test_what_is_written_is_read_as_what_came(body: str, items: list[Any]) -> None:
    text = HEAD + "  one:\n" + body

    new = updated("p.yaml", text, [(expectations(text)[0], items)])

    read = expectations(new)[0].items
    assert read is not None
    assert same(as_written(list(read)), as_written(items))

"""Items as lines and lines as items, without a program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.errors import ProgramFailed
from pipeflow.runtime.programs.child import how_it_ended
from pipeflow.runtime.programs.lines import LineReader, format_of, input_of, line_of, result_of
from pipeflow.spec.program import ItemFormat

LINES, JSONL = ItemFormat.LINES, ItemFormat.JSONL


@pytest.mark.parametrize(
    ("item", "line"),
    [
        ("é", b"\xc3\xa9\n"),
        ("", b"\n"),
        (Path("a b.txt"), b"a b.txt\n"),
        ("not \udcff utf-8", b"not \xff utf-8\n"),
        (17, b"17\n"),
        ({"a": [1, None]}, b'{"a": [1, null]}\n'),
        (b"raw", b'"raw"\n'),
    ],
)
def test_text_is_its_own_line_and_all_else_is_json(item: Any, line: bytes) -> None:
    assert line_of(item, format_of(item)) == line


@pytest.mark.parametrize(
    ("item", "form", "kind", "words"),
    [
        ("a\nb", LINES, ValueError, "holds a line break"),
        (17, LINES, TypeError, "the item is of type int"),
        (object(), JSONL, TypeError, "cannot be written as JSON"),
    ],
)
def test_what_is_no_line_is_an_error_of_its_item(
    item: Any, form: ItemFormat, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        line_of(item, form)


@pytest.mark.parametrize(
    ("item", "form", "data"),
    [
        (b"\0\xff", None, b"\0\xff"),
        (memoryview(b"ab"), None, b"ab"),
        ("two\nlines", None, b"two\nlines"),
        ({"a": 1}, None, b'{"a": 1}\n'),
        ("text", LINES, b"text\n"),
        ("text", JSONL, b'"text"\n'),
    ],
)
def test_a_program_of_its_own_gets_the_bytes_of_an_item(
    item: Any, form: ItemFormat | None, data: bytes
) -> None:
    assert input_of(item, form) == data


@pytest.mark.parametrize(
    ("output", "form", "result"),
    [
        (b"\0\n", None, b"\0\n"),
        (b"", None, b""),
        (b"a\nb\n", LINES, "a\nb"),
        (b"", LINES, ""),
        (b'{"a":\n1}\n', JSONL, {"a": 1}),
        (b" \n", JSONL, None),
    ],
)
def test_what_a_program_of_its_own_wrote_is_one_result(
    output: bytes, form: ItemFormat | None, result: Any
) -> None:
    assert result_of(output, form, "cat") == result


@pytest.mark.parametrize(
    ("output", "form", "words"),
    [
        (b"\xff", LINES, "what program 'cat' wrote is not UTF-8 .*: b'.xff'"),
        (b"\xff", JSONL, "is not UTF-8"),
        (b"1\n2\n", JSONL, "is not JSON .Extra data"),
        (b"x" * 100, JSONL, r"x\.\.\.'"),
    ],
)
def test_output_that_is_no_result_is_told_with_what_it_is(
    output: bytes, form: ItemFormat, words: str
) -> None:
    with pytest.raises(ProgramFailed, match=words):
        result_of(output, form, "cat")


@given(
    lines=st.lists(st.text(alphabet=st.characters(exclude_characters="\n", codec="utf-8"))),
    cuts=st.lists(st.integers(1, 7)),
    whole=st.booleans(),
)
def test_lines_are_cut_the_same_however_they_come(
    lines: list[str], cuts: list[int], whole: bool
) -> None:
    last = [] if whole else ["no end"]
    data = "".join(f"{line}\n" for line in lines).encode() + "".join(last).encode()
    reader = LineReader("cat")
    got: list[Any] = []

    for cut in cuts:
        piece, data = data[:cut], data[cut:]
        got += reader.feed(piece, LINES)
    got += reader.feed(data, LINES)
    got += reader.rest(LINES)

    assert got == lines + last


def test_a_bad_line_is_told_with_its_number_and_empty_lines_count() -> None:
    reader = LineReader("cat")

    assert reader.feed(b'1\n\n"a"\n', JSONL) == [1, "a"]
    with pytest.raises(ProgramFailed, match="line 5 of what program 'cat' wrote is not JSON"):
        reader.feed(b"2\n{\n", JSONL)


@pytest.mark.parametrize(
    ("status", "words"),
    [(3, "ended with exit status 3"), (-9, "was ended by SIGKILL"), (-99, "ended by signal 99")],
)
def test_an_end_is_told_by_status_or_signal(status: int, words: str) -> None:
    assert words in how_it_ended(status)

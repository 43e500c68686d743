"""The built-in sources, in memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeflow.stages.sources import files
from pipeflow.stages.work import BadRecord
from tests.stages.working import bad, given, source


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [
        "b.txt",
        "a/z.txt",
        "a/b/c.jpg",
        ".hid/x.txt",
        "a/.secret",
        "a/b/D.txt",
        "c/e.txt",
    ]:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "tree" / "c" / "up").symlink_to(tmp_path / "tree")
    (tmp_path / "tree" / "c" / "link.txt").symlink_to(tmp_path / "tree" / "b.txt")
    (tmp_path / "tree" / "c" / "broken.txt").symlink_to(tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)
    return Path("tree")


def found(**parameters: object) -> list[str]:
    return [
        path.relative_to("tree").as_posix() for path in given("files", root="tree", **parameters)
    ]


def test_files_come_sorted_without_hidden_ones(tree: Path) -> None:
    paths = given("files", root=str(tree))

    assert paths[0] == Path("tree/a/b/D.txt")
    assert found() == ["a/b/D.txt", "a/b/c.jpg", "a/z.txt", "b.txt", "c/e.txt", "c/link.txt"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["b.txt"]),
        ("**/*.jpg", ["a/b/c.jpg"]),
        ("a/*", ["a/z.txt"]),
        ("a/**", ["a/b/D.txt", "a/b/c.jpg", "a/z.txt"]),
        ("**", ["a/b/D.txt", "a/b/c.jpg", "a/z.txt", "b.txt", "c/e.txt", "c/link.txt"]),
        ("**/b/**/[A-Z]*", ["a/b/D.txt"]),
        ("**/b/?.*", ["a/b/D.txt", "a/b/c.jpg"]),
        ("./a//z.txt", ["a/z.txt"]),
        (".hid/*", [".hid/x.txt"]),
        (["*.txt", "**/*.jpg"], ["a/b/c.jpg", "b.txt"]),
        ("nothing/**/*", []),
    ],
)
def test_files_are_matched_by_patterns(tree: Path, pattern: object, expected: list[str]) -> None:
    assert found(pattern=pattern) == expected


def test_files_shows_hidden_ones_when_asked(tree: Path) -> None:
    assert {".hid/x.txt", "a/.secret"} < set(found(hidden=True))


def test_files_knows_its_total_unless_there_are_very_many(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = source("files", root="tree")
    assert few.source is not None
    assert few.total is not None
    few.source()
    monkeypatch.setattr(files, "LISTED_AHEAD", 3)
    many = source("files", root="tree")
    assert many.source is not None
    assert many.total is not None

    items = list(many.source())

    assert few.total() == 6
    assert many.total() is None
    assert len(items) == 6


def test_files_takes_a_folder_that_cannot_be_read_as_a_bad_record(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    items = given("files", root="tree")

    assert bad(items) == [("tree/a/b", "[Errno 13] Permission denied: 'tree/a/b'")]
    assert len(items) == 5


def test_files_says_what_is_wrong_with_its_root_or_pattern(tree: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder 'nowhere' here"):
        given("files", root="nowhere")
    with pytest.raises(NotADirectoryError, match=r"'tree/b\.txt' is a file; files looks in a fold"):
        given("files", root="tree/b.txt")
    with pytest.raises(ValueError, match=r"leaves root by '\.\.'"):
        given("files", root="tree", pattern="../*")
    with pytest.raises(ValueError, match="is relative to root"):
        given("files", root="tree", pattern="/etc/*")


def test_lines_come_without_their_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\ntwo \r\xc3\xa4\nlast")

    assert given("lines", path=str(path)) == ["one", "", "two \rä", "last"]


def test_lines_reads_gzip_by_suffix_or_by_word(tmp_path: Path) -> None:
    named, unnamed = tmp_path / "a.txt.gz", tmp_path / "b"
    for path in (named, unnamed):
        path.write_bytes(gzip.compress(b"a\nb\n"))

    assert given("lines", path=str(named)) == ["a", "b"]
    assert given("lines", path=str(unnamed), compression="gzip") == ["a", "b"]
    assert bad(given("lines", path=str(named), compression="none"))


def test_lines_reads_standard_input_and_leaves_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO(b"a\nb\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))

    assert given("lines", path="-") == ["a", "b"]
    assert not raw.closed


def test_a_line_that_does_not_decode_is_a_bad_record(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\nb\xffd\ngood\n")

    items = given("lines", path=str(path))

    assert [items[0], items[2]] == ["good", "good"]
    [(item, problem)] = bad(items)
    assert item == b"b\xffd"
    assert problem.startswith(f"{path}, line 2: 'utf-8' codec can't decode byte 0xff")


def test_lines_reads_other_encodings(tmp_path: Path) -> None:
    latin, wide = tmp_path / "a.txt", tmp_path / "b.txt"
    latin.write_text("ä\nö\n", encoding="latin-1")
    wide.write_text("ä\nö\n", encoding="utf-16")

    assert given("lines", path=str(latin), encoding="latin-1") == ["ä", "ö"]
    assert given("lines", path=str(wide), encoding="utf-16") == ["ä", "ö"]


@pytest.mark.parametrize("operator", ["lines", "jsonl.read", "csv.read"])
def test_sources_of_files_say_in_plain_words_why_they_cannot_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operator: str
) -> None:
    monkeypatch.chdir(tmp_path)
    absent = tmp_path / "absent.txt"

    with pytest.raises(FileNotFoundError) as elsewhere:
        given(operator, path=str(absent))
    with pytest.raises(FileNotFoundError) as here:
        given(operator, path="absent.txt")
    with pytest.raises(IsADirectoryError) as folder:
        given(operator, path=".")

    assert str(elsewhere.value) == f"no file '{absent}'"
    assert str(here.value) == f"no file 'absent.txt' here ({tmp_path})"
    assert str(folder.value) == "'.' is a folder, not a file"


@pytest.mark.parametrize("operator", ["lines", "jsonl.read", "csv.read"])
def test_what_cannot_be_unpacked_names_its_file(tmp_path: Path, operator: str) -> None:
    cut, plain, garbled = (tmp_path / name for name in ("cut.gz", "plain.gz", "garbled.gz"))
    whole = gzip.compress(b"1\n" * 1000)
    cut.write_bytes(whole[:-12])
    plain.write_bytes(b"1\n")
    garbled.write_bytes(whole[:12] + b"\xff" * 20)

    for path in (cut, plain, garbled):
        with pytest.raises(OSError, match="cannot be unpacked: ") as caught:
            given(operator, path=str(path))
        assert str(caught.value).startswith(f"{path} ")


def test_jsonl_gives_a_value_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n[1, "x"]\n5\n')

    assert given("jsonl.read", path=str(path)) == [{"a": 1}, [1, "x"], 5]


def test_a_line_that_is_no_json_is_a_bad_record(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'1\n{"a":\n\xff\n' + b"[" * 100_000 + b"\n2\n")

    items = given("jsonl.read", path=str(path))

    assert [item for item in items if not isinstance(item, BadRecord)] == [1, 2]
    problems = bad(items)
    assert problems[0] == ('{"a":', f"{path}, line 2: Expecting value: line 1 column 6 (char 5)")
    assert problems[1][0] == "\\xff"
    assert len(problems) == 3


def test_csv_gives_dicts(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('name,note\nada,"a, ""b""\nc"\n\ntim,\n')

    assert given("csv.read", path=str(path)) == [
        {"name": "ada", "note": 'a, "b"\nc'},
        {"name": "tim", "note": ""},
    ]


def test_csv_turns_columns_into_types(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a;b;c;d\n1;2.5;true;x\n;;FALSE; y\nq;1;1;z\n1;1;maybe;z\n")

    items = given(
        "csv.read",
        path=str(path),
        delimiter=";",
        types={"a": "integer", "b": "number", "c": "boolean"},
    )

    assert items[:2] == [
        {"a": 1, "b": 2.5, "c": True, "d": "x"},
        {"a": None, "b": None, "c": False, "d": " y"},
    ]
    assert bad(items) == [
        ("q;1;1;z", f"{path}, line 4: column 'a': invalid literal for int() with base 10: 'q'"),
        ("1;1;maybe;z", f"{path}, line 5: column 'c': 'maybe' is neither true nor false"),
    ]


def test_csv_columns_choose_or_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,2,3\n")

    assert given("csv.read", path=str(path), columns=["c", "a"]) == [{"c": "3", "a": "1"}]
    assert given("csv.read", path=str(path), header=False, columns=["x", "y", "z"]) == [
        {"x": "a", "y": "b", "z": "c"},
        {"x": "1", "y": "2", "z": "3"},
    ]
    assert given("csv.read", path=str(path), header=False)[1] == {"1": "1", "2": "2", "3": "3"}


def test_a_row_that_cannot_be_read_is_a_bad_record(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,2\n1,2,3\n\xff,x\n"x"y,1\n5,6\n"open\n7,8\n')

    items = given("csv.read", path=str(path))

    assert [item for item in items if not isinstance(item, BadRecord)] == [
        {"a": "1", "b": "2"},
        {"a": "5", "b": "6"},
    ]
    assert bad(items) == [
        ("1,2,3", f"{path}, line 3: 3 fields, but there are 2 columns"),
        (b"\xff,x", f"{path}, line 4: byte 0xff cannot be decoded"),
        ('"x"y,1', f"{path}, line 5: ',' expected after '\"'"),
        ('"open\n7,8', f"{path}, line 8: unexpected end of data"),
    ]


def test_csv_refuses_a_header_that_cannot_be_right(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,a\n")

    with pytest.raises(ValueError, match="two columns are named 'a'"):
        given("csv.read", path=str(path))
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has no column 'c'; it has a, b"):
        given("csv.read", path=str(path), columns=["c"])
    with pytest.raises(ValueError, match="a is one of integer, number, boolean, string, not 'int'"):
        given("csv.read", path=str(path), types={"a": "int"})


def test_an_empty_csv_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("")

    assert given("csv.read", path=str(path)) == []


def test_range_counts_and_knows_its_total() -> None:
    work = source("range", stop=3)
    assert work.source is not None
    assert work.total is not None

    assert list(work.source()) == [0, 1, 2]
    assert work.total() == 3
    assert given("range", start=5, stop=0, step=-2) == [5, 3, 1]


def test_range_refuses_a_step_of_nothing() -> None:
    with pytest.raises(ValueError, match="'step' may not be 0"):
        given("range", stop=3, step=0)


def test_a_bad_row_of_a_csv_is_its_own_text_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'n,t\nx"y,1\n1,"two\nlines"\n\n2,\xff\n3\n4,ok\n')

    items = given("csv.read", path=str(path))

    assert [item for item in items if isinstance(item, dict)] == [
        {"n": 'x"y', "t": "1"},
        {"n": "1", "t": "two\nlines"},
        {"n": "4", "t": "ok"},
    ]
    assert bad(items) == [
        (b"2,\xff", f"{path}, line 6: byte 0xff cannot be decoded"),
        ("3", f"{path}, line 7: 1 fields, but there are 2 columns"),
    ]


def test_a_first_row_that_cannot_be_read_names_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"a"b,1\nc,2\n')

    items = given("csv.read", path=str(path), header=False)

    assert items[1:] == [{"1": "c", "2": "2"}]
    assert bad(items) == [('"a"b,1', f"{path}, line 1: ',' expected after '\"'")]


@pytest.mark.parametrize(
    ("suffix", "word", "pack"),
    [(".gz", "gzip", gzip.compress), (".bz2", "bzip2", bz2.compress), (".xz", "xz", lzma.compress)],
)
def test_packed_files_are_read_by_suffix_or_by_word(
    tmp_path: Path, suffix: str, word: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(b"a,b\n1,2\n")
    for name in (f"x.csv{suffix}", "x.csv", f"short{suffix}", f"plain{suffix}"):
        (tmp_path / name).write_bytes(packed)
    (tmp_path / f"short{suffix}").write_bytes(packed[:-5])
    (tmp_path / f"plain{suffix}").write_bytes(b"not packed at all")

    by_suffix = given("csv.read", path=str(tmp_path / f"x.csv{suffix}"))
    by_word = given("csv.read", path=str(tmp_path / "x.csv"), compression=word)

    assert by_suffix == by_word == [{"a": "1", "b": "2"}]
    for name in ("short", "plain"):
        with pytest.raises(OSError, match=f"{name}{suffix} cannot be unpacked: "):
            given("lines", path=str(tmp_path / f"{name}{suffix}"))

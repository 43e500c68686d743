"""Every slip of YAML earns one message, at the place where people look for it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest

from pipeflow.config.interpolate import Scope, fill
from pipeflow.config.nodes import Map, Scalar, plain
from pipeflow.config.reader import from_mapping, read_file, read_text

#: Text, and the message it must earn: place, code, problem, hint.
SLIPS: Final[dict[str, tuple[str | bytes, str]]] = {
    "empty": ("", "1:1 empty-file the file is empty"),
    "comments": ("# a\n", "1:1 empty-file only comments here; 'stages:' is missing"),
    "scalar": (
        "hello",
        "1:1 not-a-mapping expected a mapping with 'stages:', got the text \"hello\"",
    ),
    "list": ("- a\n", "1:1 not-a-mapping expected a mapping, got a list"),
    "second document": (
        "a: 1\n---\nb: 2\n",
        '2:1 second-document a second document starts here ("---")',
    ),
    "tab": ("a:\n\tb: 1\n", "2:1 tab tab used for indentation; YAML allows only spaces"),
    "comment": (
        "a: 1\nb: 2\ncolor: #fff\n",
        "3:8 comment 'color' is empty: \"#fff\" was read as a comment",
    ),
    "colon": ("cmd: echo foo: bar", '1:14 colon-in-text ": " inside plain text starts a new key'),
    "no space": ("a:1", '1:2 missing-space missing space after ":"'),
    "no space among keys": ("b: 2\na:1\nc: 3\n", '2:2 missing-space missing space after ":"'),
    "no space in braces": ("a: {b:1}\n", '1:6 missing-space missing space after ":"'),
    "no colon": ("stages:\n  find\n  use: x\n", '2:3 missing-colon no ":" behind "find"'),
    "open quote": ('a: "b\nc: 1\n', "1:4 unclosed-quote quote opened here is never closed"),
    "open quote before another": (
        'a: "foo\nb: "bar"\n',
        "1:4 unclosed-quote quote opened here is never closed",
    ),
    "behind a quote": (
        "a: 'it's'\n",
        "1:8 behind-quote the value goes on behind its closing quote",
    ),
    "open bracket": ("a: [1, 2\nb: 3\n", '1:4 unclosed-bracket "[" is not closed before line 2'),
    "open bracket at the end": (
        "a: [1, 2",
        '1:4 unclosed-bracket "[" opened here is never closed',
    ),
    "indentation": (
        "a:\n  b: 1\n c: 2\n",
        "3:2 indentation indented by 1, but the keys beside it by 2 (line 2)",
    ),
    "too deep a key": (
        "a: 1\n  b: 2\n",
        "2:3 indentation indented by 2, but the keys beside it by 0 (line 1)",
    ),
    "at sign": ("a: @x\n", '1:4 bad-first-character a value may not begin with "@"'),
    "glob": ("a: *.jpg\n", '1:4 bad-first-character a value may not begin with "*"'),
    "template": ("a: {{ var }}\n", '1:4 braces "{{ }}" is not substituted here'),
    "twice": ("a: 1\nb: 2\na: 3\n", "3:1 duplicate-key 'a' is defined twice; first on line 1"),
    "octal": ("a: 0755\n", '1:4 leading-zero leading zero: octal 493, or the text "0755"?'),
    "digits": (
        "a: " + "9" * 5000,
        "1:4 number-too-long number with 5000 digits; at most 19 here",
    ),
    "NUL": (
        "a: b\0",
        "1:5 control-character NUL character; is this a binary or UTF-16 file?",
    ),
    "Latin-1": (b"a: \xff", "1:4 encoding byte 0xff is not UTF-8"),
    "UTF-16": ("a: 1".encode("utf-16"), "1:1 encoding encoded as UTF-16"),
    "control": ("a\x1bb: 1", "1:2 control-character control character U+001B in a name"),
    "bidi": ('"a\\u202e": 1', "1:1 control-character control character U+202E in a name"),
    "tag": (
        "a: !!python/object/apply:os.system [ls]",
        (
            '1:4 tag tags ("!!python/object/apply:os.system") are not allowed; '
            "pipeline files hold data only"
        ),
    ),
    "deep": ("[" * 100, "1:65 too-deep nested deeper than 64 levels"),
    "recursive": (
        "a: &x [*x]",
        "1:8 recursive-alias alias '*x' lies inside its own anchor (line 1)",
    ),
    "no anchor": ("a: &node 1\nb: *nope", "2:4 unknown-anchor no anchor '&nope' before this alias"),
    "list as key": ("[a]: 1\n", "1:1 key-not-text keys must be text, got a list"),
    "number as key": ("1: 1\n", "1:1 key-not-text keys must be text, got the number 1"),
    "large": ("a: " + "x" * 1_200_000, "1:1 too-large 1.2 MB; the limit is 1 MB"),
    "backslash": (
        'a: "C:\\data"',
        '1:7 bad-escape "\\d" in double quotes is no escape that YAML knows',
    ),
    "no such character": (
        'a: "\\UFFFFFFFF"',
        '1:5 bad-escape "\\U" in double quotes is no escape that YAML knows',
    ),
    "reference in braces": (
        "with: {width: ${params.width}}",
        "1:15 unquoted-reference ${params.width} inside { } or [ ] needs quotes",
    ),
    "expression in braces": (
        '{key: item["user"]}',
        '1:7 unquoted-expression "[" inside a value in { } or [ ] needs quotes around the value',
    ),
    "tuple in braces": (
        "partition: {key: (item.a, item.b)}",
        '1:18 comma-in-expression inside { } and [ ] a comma ends the value: "(item.a"',
    ),
    "cut expression": (
        'where: item["a #b"]',
        '1:8 cut-by-comment " #" begins a comment: the value ends at "item["a"',
    ),
}

GOOD: Final = """\
version: 1
params:
  width: {type: integer, default: 256}
x-common: &common
  replicas: 2
stages:
  find:
    use: files    # built in
    with: {root: "photos", pattern: "**/*.jpg"}
  shrink:
    <<: *common
    inputs: [find, {from: find, capacity: 8}]
    with:
      width: ${params.width}
      names:
        - 'it''s'
    description: |
      Long text
      in two lines
"""


@pytest.mark.parametrize("case", SLIPS)
def test_a_slip_earns_one_message_at_its_place(case: str) -> None:
    text, message = SLIPS[case]

    document = read_text(text, "p.yaml")

    told = [f"{f.at.line}:{f.at.column} {f.code} {f.problem}" for f in document.findings]
    assert told == [message]


def test_several_syntax_errors_are_found_in_one_reading() -> None:
    text = "a: @x\nb: {w: ${params.w}}\nc: 0755\nd: 'it's'\ne: x: y\nf: 1\nf: 2\n"

    document = read_text(text, "p.yaml")

    assert [finding.at.line for finding in document.findings] == [1, 2, 3, 4, 5, 7]


def test_words_of_yaml_1_1_are_text_and_numbers_of_1_2_are_numbers() -> None:
    text = "no: on\na: yes\nb: 22:22\nc: 1e3\nd: 0o755\ne: 0x1F\nf: 2024-13-45\ng: ~\nh: TRUE\n"

    document = read_text(text, "p.yaml")

    assert plain(document.root) == {
        "no": "on",
        "a": "yes",
        "b": "22:22",
        "c": 1000.0,
        "d": 0o755,
        "e": 0x1F,
        "f": "2024-13-45",
        "g": None,
        "h": True,
    }


def test_own_keys_win_over_merged_ones_and_the_first_merged_mapping_over_the_second() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n"

    document = read_text(text, "p.yaml")

    assert document.findings == ()
    assert document.root is not None
    assert plain(document.root.get("c")) == {"y": 1, "z": 2, "x": 3}


def test_an_alias_bomb_is_refused_before_it_is_expanded() -> None:
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [
        f"{x}: &{x} [{', '.join([f'*{y}'] * 10)}]"
        for x, y in zip("bcdefgh", "abcdefg", strict=True)
    ]

    document = read_text("\n".join(lines), "p.yaml")

    # Once: all that follow are of the same making.
    assert [finding.code for finding in document.findings] == ["alias-expansion"]


def test_json_with_trailing_commas_and_a_byte_order_mark_are_accepted() -> None:
    document = read_text('\ufeff{"a": [1, 2,], "b": {"c": 1,},}'.encode(), "p.yaml")

    assert document.findings == ()
    assert plain(document.root) == {"a": [1, 2], "b": {"c": 1}}


def test_nodes_know_their_place_and_the_comment_behind_them() -> None:
    document = read_text("a:\n  where: item.x == 1 # note\n", "p.yaml")

    assert document.root is not None
    inner = document.root.get("a")
    assert isinstance(inner, Map)
    scalar = inner.get("where")
    assert isinstance(scalar, Scalar)
    assert (scalar.at.line, scalar.at.column, scalar.length) == (2, 10, 11)
    assert scalar.comment == "# note"


def test_a_missing_file_suggests_the_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text("stages: {}\n")

    document = read_file(tmp_path / "pipline.yaml")

    (finding,) = document.findings
    assert finding.code == "file-missing"
    assert "pipeline.yaml" in finding.hint


def test_a_missing_file_without_one_like_it_lists_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    (alone,) = read_file(path).findings
    for name in "fedcba":
        (tmp_path / f"{name}.json").write_text("{}")

    (among,) = read_file(path).findings
    (nowhere,) = read_file(tmp_path / "no" / "pipeline.yaml").findings

    assert alone.hint == "'pipeflow init DIR' makes one that runs"
    assert among.hint == "there are: a.json, b.json, c.json, d.json, e.json, ..."
    assert nowhere.problem == f"no folder '{tmp_path / 'no'}'"
    assert nowhere.hint == "a path means the folder where the command was started"


def test_a_directory_lists_the_pipelines_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("")
    (tmp_path / "b.yml").write_text("")

    document = read_file(tmp_path)

    (finding,) = document.findings
    assert finding.hint == "it holds: a.yaml, b.yml - name one"


def test_a_python_mapping_becomes_a_tree_and_odd_keys_are_told() -> None:
    mapping: dict[Any, object] = {"a": [1, {"b": None}], 3: "x"}

    document = from_mapping(mapping)

    assert plain(document.root) == {"a": [1, {"b": None}]}
    assert [finding.code for finding in document.findings] == ["key-not-text"]


@pytest.mark.parametrize("seed", range(6))
def test_mutations_of_a_good_file_give_findings_inside_the_file_and_never_raise(seed: int) -> None:
    rng = random.Random(seed)
    bits = ["{", "]", '"', "'", ": ", "- ", " #", "\t", "\n", "&a", "*a", "!x ", "${", "@", "<<: "]
    for _ in range(40):
        text = GOOD
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text) + 1)
            if rng.random() < 0.6:
                text = text[:at] + rng.choice(bits) + text[at:]
            else:
                text = text[:at] + text[at + rng.randint(1, 6) :]

        document = read_text(text, "p.yaml")
        found = list(document.findings)
        if document.root is not None:
            scope = Scope(environ={}, folder="", params={}, sources={"p.yaml": text})
            found += fill(document.root, scope)[1]

        lines = text.split("\n")
        assert document.root is not None or found
        assert all(1 <= f.at.line <= len(lines) for f in found), text
        assert all(1 <= f.at.column <= len(lines[f.at.line - 1]) + 1 for f in found), text

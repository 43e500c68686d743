from __future__ import annotations

from pathlib import Path

import pytest

from pipeflow.cli.main import main
from tests.cli.fakes import Theatre

WORK = """
from pathlib import Path

seen = []

def clean(line: str) -> str | None:
    seen.append(line)
    if line == "boom":
        raise ValueError("no booms")
    print("saw", line)
    return line.strip().upper() or None

def before(line: str) -> int:
    seen.append(line)
    return len(seen)

def pair(left: str, right: str) -> str:
    return left + right

def both(left: int, right: str) -> tuple[int, str]:
    return left, right

def stops(item: int) -> int:
    raise KeyboardInterrupt

def save(line: str, folder: Path) -> None:
    raise AssertionError("sinks do not run")
"""

STAGES = """\
params:
  file: {type: path}
  end: ""
stages:
  read: {use: lines, with: {path: "${params.file}"}}
  clean: {call: 'work:clean', inputs: read, on_error: dead_letter}
  suffix: {use: map, inputs: clean, with: {expr: item + params.end}}
  save: {call: 'work:save', inputs: suffix, with: {folder: x}}
  broken: {use: jsonl.write, inputs: clean.errors, with: {path: out.jsonl}}
tests:
"""


def run(folder: Path, body: str, *arguments: str, head: str = STAGES) -> tuple[int, str, str]:
    (folder / "work.py").write_text(WORK, encoding="utf-8")
    (folder / "p.yaml").write_text(head + body, encoding="utf-8")
    theatre = Theatre()
    code = main(["test", "p.yaml", *arguments], theatre.world)
    return code, theatre.out, theatre.err


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


PASSES = """\
  upper:
    params: {file: none.txt, end: '!'}
    given: {read: [a, '', boom]}
    expect:
      clean: [A]
      save: ['A!']
      broken: {count: 1, each: 'item["item"] == "boom"'}
"""


def test_a_test_that_holds_passes_without_its_source_and_its_sinks(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, PASSES)

    assert (code, err) == (0, "")
    assert out.startswith("p.yaml::upper PASSED\n1 passed in ")
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["p.yaml", "work.py"]


def test_a_test_that_does_not_hold_tells_the_place_and_the_difference(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, PASSES.replace("clean: [A]", "clean: [B]"))

    assert code == 1
    assert "p.yaml::upper FAILED\n" in out
    assert "p.yaml:15:14: error[test-failed]: 'clean': 1 of 1 item is not as expected" in out
    assert '    - "B"\n    + "A"\n' in out
    assert "its stages said:\n    clean: saw a\n" in out
    assert "1 failed in " in out


def test_a_stage_that_fails_fails_the_test_at_the_stage(tmp_path: Path) -> None:
    body = "  it: {params: {file: x}, given: {clean: [1]}, expect: {suffix: [1]}}\n"

    code, out, _ = run(tmp_path, body)

    assert code == 1
    assert "p.yaml:7:3: error[test-failed]: stage 'suffix' failed on item clean:0: TypeError" in out


def test_update_writes_what_came_and_ends_well(tmp_path: Path) -> None:
    body = PASSES.replace("clean: [A]", "clean: []  # mine").replace("count: 1", "count: 7")

    code, out, err = run(tmp_path, body, "--update")

    assert code == 0
    assert "1 failed" in out
    assert err == "wrote p.yaml\n"
    new = (tmp_path / "p.yaml").read_text(encoding="utf-8")
    assert new == STAGES + PASSES.replace("clean: [A]", "clean: [A]  # mine")


def test_what_cannot_be_updated_is_said_and_still_fails(tmp_path: Path) -> None:
    code, _, err = run(tmp_path, PASSES.replace("'item[", "'not item["), "--update")

    assert code == 1
    assert "1 test cannot be updated: p.yaml::upper; " in err


def test_tests_are_chosen_by_a_part_of_their_name(tmp_path: Path) -> None:
    body = PASSES + PASSES.replace("upper", "Other")

    assert run(tmp_path, body, "-k", "oth")[1].startswith("p.yaml::Other PASSED\n1 passed, 1 left")
    assert run(tmp_path, body, "-k", "nothing")[0] == 2


def test_no_test_at_all_is_no_success(tmp_path: Path) -> None:
    code, _, err = run(tmp_path, "  {}\n")

    assert code == 2
    assert "no tests in p.yaml" in err


def test_a_mistake_in_the_file_is_shown_as_validate_does(tmp_path: Path) -> None:
    code, _, err = run(tmp_path, PASSES.replace("read: [a", "raed: [a"))

    assert code == 2
    assert "p.yaml:13:13: error[unknown-stage]: test 'upper' names 'raed'" in err


def test_a_param_that_neither_the_file_nor_the_test_gives_is_a_mistake(tmp_path: Path) -> None:
    code, _, err = run(tmp_path, PASSES.replace("file: none.txt, ", ""))

    assert code == 2
    assert "error[missing-param]" in err
    assert run(tmp_path, PASSES.replace("file: none.txt, ", ""), "--param", "file=x")[0] == 0


def test_modules_of_the_user_begin_anew_with_each_test(tmp_path: Path) -> None:
    head = (
        "stages:\n  read: {use: range, with: {stop: 2}}\n"
        "  before: {call: 'work:before', inputs: read}\n"
        "  end: {use: print, inputs: before}\ntests:\n"
    )
    one = "  {name}: {{given: {{read: [a, b]}}, expect: {{before: [1, 2]}}}}\n"

    code, out, _ = run(tmp_path, one.format(name="x") + one.format(name="y"), head=head)

    assert (code, out.count("PASSED")) == (0, 2)


def test_what_reaches_a_joining_sink_is_a_mapping_of_its_inputs(tmp_path: Path) -> None:
    head = (
        "stages:\n  a: {use: range, with: {stop: 2}}\n  b: {use: map, inputs: a, with: "
        "{expr: item * 10}}\n  end: {call: 'work:save', inputs: {line: a, folder: b}}\ntests:\n"
    )
    body = "  it: {given: {a: [1]}, expect: {end: [{line: 1, folder: 10}]}}\n"

    code, out, _ = run(tmp_path, body, head=head)

    assert (code, out.splitlines()[0]) == (0, "p.yaml::it PASSED")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    head = (
        "params: {key: {default: hunter2, secret: true}}\n"
        "stages:\n  a: {use: range, with: {stop: 1}}\n"
        "  b: {call: 'work:pair', inputs: a, with: {right: '${params.key}'}}\n"
        "  end: {use: print, inputs: b}\ntests:\n"
    )

    code, out, err = run(tmp_path, "  it: {given: {a: [x]}, expect: {b: [y]}}\n", head=head)

    assert code == 1
    assert "hunter2" not in out + err


def test_mistakes_of_all_files_are_shown_at_once(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text("stages:\n  a: {use: rnge}\n", encoding="utf-8")

    code, _, err = run(tmp_path, PASSES.replace("read: [a", "raed: [a"), "q.yaml")

    assert code == 2
    assert "p.yaml:13:13: error[unknown-stage]" in err
    assert "missing-param" not in err  # the test gives it
    assert "q.yaml:2:12: error[unknown-operator]" in err


def test_what_a_join_pairs_is_paired_as_in_a_run(tmp_path: Path) -> None:
    head = (
        "stages:\n  a: {use: range, with: {stop: 9}}\n"
        "  odd: {use: filter, inputs: a, with: {where: item % 2}}\n"
        "  same: {use: map, inputs: a, with: {expr: str(item)}}\n"
        "  pair: {call: 'work:both', inputs: {left: odd, right: same}}\n"
        "  end: {use: print, inputs: pair}\ntests:\n"
    )
    body = "  it: {given: {a: [1, 2, 3]}, expect: {pair: [[1, '1'], [3, '3']]}}\n"

    code, out, _ = run(tmp_path, body, head=head)

    assert (code, out.splitlines()[0]) == (0, "p.yaml::it PASSED")


def test_ctrl_c_in_a_stage_ends_all_tests(tmp_path: Path) -> None:
    head = (
        "stages:\n  a: {use: range, with: {stop: 1}}\n"
        "  b: {call: 'work:stops', inputs: a}\n  end: {use: print, inputs: b}\ntests:\n"
    )
    one = "  {name}: {{given: {{a: [1]}}, expect: {{b: [1]}}}}\n"

    code, out, err = run(tmp_path, one.format(name="x") + one.format(name="y"), head=head)

    assert (code, out, err) == (130, "", "pipeflow: interrupted\n")


CREATED = STAGES.replace("tests:\n", "")


def create(
    folder: Path, stage: str, *arguments: str, tests: str = "", head: str = CREATED
) -> tuple[int, str, str]:
    (folder / "in.txt").write_text(" a\n  b \nboom\nc\nd\n", encoding="utf-8")
    file = f"file={folder / 'in.txt'}"
    code, _, err = run(folder, tests, "--create", stage, "--param", file, *arguments, head=head)
    return code, (folder / "p.yaml").read_text(encoding="utf-8"), err


def test_a_test_is_made_of_what_the_sources_really_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    code, text, err = create(tmp_path, "suffix", "--take", "4")

    assert code == 0, err
    file = f"{tmp_path / 'in.txt'}"
    assert text == CREATED + (
        f"\ntests:\n  suffix-sample:\n    params: {{file: {file}}}\n"
        "    given:\n      clean: [A, B, C]\n    expect:\n      suffix: [A, B, C]\n"
    )
    assert "given 3 items of 'clean', it expects 3 items of 'suffix'" in err
    again = Theatre()
    assert main(["test", "p.yaml"], again.world) == 0, again.out


def test_a_further_test_stands_behind_the_others_and_has_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tests = (
        "tests:\n    clean-sample:\n        given: {read: [x]}\n        expect: {clean: [X]}\n"
        "\n    other: {given: {read: [x]}, expect: {clean: [X]}}  # the last\n"
        "\nlimits: {processes: 9}\n"
    )

    code, text, err = create(tmp_path, "clean", tests=tests)

    assert code == 0, err
    before, _, after = text.partition("    clean-sample-2:\n")
    assert before.endswith("# the last\n\n")
    assert "      expect:\n        clean: [A, B]\n" in after
    assert after.endswith("\n\nlimits: {processes: 9}\n")


def test_of_a_sink_it_is_expected_what_reaches_it_and_of_arrays_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arrays = "import numpy as np\ndef array(line): return {'pixels': np.zeros(9)}\n"
    (tmp_path / "arrays.py").write_text(arrays, encoding="utf-8")
    more = "  array: {call: 'arrays:array', inputs: clean}\n  last: {use: 'null', inputs: array}\n"

    code, text, err = create(tmp_path, "save")
    assert code == 0, err
    assert "      clean: [A, B]\n    expect:\n      save: [A, B]\n" in text

    code, text, err = create(tmp_path, "last", head=CREATED + more)
    assert code == 0, err
    assert "      clean: [A, B]\n    expect:\n      last: {count: 2}\n" in text


@pytest.mark.parametrize(
    ("stage", "tests", "words"),
    [
        ("read", "", "'read' is a source: name a stage behind it"),
        ("claen", "", "did you mean 'clean'?"),
        ("clean", "tests: {a: {given: {read: [x]}, expect: {clean: [X]}}}\n", "in braces"),
        (
            "count",
            "  count: {call: 'work:stops', inputs: clean}\n  end: {use: print, inputs: count}\n",
            "pipeflow: interrupted",
        ),
        ("random", "  random: {call: 'odd:odd', inputs: clean}\n", "by their number"),
    ],
)
def test_a_test_that_cannot_be_made_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, tests: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.py").write_text("import os\ndef odd(x): return os.urandom(9).hex()\n")
    whole = CREATED + tests

    code, text, err = create(tmp_path, stage, tests=tests)

    assert words in err
    if stage == "random":
        assert "random: {count: 2}" in text
    elif stage == "count":
        assert code == 130
    else:
        assert (code, text) == (2, whole)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--create", "clean"], "--create needs the one file"),
        (["p.yaml", "--create", "clean", "--update"], "--create writes one new test"),
        (["p.yaml", "--take", "3"], "--take goes with --create"),
        (["nowhere.yaml", "--create", "clean"], "cannot read nowhere.yaml"),
    ],
)
def test_create_is_about_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(STAGES, encoding="utf-8")
    theatre = Theatre()

    assert main(["test", *arguments], theatre.world) == 2
    assert words in theatre.err


PARTS = """\
stages:
  read: {use: lines, with: {path: in.txt}}
  part: {pipeline: part.yaml, inputs: read}
  suffix: {use: map, inputs: part, with: {expr: item + "!"}}
  save: {use: 'null', inputs: suffix}
"""
PART = """\
inputs: [lines]
outputs: {out: upper}
stages:
  strip: {use: map, inputs: lines, with: {expr: item.strip()}}
  upper: {use: map, inputs: strip, with: {expr: item.upper()}}
"""


@pytest.mark.parametrize(
    ("stage", "given", "expected"),
    [("part", "read: [a, b]", "[A, B]"), ("suffix", "part: [A, B]", '["A!", "B!"]')],
)
def test_a_test_is_made_of_what_a_file_takes_and_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, given: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("a\nb\n")
    (tmp_path / "part.yaml").write_text(PART)

    code, _, err = run(tmp_path, "", "--create", stage, head=PARTS)

    assert code == 0, err
    assert (tmp_path / "p.yaml").read_text() == (
        f"{PARTS}\ntests:\n  {stage}-sample:\n    given:\n      {given}\n"
        f"    expect:\n      {stage}: {expected}\n"
    )


@pytest.mark.parametrize(
    ("stage", "head", "words"),
    [
        ("part/strip", PARTS, "'part/strip' stays inside of another file"),
        ("upper", PART, "is run as a stage of other files"),
    ],
)
def test_a_test_of_what_stands_in_another_file_is_not_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, head: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("a\nb\n")
    (tmp_path / "part.yaml").write_text(PART)

    code, _, err = run(tmp_path, "", "--create", stage, head=head)

    assert code == 2
    assert words in err
    assert (tmp_path / "p.yaml").read_text() == head

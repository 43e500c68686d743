"""``pipeflow schema FILE``, and ``validate`` with folders and ``--write-schema``, on real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.fakes import play

MODULE = "def double(item: int, factor: int = 2) -> int:\n    return item * factor\n"
PIPELINE = """stages:
  numbers: {use: range, with: {stop: 3}}
  twice: {call: 'work:double', inputs: numbers}
  show: {use: print, inputs: twice}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "a.yaml").write_text(PIPELINE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_schema_of_a_file_has_the_functions_beside_it(folder: Path) -> None:
    code, out, err = play("schema", "a.yaml")

    schema = json.loads(out)
    assert (code, err) == (0, "")
    assert set(schema["definitions"]["work:double"]["properties"]) == {"item", "factor"}
    assert "numbers" not in json.dumps(schema["definitions"]["edge"])


def test_with_stages_it_has_the_stages_of_the_file(folder: Path) -> None:
    code, out, _ = play("schema", "a.yaml", "--stages")

    source = json.loads(out)["definitions"]["edge"]["properties"]["from"]
    assert code == 0
    assert source["anyOf"][0]["enum"] == ["numbers", "twice", "show"]


def test_the_schema_goes_to_a_file_if_asked(folder: Path) -> None:
    code, out, err = play("schema", "a.yaml", "-o", "made/schema.json")

    assert (code, out, err) == (0, "", "")
    assert json.loads((folder / "made/schema.json").read_text())["title"] == "pipeflow pipeline"


def test_a_file_with_mistakes_has_a_schema_all_the_same(folder: Path) -> None:
    broken = PIPELINE.replace("inputs: twice", "inputs: twcie")
    (folder / "a.yaml").write_text(broken, encoding="utf-8")

    code, out, _ = play("schema", "a.yaml", "--stages")

    assert code == 0
    assert json.loads(out)


@pytest.mark.parametrize("name", ["none.yaml", "work.py"])
def test_what_is_no_pipeline_file_has_none(folder: Path, name: str) -> None:
    code, out, err = play("schema", name)

    assert (code, out) == (2, "")
    assert f"{name}" in err


def test_a_schema_that_cannot_be_written_is_a_sentence(folder: Path) -> None:
    code, _, err = play("schema", "a.yaml", "-o", "work.py/schema.json")

    assert code == 2
    assert err.startswith("pipeflow: error: cannot write work.py/schema.json: ")


def test_a_folder_means_the_pipeline_files_below_it(folder: Path) -> None:
    (folder / "deep/deeper").mkdir(parents=True)
    (folder / "deep/deeper/b.yml").write_text(PIPELINE.replace("work:double", "operator:neg"))
    (folder / "compose.yaml").write_text("services: {db: {image: postgres}}\n", encoding="utf-8")
    (folder / ".hidden").mkdir()
    (folder / ".hidden/c.yaml").write_text("stages: nonsense\n", encoding="utf-8")

    code, out, err = play("validate", ".", "a.yaml", "./a.yaml")

    assert (code, err) == (0, "")
    assert out == "a.yaml: ok\ndeep/deeper/b.yml: ok\n"


def test_a_folder_without_pipelines_is_told(folder: Path) -> None:
    (folder / "empty").mkdir()

    code, out, err = play("validate", "empty")

    assert (code, out) == (2, "")
    assert err.startswith("pipeflow: error: no pipeline file in 'empty'")


def test_a_file_whose_stages_are_misspelt_is_known_by_its_modeline(folder: Path) -> None:
    text = "# yaml-language-server: $schema=.pipeflow/schema.json\nstges: {}\n"
    (folder / "a.yaml").write_text(text, encoding="utf-8")

    code, out, _ = play("validate", ".")

    assert code == 2
    assert "did you mean 'stages'?" in out


def test_write_schema_keeps_it_fresh_and_prints_the_modeline_where_it_is_missing(
    folder: Path,
) -> None:
    code, out, err = play("validate", "a.yaml", "--write-schema")

    schema = folder / ".pipeflow/schema.json"
    modeline = "# yaml-language-server: $schema=.pipeflow/schema.json"
    assert (code, out) == (0, "a.yaml: ok\n")
    assert "work:double" in json.loads(schema.read_text())["definitions"]
    assert err == (f"wrote {schema}\nfor editors, write at the top of a.yaml:\n{modeline}\n")
    (folder / "a.yaml").write_text(f"{modeline}\n{PIPELINE}", encoding="utf-8")
    (folder / "work.py").write_text(MODULE.replace("double", "triple"), encoding="utf-8")
    before = schema.stat()
    _, _, err = play("validate", "a.yaml", "--write-schema")
    assert err.endswith(f"wrote {schema}\n")
    assert "work:triple" in json.loads(schema.read_text())["definitions"]
    written = schema.stat()
    _, _, err = play("validate", "a.yaml", "--write-schema")
    assert err.endswith(f"{schema} is fresh\n")
    assert schema.stat().st_mtime_ns == written.st_mtime_ns > before.st_mtime_ns


def test_answers_for_programs_stay_pure(folder: Path) -> None:
    code, out, _ = play("validate", "a.yaml", "--write-schema", "--format", "json")

    assert (code, json.loads(out)) == (0, [])


def test_folders_have_a_schema_each(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner/b.yaml").write_text(PIPELINE.replace("work:", "operator:"), encoding="utf-8")

    play("validate", ".", "--write-schema")

    inner = json.loads((folder / "inner/.pipeflow/schema.json").read_text())
    assert "work:double" not in inner["definitions"]
    assert (folder / ".pipeflow/schema.json").is_file()

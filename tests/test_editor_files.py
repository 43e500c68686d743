"""What other programs read of ours: hooks, the SchemaStore entry, settings in the manual."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from pipeflow.cli.main import main
from pipeflow.config.recognise import is_pipeline
from pipeflow.config.schema.nodes import MANUAL
from tests.cli.fakes import Theatre

ROOT: Final = Path(__file__).parent.parent
EDITORS: Final = (ROOT / "docs/editors.md").read_text(encoding="utf-8")
OURS: Final = ("pipeflow.yaml", "pipeflow.yml", "photos.pipeflow.yaml", "a.b.pipeflow.yml")
OTHERS: Final = ("pipeline.yaml", "mypipeflow.yaml", "pipeflow.json", "pipeflow.yaml.bak")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", EDITORS, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def hooks() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    return found


def test_the_hooks_say_all_that_pre_commit_asks_for(hooks: list[dict[str, Any]]) -> None:
    assert [hook["id"] for hook in hooks] == ["pipeflow-validate", "pipeflow-validate-system"]
    assert {hook["language"] for hook in hooks} == {"python", "system"}
    for hook in hooks:
        assert {"id", "name", "entry", "language", "files"} <= set(hook)


def test_a_hook_refuses_a_bad_file_as_pre_commit_would_call_it(
    hooks: list[dict[str, Any]], tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.pipeflow.yaml", tmp_path / "bad.pipeflow.yaml"
    good.write_text("stages: {a: {use: print, inputs: b}, b: {use: range, with: {stop: 3}}}\n")
    bad.write_text("stages: {a: {use: print, inputs: z}}\n")

    for hook in hooks:
        _, *command = hook["entry"].split()
        assert main([*command, str(good)], Theatre().world) == 0
        assert main([*command, str(good), str(bad)], Theatre().world) == 2


@pytest.mark.parametrize("name", OURS + OTHERS)
def test_hooks_schemastore_and_server_know_the_same_names(
    hooks: list[dict[str, Any]], name: str
) -> None:
    entry = json.loads((ROOT / "docs/schemastore.json").read_text())
    ours = name in OURS

    assert all((re.search(hook["files"], f"deep/{name}") is not None) is ours for hook in hooks)
    assert any(fnmatch(name, pattern) for pattern in entry["fileMatch"]) is ours
    assert is_pipeline(name, "") is ours


def test_the_schemastore_entry_names_a_versioned_schema_where_the_manual_is() -> None:
    entry = json.loads((ROOT / "docs/schemastore.json").read_text())

    home = MANUAL.removesuffix("/docs")
    assert entry["url"] == f"{home}/schemas/v1/pipeline.schema.json"
    assert entry["versions"] == {"1": entry["url"]}
    assert entry["name"]
    assert entry["description"]


def test_the_problem_matcher_reads_what_validate_prints(tmp_path: Path) -> None:
    (task,) = next(
        found["tasks"] for block in blocks("json") if "tasks" in (found := json.loads(block))
    )
    pattern = task["problemMatcher"]["pattern"]
    file = tmp_path / "p.yaml"
    file.write_text("stages:\n  a: {use: range, with: {stop: 3}}\n  b: {use: print, inputs: c}\n")
    theatre = Theatre()

    main([*task["args"][:1], str(file)], theatre.world)

    matches = [m for line in theatre.out.splitlines() if (m := re.match(pattern["regexp"], line))]
    (found,) = [m for m in matches if m[pattern["severity"]] == "error"]
    assert (found[pattern["file"]], found[pattern["line"]]) == (str(file), "3")
    assert (found[pattern["column"]], found[pattern["code"]]) == ("27", "unknown-stage")
    assert "'c'" in found[pattern["message"]]


def test_the_settings_in_the_manual_can_be_read() -> None:
    (helix,) = blocks("toml")
    (neovim,) = blocks("lua")
    (extension,) = [json.loads(block) for block in blocks("json") if '"engines"' in block]

    assert tomllib.loads(helix)["language-server"]["pipeflow"]["args"] == ["lsp"]
    assert 'cmd = { "pipeflow", "lsp" }' in neovim
    assert extension["activationEvents"] == ["onLanguage:yaml"]


@pytest.mark.processes
def test_the_extension_in_the_manual_is_javascript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no 'node' here: the extension for VS Code was NOT checked")
    file = tmp_path / "extension.js"
    file.write_text(blocks("javascript")[0], encoding="utf-8")

    subprocess.check_call([node, "--check", str(file)])

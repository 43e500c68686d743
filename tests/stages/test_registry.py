"""The operators there are, their manual pages and examples."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from pipeflow.spec.shapes import Role, Shape
from pipeflow.stages import registry
from pipeflow.stages.author import STREAM_MARK
from pipeflow.stages.manual import manual_page
from pipeflow.stages.registry import BUILT_IN, examples, find, load_operator, stage_types
from tests.stages.sites import Site

NAMES = sorted(BUILT_IN)


def test_the_operators_of_the_language_are_there() -> None:
    assert set(BUILT_IN) >= {
        "files", "lines", "jsonl.read", "csv.read", "parquet.read", "npy.read", "sqlite.read",
        "http.get", "stdin", "timer", "watch", "random", "range",
        "map", "filter", "take", "count", "top",
        "print", "null", "lines.write", "jsonl.write", "csv.write", "parquet.write", "npy.write",
        "sqlite.write", "http.post",
    }  # fmt: skip
    assert list(stage_types())[: len(BUILT_IN)] == list(BUILT_IN)


@pytest.mark.parametrize("name", NAMES)
def test_a_declaration_says_what_the_code_is(name: str) -> None:
    target = load_operator(name)
    stage_type = find(name)
    assert stage_type is not None
    code = target.__init__ if inspect.isclass(target) else target
    taken = [each for each in inspect.signature(code).parameters if each not in {"self", "items"}]
    if stage_type.role is not Role.SOURCE and not inspect.isclass(target):
        taken = [each for each in taken if each != "item"]
    with_state = hasattr(target, "finish") or getattr(target, STREAM_MARK, False)

    assert taken == [option.name for option in stage_type.options]
    assert stage_type.name == name
    assert stage_type.keeps_state >= with_state
    assert stage_type.single or stage_type.role is not Role.SOURCE
    assert stage_type.summary.endswith(".")
    assert all(option.description.endswith(".") for option in stage_type.options)
    assert all(len(o.choices) == len(o.choice_docs) for o in stage_type.options)


@pytest.mark.parametrize("name", NAMES)
def test_a_manual_page_names_every_parameter_and_ends_with_an_example(name: str) -> None:
    stage_type = stage_types()[name]

    page = manual_page(stage_type)

    assert page.startswith(f"# {name}\n\n{stage_type.summary}\n")
    assert all(f"- `{option.name}` (" in page for option in stage_type.options)
    assert page.endswith("```\n")


def test_a_manual_page_gives_types_units_bounds_and_defaults() -> None:
    page = manual_page(stage_types()["take"]) + manual_page(stage_types()["csv.read"])

    assert "- `n` (whole number, in items, at least 0, required): How many." in page
    assert "- `header` (true or false, default `true`): Whether" in page
    waits = manual_page(stage_types()["http.get"]) + manual_page(stage_types()["watch"])
    assert "`timeout` (duration, at least 1ms, default `30s`)" in waits
    assert "`settle` (duration, at least 0s, default `0.5s`)" in waits
    assert "default `64MiB`" in manual_page(stage_types()["sort"])
    assert '- `delimiter` (text, default `","`): The character' in page
    assert "    - `gzip`: gzip, whatever its name\n" in page


@pytest.mark.parametrize("name", NAMES)
def test_an_example_uses_its_operator_with_parameters_that_exist(name: str) -> None:
    document = yaml.safe_load(examples()[name])
    known = stage_types()

    used = []
    for stage in document["stages"].values():
        used.append(stage["use"])
        options = {option.name for option in known[stage["use"]].options}
        assert set(stage.get("with", {})) <= options

    assert set(document) == {"stages"}
    assert name in used


SHOWN = {
    "files": "notes/monday.txt\nnotes/old/sunday.txt\n",
    "lines": "THE FOG COMES\nON LITTLE CAT FEET.\n",
    "jsonl.read": '{"name": "Ada", "age": 36}\n',
    "csv.read": "name  age\n----  ---\nAda    36\n",
    "range": "0\n1\n2\n3\n4\n",
    "map": "0\n1\n4\n9\n16\n",
    "filter": "0\n2\n4\n6\n8\n",
    "take": "0\n1\n2\n",
    "count": '{"value": "even", "count": 5}\n{"value": "odd", "count": 5}\n',
    "top": "rank  value  count\n----  -----  -----\n   1      0     15\n   2      1     15\n"
    "   3      2     14\n",
    "print": "number  square\n------  ------\n     0       0\n     1       1\n     2       4\n",
    "null": "",
    "flat_map": "a\nb\nc\nb\nc\nc\n",
    "route": "0\n1\n2\n4\n",
    "skip": "3\n4\n5\n",
    "sample": "0\n4\n6\n7\n9\n",
    "distinct": "0\n1\n2\n3\n",
    "batch": "[0, 1, 2]\n[3, 4, 5]\n[6, 7]\n",
    "unbatch": "0\n1\n2\n3\n4\n",
    "window": "[0, 1, 2]\n[2, 3, 4]\n[4, 5]\n"
    '{"start": 0, "end": 4, "items": [0, 1, 2]}\n{"start": 4, "end": 8, "items": [3, 4, 5]}\n',
    "reduce": "120\n",
    "group": "remainder  numbers  total  max\n---------  -------  -----  ---\n"
    "        0        4     18    9\n        1        3     12    7\n"
    "        2        3     15    8\n",
    "sort": "2\n5\n1\n4\n0\n3\n",
    "join": '{"customer": 2, "price": 30, "name": "Grace"}\n',
    "throttle": "0\n1\n2\n3\n4\n",
    "delay": "0\n1\n2\n",
    "log": "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n",
    "parquet.read": '{"number": 2, "square": 4}\n{"number": 3, "square": 9}\n',
    "npy.read": "3\n12\n",
    "sqlite.read": '{"name": "Ada", "age": 36}\n',
    "http.get": '{"name": "Ada", "age": 36}\n{"name": "Tim", "age": 7}\n',
    "stdin": "the fog comes\nlittle\n",
    "timer": "0\n1\n2\n",
    "watch": "inbox/a.txt\ninbox/b.txt\n",
    "random": "6\n1\n2\n1\n",
    "lines.write": "THE FOG COMES\nON LITTLE CAT FEET.\n",
    "parquet.write": "[{'number': 0, 'square': 0}, {'number': 1, 'square': 1}, "
    "{'number': 2, 'square': 4}]",
    "npy.write": "[[0, 0], [1, 1], [2, 4]]",
    "sqlite.write": "[(0, 0), (1, 1), (2, 4)]",
    "http.post": '{"number": 0}\n{"number": 1}\n{"number": 2}\n',
    "jsonl.write": '{"number": 0, "square": 0}\n{"number": 1, "square": 1}\n'
    '{"number": 2, "square": 4}\n',
    "csv.write": "number,square\n0,0\n1,1\n2,4\n",
}


def written(folder: Path) -> str:
    """What an example has written, as people would look at it."""
    told = []
    for path in sorted(folder.glob("out/*")):
        match path.suffix:
            case ".parquet":
                told.append(str(pq.read_table(path).to_pylist()))
            case ".npy":
                told.append(str(np.load(path).tolist()))
            case ".db":
                with closing(sqlite3.connect(path)) as database:
                    told.append(str(list(database.execute("SELECT * FROM squares"))))
            case _:
                told.append(path.read_text())
    return "".join(told)


@pytest.mark.processes
@pytest.mark.parametrize("executor", ["inline", "local"])
@pytest.mark.parametrize("name", NAMES)
def test_an_example_does_what_its_page_says_in_one_process_and_in_many(
    name: str, executor: str, tmp_path: Path, site: Site
) -> None:
    files = dict(registry.example_files(name))
    typed = files.pop("-", b"")
    site.files |= {f"/{path}": data for path, data in files.items()}
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "example.yaml").write_text(examples()[name])

    command = ("run", "example.yaml", "--executor", executor, "--report", "report.json")
    ended = subprocess.run(
        [sys.executable, "-m", "pipeflow", *command],
        cwd=tmp_path,
        input=typed,
        capture_output=True,
        env={**os.environ, "SITE": site.url},
        timeout=50,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr.decode()
    told = ended.stdout.decode() + written(tmp_path) + site.told()
    report = json.loads((tmp_path / "report.json").read_text())
    assert told == SHOWN[name]
    assert report["ledger"] == {"balanced": True, "findings": []}
    assert "warning" not in ended.stderr.decode()


def test_the_files_that_an_example_reads_are_given() -> None:
    assert registry.example_files("csv.read").keys() == {"people.csv"}
    assert registry.example_files("npy.read")["table.npy"].startswith(b"\x93NUMPY")
    assert registry.example_files("range") == {}


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    points = EntryPoints(
        EntryPoint(name, value, registry.ENTRY_POINTS)
        for name, value in [
            ("acme/kafka.read", "math:floor"),
            ("acme/broken", "no_such_module:x"),
            ("noslash", "math:ceil"),
        ]
    )

    def entry_points(**select: Any) -> EntryPoints:
        return points.select(**select)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    registry._plugins.cache_clear()
    yield
    registry._plugins.cache_clear()


def test_plugins_are_listed_without_running_their_code(plugin: None) -> None:
    listed = stage_types()

    assert list(listed)[len(BUILT_IN) :] == ["acme/broken", "acme/kafka.read"]
    assert listed["acme/broken"].shape is Shape.UNKNOWN
    assert listed["acme/broken"].origin == "no_such_module:x"
    assert find("acme/kafka.read") == listed["acme/kafka.read"]
    assert manual_page(listed["acme/kafka.read"]).startswith("# acme/kafka.read\n")


def test_a_plugin_is_loaded_when_it_is_asked_for(plugin: None) -> None:
    assert load_operator("acme/kafka.read")(1.5) == 1
    with pytest.raises(ModuleNotFoundError):
        load_operator("acme/broken")


@pytest.mark.parametrize("name", ["nul", "acme/none", "noslash", ""])
def test_a_name_that_is_unknown_is_found_nowhere(name: str, plugin: None) -> None:
    assert find(name) is None
    with pytest.raises(registry.UnknownOperator):
        load_operator(name)


PROGRAM = """
import sys
from pipeflow.stages.loading import load_work
load_work(call="", operator="map", folder=".", parameters={"expr": "item"}, source=False,
          input_names=())
print(sorted(name for name in sys.modules
             if name.split(".")[0] in {"yaml", "jsonschema", "networkx", "rich", "numpy"}
             or name.startswith(("pipeflow.stages.sinks.", "pipeflow.stages.sources."))
             or name in {"pipeflow.stages.operators.top", "importlib.metadata"}))
"""


@pytest.mark.processes
def test_a_worker_imports_the_one_operator_that_it_runs_and_nothing_heavy() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30
    )

    assert told.stdout == "[]\n"


@pytest.mark.parametrize("kind", ["dist-info", "egg-info"])
def test_a_package_that_announces_operators_is_seen_without_loading_metadata(
    tmp_path: Path, kind: str
) -> None:
    announced = tmp_path / f"acme-1.0.{kind}" / "entry_points.txt"
    announced.parent.mkdir()
    announced.write_text("[console_scripts]\nacme = acme:main\n", encoding="utf-8")
    other = registry._any_announced([str(tmp_path)])
    announced.write_text("[pipeflow.operators]\nacme/read = acme:read\n", encoding="utf-8")

    assert not other
    assert registry._any_announced([str(tmp_path)])
    assert not registry._any_announced([str(tmp_path / "missing.zip")])


def test_what_lies_in_a_zip_is_left_to_metadata(tmp_path: Path) -> None:
    (tmp_path / "wheel.zip").write_bytes(b"PK")

    assert registry._any_announced([str(tmp_path / "wheel.zip")])


def test_operators_are_loaded_when_they_are_asked_for() -> None:
    program = (
        "import sys; from pipeflow.stages.registry import stage_types; known = stage_types();"
        "before = {*sys.modules}; assert 'print' in known and 'prin' not in known;"
        "assert known['range'].name == 'range' and known.get('prin') is None;"
        "new = {*sys.modules} - before;"
        "print(*sorted(name for name in new if name.startswith('pipeflow.stages.s')))"
    )

    loaded = subprocess.check_output([sys.executable, "-c", program], text=True)

    assert loaded.split() == ["pipeflow.stages.sources", "pipeflow.stages.sources.range"]

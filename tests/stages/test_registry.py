"""The operators there are, their manual pages and examples."""

from __future__ import annotations

import importlib.metadata
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeflow.spec.stage_type import Role, Shape
from pipeflow.stages import registry
from pipeflow.stages.author import STREAM_MARK
from pipeflow.stages.loading import load_work
from pipeflow.stages.manual import manual_page
from pipeflow.stages.registry import BUILT_IN, examples, find, load_operator, stage_types

NAMES = sorted(BUILT_IN)


def test_the_operators_of_the_language_are_there() -> None:
    assert list(stage_types())[:14] == [
        "files", "lines", "jsonl.read", "csv.read", "range",
        "map", "filter", "take", "count", "top",
        "print", "null", "jsonl.write", "csv.write",
    ]  # fmt: skip


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
    assert stage_type.keeps_state == with_state
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
    "jsonl.write": '{"number": 0, "square": 0}\n{"number": 1, "square": 1}\n'
    '{"number": 2, "square": 4}\n',
    "csv.write": "number,square\n0,0\n1,1\n2,4\n",
}


def run_chain(stages: dict[str, Any]) -> None:
    """Run stages that read one another in the order of the file, all of one before the next."""
    items: list[Any] = []
    for number, stage in enumerate(stages.values()):
        work = load_work(
            call="",
            operator=stage["use"],
            folder=".",
            parameters=stage.get("with", {}),
            source=number == 0,
            input_names=(),
        )
        if work.source is not None:
            results = list(work.source())
        elif work.stream is not None:
            results = list(work.stream(iter(items)))
        else:
            assert work.call is not None
            results = [work.call(item) for item in items]
        results += list((work.finish and work.finish()) or ())
        if work.close is not None:
            work.close()
        items = [result for result in results if result is not None]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_does_what_its_page_says(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for file, text in registry.example_files(name).items():
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(text)

    run_chain(yaml.safe_load(examples()[name])["stages"])

    written = "".join(path.read_text() for path in tmp_path.glob("out/*"))
    assert capsys.readouterr().out + written == SHOWN[name]


def test_the_files_that_an_example_reads_are_given() -> None:
    assert registry.example_files("csv.read").keys() == {"people.csv"}
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

    assert list(listed)[14:] == ["acme/broken", "acme/kafka.read"]
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

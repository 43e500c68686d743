"""The schema of a project, judged without an editor: what it lets in, and what it was made from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from pipeflow.config.load import load
from pipeflow.config.own_project import read_project
from pipeflow.config.schema.project import ports_of, project_schema
from pipeflow.spec.shapes import Role, Shape
from pipeflow.spec.stage_type import StageType
from pipeflow.stages.registry import stage_types

PROJECT = Path(__file__).parents[1] / "editor/project"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return project_schema(stage_types(), read_project([], str(PROJECT), ()))


def fits(schema: dict[str, Any], stage: dict[str, Any]) -> bool:
    return Draft7Validator(schema).is_valid({"stages": {"it": stage}})


def test_the_schema_of_a_project_is_valid_draft_07(schema: dict[str, Any]) -> None:
    Draft7Validator.check_schema(schema)

    assert fits(schema, {"call": "imaging:find", "with": {"root": "photos"}})
    assert not fits(schema, {"call": "imaging:find", "with": {"rot": "photos"}})


@pytest.mark.parametrize(
    ("stage", "good"),
    [
        ({"call": "imaging:shrink", "inputs": "a", "with": {"width": 3}}, True),
        ({"call": "imaging:shrink", "inputs": ["a", "b"], "with": {"width": 3}}, True),
        ({"call": "imaging:shrink", "inputs": {"from": "a"}, "with": {"width": 3}}, True),
        ({"call": "imaging:shrink", "inputs": "a", "with": {"width": 3, "photo": "x"}}, False),
        ({"call": "imaging:shrink", "inputs": {"from": "a"}, "with": {"photo": "x"}}, False),
        ({"call": "imaging:shrink", "inputs": {"photo": "a"}, "with": {"width": 3}}, True),
        ({"call": "imaging:shrink", "inputs": {"photo": "a", "width": "b"}}, True),
        ({"call": "imaging:shrink", "inputs": "a"}, False),
        ({"call": "imaging:pair", "inputs": {"left": "a", "right": "b"}}, True),
        ({"call": "imaging:Detector", "inputs": "a", "with": {"model": "m"}}, True),
        ({"call": "imaging:Detector", "inputs": "a", "with": {"photo": "m"}}, False),
        ({"call": "imaging:_private", "inputs": "a"}, True),
        ({"call": "imaging:Detector.make", "inputs": "a"}, True),
        ({"call": "imaging:shirnk", "inputs": "a"}, False),
        ({"call": "elsewhere:f", "inputs": "a"}, False),
        ({"call": "imaging", "inputs": "a"}, False),
        ({"use": "print", "inputs": "a", "with": {"format": "text"}}, True),
    ],
)
def test_parameters_depend_on_how_the_items_come(
    schema: dict[str, Any], stage: dict[str, Any], good: bool
) -> None:
    assert fits(schema, stage) is good


def test_modules_that_are_called_are_known_wherever_they_lie(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def f(x): return x\n", encoding="utf-8")
    (tmp_path / "test_mine.py").write_text("def test_f(): pass\n", encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/library.py").write_text("def g(x): return x\n", encoding="utf-8")
    path = (str(tmp_path / "elsewhere"),)

    alone = read_project([], str(tmp_path), path)
    calling = read_project(["library:g", "nowhere:h", "mine:f"], str(tmp_path), path)

    assert list(alone.targets) == ["mine:f"]
    assert sorted(calling.targets) == ["library:g", "mine:f"]


def test_the_modules_of_packages_beside_the_file_are_known_too(tmp_path: Path) -> None:
    (tmp_path / "tools/tests").mkdir(parents=True)
    (tmp_path / "tools/__init__.py").write_text("def top(x): return x\n", encoding="utf-8")
    (tmp_path / "tools/images.py").write_text("def shrink(x): return x\n", encoding="utf-8")
    (tmp_path / "tools/_private.py").write_text("def hidden(x): return x\n", encoding="utf-8")
    (tmp_path / "data").mkdir()

    project = read_project([], str(tmp_path), ())

    assert list(project.targets) == ["tools:top", "tools.images:shrink"]


def test_a_module_that_hides_its_names_may_have_any(tmp_path: Path) -> None:
    (tmp_path / "dark.py").write_text("globals()['f'] = print\ndef g(x): ...\n", encoding="utf-8")

    schema = project_schema(stage_types(), read_project([], str(tmp_path), ()))

    assert fits(schema, {"call": "dark:f", "inputs": "a"})
    assert not fits(schema, {"call": "drak:f", "inputs": "a"})


def test_a_project_without_modules_has_the_schema_of_the_language(tmp_path: Path) -> None:
    schema = project_schema(stage_types(), read_project([], str(tmp_path), ()))

    assert fits(schema, {"call": "any:thing", "with": {"a": 1}})


def test_the_ports_of_stages_are_those_that_edges_may_read() -> None:
    loaded = load(PROJECT / "photos.yaml", environ={}, stage_types=stage_types(), search_path=())
    assert loaded.pipeline is not None

    ports = ports_of(loaded.pipeline)

    assert list(ports) == ["find", "shrink", "shrink.masks", "shrink.errors", "detect", "show"]
    assert ports["shrink"] == "Makes them small."


def test_fifty_functions_and_fifty_stages_take_less_than_a_second(tmp_path: Path) -> None:
    folder, calls = big_project(tmp_path)

    begun = time.process_time()  # however busy the machine is
    schema = project_schema(stage_types(), read_project(calls, str(folder), ()))
    took = time.process_time() - begun

    assert sum(call.startswith("work:") for call in schema["definitions"]) == 50
    assert took < 1.0


def big_project(folder: Path, functions: int = 50, stages: int = 50) -> tuple[Path, list[str]]:
    """A module of many functions and a file of many stages."""
    lines = [
        f'def f{n}(item: int, width: int, mode: str = "a", names: list[str] = []) -> int:\n'
        f'    """Do it.\n\n    Args:\n        width: How wide {n}.\n        mode: How.\n    """\n'
        "    return item\n"
        for n in range(functions)
    ]
    (folder / "work.py").write_text("\n".join(lines), encoding="utf-8")
    calls = [f"work:f{n % functions}" for n in range(stages - 1)]
    text = ["stages:\n  s0:\n    use: range\n    with: {stop: 3}\n"]
    text += [
        f"  s{n}:\n    call: {call}\n    inputs: s{n - 1}\n    with:\n      width: {n}\n"
        for n, call in enumerate(calls, 1)
    ]
    (folder / "big.yaml").write_text("".join(text), encoding="utf-8")
    return folder, calls


PLUGIN = '''
from pipeflow.stages.declare import operator


@operator(name="acme/kafka.read", role=None, summary="")
class Read:
    """Items of a topic."""

    def __init__(self, *, topic: str, group: int = 1) -> None:
        """Connect.

        Args:
            topic: Where they are.
        """

    def __call__(self): ...
'''


def test_an_operator_of_a_plugin_has_the_parameters_that_its_source_says(tmp_path: Path) -> None:
    (tmp_path / "acme.py").write_text(PLUGIN, encoding="utf-8")
    kind = StageType(name="acme/kafka.read", role=Role.OPERATOR, shape=Shape.UNKNOWN)
    project = read_project([], str(tmp_path), (), {kind.name: "acme:Read", "acme/lost": "no:x"})

    schema = project_schema({**stage_types(), kind.name: kind}, project)

    assert fits(schema, {"use": kind.name, "with": {"topic": "t"}})
    assert fits(schema, {"use": kind.name, "with": {"topic": "${params.t}", "group": 2}})
    assert not fits(schema, {"use": kind.name, "with": {"topci": "t"}})
    assert not fits(schema, {"use": kind.name, "with": {"group": "x"}})
    told = schema["definitions"]["acme-kafka.read"]["properties"]["topic"]
    assert told["description"] == "Where they are. Type: str. Required."
    chosen = schema["definitions"]["stage"]["properties"]["use"]["anyOf"]
    assert any(one.get("description") == "Items of a topic." for one in chosen)

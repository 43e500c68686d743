"""Classes of the user's own: what they inherit, and values for enumerations and dataclasses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeflow.config.nodes import Map, Node
from pipeflow.config.reader import read_text
from pipeflow.config.stage.call_check import check_parameters
from pipeflow.spec.shapes import Shape
from tests.config.parts import facts

SHAPES = """
from dataclasses import dataclass, field
from enum import Enum, IntEnum

class Base:
    def __init__(self, model: str, size: int = 3): ...
    def finish(self): yield 1

class Unit(IntEnum):
    METRE = 1

class Made(Enum):
    ONE = compute()
"""
MODELS = """
from __future__ import annotations
import enum
from dataclasses import dataclass, field
import shapes
from shapes import Base, Made, Unit
from elsewhere import Stranger

class Child(Base):
    def __call__(self, x): return x

class Grandchild(Child):
    def __init__(self, depth: int): ...

class ByModule(shapes.Base):
    def __call__(self, x): return x

class Strange(Stranger):
    def __call__(self, x): return x

@dataclass
class Box:
    width: int
    height: int = 2
    tags: list[str] = field(default_factory=list)

@dataclass
class Deep(Box):
    depth: float = 1.0
    def __call__(self, x): return x

class Color(str, enum.Enum):
    RED = "red"
    BLUE = "blue"

def paint(x, color: Color = Color.RED, box: Box | None = None, unit: Unit = Unit.METRE,
          made: Made = None, boxes: list[Box] = ()): return x
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "shapes.py").write_text(SHAPES, encoding="utf-8")
    (tmp_path / "models.py").write_text(MODELS, encoding="utf-8")
    (tmp_path / "stubbed.pyi").write_text("def only(x: int) -> int: ...\n", encoding="utf-8")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("target", "parameters", "keeps_state", "open_ended"),
    [
        ("models:Child", ["model", "size"], True, False),
        ("models:Grandchild", ["depth"], True, False),
        ("models:Deep", ["width", "height", "tags", "depth"], False, False),
        ("models:Strange", [], False, True),
    ],
)
def test_a_class_takes_what_it_inherits(
    target: str, parameters: list[str], keeps_state: bool, open_ended: bool, folder: str
) -> None:
    read = facts(target, folder)

    assert read.shape is Shape.CLASS
    assert [parameter.name for parameter in read.parameters] == parameters
    assert (read.keeps_state, read.open_ended) == (keeps_state, open_ended)


def test_a_base_that_is_named_through_its_module_is_unknown(folder: str) -> None:
    assert facts("models:ByModule", folder).open_ended


def test_a_module_of_which_there_is_a_stub_only_is_unknown(folder: str) -> None:
    assert facts("stubbed:only", folder).shape is Shape.UNKNOWN


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("color: red", ""),
        ("color: RED", ""),
        ("color: green", "expected one of 'red', 'blue', got the text \"green\""),
        ("color: 1", "expected one of 'red', 'blue', got the number 1"),
        ("unit: 1", ""),
        ("unit: METRE", ""),
        ("unit: 2", "expected one of 1, got the number 2"),
        ("made: anything", ""),
        ("box: {width: 1}", ""),
        ("box: {width: 1, tags: [a]}", ""),
        ("box: null", ""),
        ("box: {width: a}", "parameter 'box.width' of paint(): expected int, got the text \"a\""),
        ("box: {height: 1}", "Box(width, height=..., tags=...) needs 'width'"),
        ("box: {width: 1, hight: 2}", "Box has no field 'hight'"),
        ("box: 5", "or null, got the number 5"),
        ("boxes: [{width: 1}]", ""),
        ("boxes: [{width: a}]", "'boxes[0].width' of paint(): expected int, got the text \"a\""),
    ],
)
def test_values_for_types_of_the_users_own_are_judged(given: str, told: str, folder: str) -> None:
    block = read_text(given, "p").root
    assert isinstance(block, Map)
    nodes: dict[str, Node] = {entry.key: entry.value for entry in block.entries}

    found = check_parameters(facts("models:paint", folder), nodes, 1)

    problems = [one.problem.problem for one in found]
    assert problems == [] if not told else told in problems[0]

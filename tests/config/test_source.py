"""Targets of ``call`` are read from source, and never imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeflow.config.nodes import Node, Scalar
from pipeflow.config.problem import Problem
from pipeflow.config.source import Inspected, hidden_modules, inspect_call
from pipeflow.config.stage.call_check import check_parameters
from pipeflow.errors import Location
from pipeflow.spec.shapes import Shape
from tests.config.parts import facts

IMAGING = """\
import functools
import pipeflow
from pipeflow import stream as st
from pkg import thing as other
raise SystemExit("the canary ran")

def clean(item, threshold: float = 0.5, *, mode: "Literal['a', 'b']" = "a"): return item
def gen(stop: int):
    yield stop
async def fetch(url): ...
@pipeflow.stream
def rolling(xs, window: int): yield 1
@st
def second(xs): return iter(xs)
class Detector:
    def __init__(self, model: str): ...
    def __call__(self, image): return 1
    def finish(self): yield 2
if functools:
    def conditional(a): ...
else:
    def conditional(a, b): ...
try:
    import fast as optional
except ImportError:
    optional = None
@functools.lru_cache
def cached(a): return a
@unheard_of
def decorated(a): return a
short = lambda x: x
alias = clean
LIMIT = 3
class Silent:
    limit: int = 3
    def run(self, x): return x
class Bound(Silent):
    __call__ = clean
class Listed:
    def __iter__(self): return iter(())
class Heir(Bound):
    pass
class Tools:
    @staticmethod
    def make(x): return x
def pair(image, mask): return image
def nested(x):
    def inner():
        yield 1
    return inner
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "imaging.py").write_text(IMAGING)
    (tmp_path / "starred.py").write_text("from helper import *\nfrom nowhere import *\n")
    (tmp_path / "helper.py").write_text("def star(a): return a\n")
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "json.py").write_text("def loads(a): ...\n")
    (tmp_path / "magic.py").write_text("def __getattr__(name): ...\n")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("from .sub import thing\n")
    (tmp_path / "pkg" / "sub.py").write_text("def thing(q): return q\n")
    return str(tmp_path)


def scalar(value: object, *, from_text: bool = False) -> Scalar:
    return Scalar(at=Location("p", 1, 1), value=value, text=str(value), from_text=from_text)


@pytest.mark.parametrize(
    ("target", "shape", "parameters"),
    [
        ("imaging:clean", Shape.FUNCTION, ["item", "threshold", "mode"]),
        ("imaging:gen", Shape.GENERATOR, ["stop"]),
        ("imaging:fetch", Shape.ASYNC, ["url"]),
        ("imaging:rolling", Shape.STREAM, ["xs", "window"]),
        ("imaging:second", Shape.STREAM, ["xs"]),
        ("imaging:Detector", Shape.CLASS, ["model"]),
        ("imaging:cached", Shape.FUNCTION, ["a"]),
        ("imaging:short", Shape.FUNCTION, ["x"]),
        ("imaging:alias", Shape.FUNCTION, ["item", "threshold", "mode"]),
        ("imaging:Tools.make", Shape.FUNCTION, ["x"]),
        ("imaging:nested", Shape.FUNCTION, ["x"]),
        ("imaging:other", Shape.FUNCTION, ["q"]),
        ("pkg:thing", Shape.FUNCTION, ["q"]),
        ("starred:star", Shape.FUNCTION, ["a"]),
    ],
)
def test_shape_and_parameters_are_read(
    target: str, shape: Shape, parameters: list[str], folder: str
) -> None:
    read = facts(target, folder)

    assert read.shape is shape
    assert [parameter.name for parameter in read.parameters] == parameters


@pytest.mark.parametrize(
    "target",
    [
        "imaging:conditional",
        "imaging:optional",
        "imaging:decorated",
        "starred:anything",
        "magic:anything",
        "pkg:sub",
    ],
)
def test_what_the_source_cannot_tell_is_unknown_and_never_missing(target: str, folder: str) -> None:
    read = facts(target, folder)

    assert read.shape is Shape.UNKNOWN
    assert check_parameters(read, {"any": scalar(1)}, 1) == []


@pytest.mark.parametrize("target", ["math:sqrt", "os.path:join", "itertools:count"])
def test_compiled_and_injected_modules_are_unknown(target: str, folder: str) -> None:
    found = inspect_call(target, folder, sys.path)

    assert isinstance(found, Inspected)
    assert found.facts.shape is Shape.UNKNOWN


@pytest.mark.parametrize(
    ("target", "code", "hint"),
    [
        ("imaging:claen", "unknown-attribute", "did you mean 'clean' (line 7)?"),
        ("imagng:clean", "unknown-module", "'imaging' (imaging.py beside this file)"),
        ("pkg.sbu:thing", "unknown-module", "did you mean 'pkg.sub'?"),
        ("imaging", "bad-call", "functions in imaging.py: clean, gen, fetch"),
        ("imaging.py:clean", "bad-call", "call: imaging:clean"),
        ("imaging.clean", "bad-call", "call: imaging:clean"),
        ("imaging:LIMIT", "not-callable", "name a function or a class"),
        ("imaging:Silent", "not-callable", "give it 'def __call__(self, item)'; imaging.py:"),
        ("imaging:Tools.mkae", "unknown-attribute", "did you mean 'make'?"),
    ],
)
def test_a_target_that_is_not_there_says_what_is(
    target: str, code: str, hint: str, folder: str
) -> None:
    found = inspect_call(target, folder, ())

    assert isinstance(found, Problem)
    assert found.code == code
    assert hint in found.hint


@pytest.mark.parametrize("name", ["Bound", "Heir", "Listed"])
def test_a_class_that_may_be_called_or_iterated_is_not_refused(name: str, folder: str) -> None:
    assert facts(f"imaging:{name}", folder).shape is Shape.UNKNOWN


def test_a_syntax_error_in_the_module_is_told_with_its_line(folder: str) -> None:
    found = inspect_call("broken:f", folder, ())

    assert isinstance(found, Problem)
    assert found.problem.startswith("broken.py:2: ")


def test_a_module_that_hides_one_of_pythons_own_is_a_doubt(folder: str) -> None:
    found = inspect_call("json:loads", folder, ())

    assert isinstance(found, Inspected)
    assert [doubt.code for doubt in found.problems] == ["hidden-module"]
    assert len(hidden_modules(folder)) == 1


@pytest.mark.parametrize(
    ("target", "given", "items", "codes"),
    [
        ("imaging:clean", {"threshold": 1}, 1, []),
        ("imaging:clean", {"thresold": 1}, 1, ["unknown-parameter"]),
        ("imaging:clean", {"threshold": "x", "mode": "c"}, 1, ["parameter-type"] * 2),
        ("imaging:clean", {"item": 1}, 1, ["parameter-is-item"]),
        ("imaging:clean", {}, 0, ["missing-parameter"]),
        ("imaging:rolling", {}, 1, ["missing-parameter"]),
        ("imaging:Detector", {"model": "m"}, 1, []),
        ("imaging:Detector", {}, 1, ["missing-parameter"]),
        ("imaging:Detector", {"model": "m"}, 0, ["item-argument"]),
        ("imaging:pair", {}, ("image", "mask"), []),
        ("imaging:pair", {}, ("imgae", "mask"), ["item-argument"]),
    ],
)
def test_parameters_are_checked_against_the_signature(
    target: str,
    given: dict[str, object],
    items: tuple[str, ...] | int,
    codes: list[str],
    folder: str,
) -> None:
    nodes: dict[str, Node] = {name: scalar(value) for name, value in given.items()}

    found = check_parameters(facts(target, folder), nodes, items)

    assert [one.problem.code for one in found] == codes


def test_text_from_outside_fits_the_number_it_spells(folder: str) -> None:
    given: dict[str, Node] = {"threshold": scalar("0.7", from_text=True)}

    assert check_parameters(facts("imaging:clean", folder), given, 1) == []

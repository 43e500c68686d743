"""Annotations of who gives an item and who takes it: told only where they surely contradict."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeflow.config.load import load
from pipeflow.errors import Finding, Severity
from pipeflow.planner.checks import check
from pipeflow.stages.registry import stage_types

HEAD = """
from __future__ import annotations
import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NewType, Optional, Protocol, TypeVar, Union
import numpy as np
import numpy.typing as npt
import pipeflow
from shapes import Photo, Small, Strange
from elsewhere import Foreign
T = TypeVar("T")
Alias = bytes
Name = NewType("Name", str)
class Mask: ...
class Shown(Protocol):
    def show(self): ...
"""
SHAPES = "class Photo: ...\nclass Small(Photo): ...\nclass Strange(Photo, metaclass=Meta): ...\n"


CLASS = """
class t:
    def __init__(self, a: int = 1): ...
    def __call__(self, x: str): ...
"""


def told(folder: Path, module: str, pipeline: str) -> list[Finding]:
    (folder / "steps.py").write_text(HEAD + module, encoding="utf-8")
    (folder / "shapes.py").write_text(SHAPES, encoding="utf-8")
    (folder / "p.yaml").write_text(pipeline, encoding="utf-8")
    loaded = load(folder / "p.yaml", environ={}, stage_types=stage_types(), search_path=())
    assert loaded.pipeline is not None
    return [one for one in check(loaded.pipeline) if one.code == "item-types"]


def contradict(folder: Path, gives: str, takes: str) -> bool:
    """Whether it is told that one function gives what the next one does not take."""
    module = (
        f"def source() -> Iterator[int]: yield 1\ndef give(x: int) -> {gives}: ...\n"
        f"def take(x: {takes}) -> None: ...\n"
    )
    pipeline = (
        "stages:\n  s: {call: 'steps:source'}\n"
        "  g: {call: 'steps:give', inputs: s}\n  t: {call: 'steps:take', inputs: g}\n"
    )
    return bool(told(folder, module, pipeline))


@pytest.mark.parametrize(
    ("gives", "takes"),
    [
        ("str", "int"),
        ("int", "str"),
        ("float", "int"),
        ("str", "Path"),
        ("bytes", "str"),
        ("list[int]", "int"),
        ("list[int]", "list[str]"),
        ("dict[str, int]", "list"),
        ("tuple[int, str]", "tuple[int, int]"),
        ("Optional[str]", "int"),
        ("str | None", "int | None"),
        ("int | float", "str | Path"),
        ("Literal['a']", "int"),
        ("np.ndarray", "str"),
        ("npt.NDArray[np.float64]", "bytes"),
        ("Photo", "bytes"),
        ("bytes", "Photo"),
        ("Photo", "Mask"),
        ("'Photo'", "'Mask'"),
        ("dt.date", "dt.datetime"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, gives: str, takes: str) -> None:
    assert contradict(tmp_path, gives, takes)


@pytest.mark.parametrize(
    ("gives", "takes"),
    [
        ("int", "int"),
        ("int", "float"),
        ("bool", "int"),
        ("dt.datetime", "dt.date"),
        ("str", "int | str"),
        ("int | str", "int"),
        ("str | None", "str"),
        ("list", "list[int]"),
        ("Small", "Photo"),
        ("Photo", "Small"),
        ("Photo", "Photo"),
        ("Any", "int"),
        ("int", "Any"),
        ("int", "object"),
        ("T", "int"),
        ("int", "T"),
        ("Alias", "int"),
        ("Name", "int"),
        ("str", "Name"),
        ("Foreign", "int"),
        ("Strange", "int"),
        ("Photo", "Shown"),
        ("list[int]", "Iterable[int]"),
        ("Iterable[str]", "int"),
        ("np.ndarray", "npt.NDArray[np.float64]"),
        ("tuple[int, ...]", "tuple[int, int]"),
        ("(((", "int"),
        ("f()", "int"),
    ],
)
def test_what_may_be_is_not(tmp_path: Path, gives: str, takes: str) -> None:
    if gives == "(((":
        gives = "'((('"

    assert not contradict(tmp_path, gives, takes)


def test_it_is_a_doubt_that_names_both_places(tmp_path: Path) -> None:
    module = "def words() -> Iterator[str]: yield 'a'\ndef plus(x: int) -> int: return x\n"
    pipeline = "stages:\n  w: {call: 'steps:words'}\n  p: {call: 'steps:plus', inputs: w}\n"

    (found,) = told(tmp_path, module, pipeline)

    assert (found.at.line, found.at.column, found.severity) == (3, 35, Severity.WARNING)
    assert found.problem == "'w' gives str (steps.py:19), but stage 'p' takes int (steps.py:20)"


@pytest.mark.parametrize(
    ("module", "pipeline", "expected"),
    [
        # A source may return any iterable; a list of an ordinary stage is one item.
        ("def s() -> list[int]: ...\ndef t(x: int): ...", "{call: 'steps:s'}", 0),
        ("def s() -> Iterable[str]: ...\ndef t(x: int): ...", "{call: 'steps:s'}", 1),
        # What operators give.
        ("def t(x: str): ...", "{use: files, with: {root: .}}", 1),
        ("def t(x: Path): ...", "{use: files, with: {root: .}}", 0),
        ("def t(x: str): ...", "{use: range, with: {stop: 3}}", 1),
        ("def t(x: int): ...", "{use: lines, with: {path: a}}", 1),
        ("def t(x: int): ...", "{use: jsonl.read, with: {path: a}}", 0),
        # Streams, and classes.
        (
            "@pipeflow.stream\ndef t(xs: Iterator[str]): ...",
            "{use: range, with: {stop: 3}}",
            1,
        ),
        (
            "@pipeflow.stream\ndef t(xs: Iterator[float]): ...",
            "{use: range, with: {stop: 3}}",
            0,
        ),
        (CLASS, "{use: range, with: {stop: 3}}", 1),
    ],
)
def test_what_an_item_is_depends_on_who_gives_and_who_takes_it(
    tmp_path: Path, module: str, pipeline: str, expected: int
) -> None:
    text = f"stages:\n  s: {pipeline}\n  t: {{call: 'steps:t', inputs: s}}\n"

    assert len(told(tmp_path, module + "\n", text)) == expected


def test_named_inputs_are_judged_by_the_arguments_of_their_names(tmp_path: Path) -> None:
    module = (
        "def s() -> Iterator[int]: yield 1\ndef a(x: int) -> str: ...\n"
        "def t(left: str, right: str): ...\n"
    )
    pipeline = (
        "stages:\n  s: {call: 'steps:s'}\n  a: {call: 'steps:a', inputs: s}\n"
        "  t: {call: 'steps:t', inputs: {left: a, right: s}}\n"
    )

    (found,) = told(tmp_path, module, pipeline)

    assert "'s' gives int" in found.problem


def test_a_dead_letter_is_a_dict(tmp_path: Path) -> None:
    module = "def a(x: int) -> int: ...\ndef t(letter: str): ...\n"
    pipeline = (
        "stages:\n  s: {use: range, with: {stop: 3}}\n"
        "  a: {call: 'steps:a', inputs: s, on_error: dead_letter}\n"
        "  t: {call: 'steps:t', inputs: a.errors}\n"
    )

    (found,) = told(tmp_path, module, pipeline)

    assert "'a.errors' gives dict (a dead letter)" in found.problem

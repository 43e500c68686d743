"""What is accepted without ``jsonschema`` is what ``jsonschema`` accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from jsonschema import Draft7Validator

from pipeflow.config.nodes import plain
from pipeflow.config.reader import read_file
from pipeflow.config.schema.filled_in import without_references
from pipeflow.config.schema.root import pipeline_schema
from pipeflow.config.shape.accept import accepts
from pipeflow.config.shape.judge import lean_schema
from pipeflow.spec.language import STAGE
from pipeflow.stages.registry import stage_types

ROOT = Path(__file__).parents[2]
SCHEMA = without_references(pipeline_schema(stage_types()))
LEAN = lean_schema(stage_types())
JUDGE = Draft7Validator(SCHEMA)
FILES = sorted([*ROOT.glob("pipelines/**/*.yaml"), *ROOT.glob("tests/**/cases/**/*.yaml")])

texts = some.sampled_from(["a", "a.out", "b", "auto", "1MiB", "block", "files", "take", "", "x y"])
scalars = some.none() | some.booleans() | some.integers(-2, 5) | some.floats() | texts
options = some.sampled_from([option.name for option in STAGE.options])
keys = options | some.sampled_from(
    ["from", "capacity", "size", "key", "then", "x-y", "1", "n", "pattern"]
)
values = some.recursive(
    scalars,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
stages = some.dictionaries(some.sampled_from(["a", "b", "1x", "c-d"]), values, max_size=3)


def judged(value: Any) -> bool:
    return not any(True for _ in JUDGE.iter_errors(value))


@given(value=values)
def test_the_two_agree_on_anything(value: Any) -> None:
    assert accepts(SCHEMA, value) == judged(value)


@given(
    stage=some.dictionaries(options, values, max_size=4),
    work=some.sampled_from([{"call": "m:f"}, {"use": "take", "with": {"n": 3}}, {"use": "files"}]),
    rest=some.sampled_from([{}, {"limits": {"memory": "1GiB"}}, {"x-mine": 1}, {"name": 3}]),
)
def test_the_two_agree_on_what_looks_like_a_pipeline(stage: Any, work: Any, rest: Any) -> None:
    value = {"stages": {"a": {**stage, **work}, "b": {"call": "m:g", "inputs": "a"}}, **rest}

    assert accepts(SCHEMA, value) == accepts(LEAN, value) == judged(value)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_two_agree_on_files(file: Path) -> None:
    root = read_file(file).root
    value = plain(root) if root is not None else None

    assert accepts(SCHEMA, value) == judged(value)


@pytest.mark.parametrize(
    "schema",
    [
        {"maxLength": 3},
        {"not": {"uniqueItems": True}},
        {"$ref": "http://elsewhere/schema"},
        {"items": [{}]},
        {"type": "any"},
        {"enum": [[1]]},
        {"if": {"format": "date"}, "then": False},
    ],
)
def test_what_it_does_not_know_is_left_to_the_judge(schema: Any) -> None:
    assert not accepts(schema, [1])
    assert not accepts(schema, "text") or "items" in schema


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"enum": [1]}, True, False),
        ({"enum": [1]}, 1.0, True),
        ({"const": False}, 0, False),
        ({"type": "integer"}, 2.0, True),
        ({"type": "integer"}, True, False),
        ({"type": "number"}, False, False),
        ({"minimum": 3}, "1", True),
        ({"pattern": "^a"}, 1, True),
        ({"required": ["a"]}, "text", True),
        ({"properties": {"a": False}}, {"a": 1}, False),
        ({"items": {"type": "string"}}, ["a", 1], False),
    ],
)
def test_fine_points_are_as_in_draft_07(schema: Any, value: object, fits: bool) -> None:
    assert accepts(schema, value) is fits
    assert Draft7Validator(schema).is_valid(value) is fits

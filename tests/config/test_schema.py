"""The JSON Schema: fresh, valid, closed, and free of what editors answer badly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator

from pipeflow.config.schema.file import schema_path, schema_text
from pipeflow.config.schema.nodes import described, option_schema
from pipeflow.config.schema.root import pipeline_schema
from pipeflow.spec.language import ROOT, STAGE, TABLES
from pipeflow.spec.options import Option, OptionType
from pipeflow.stages.registry import stage_types


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return pipeline_schema(stage_types())


def verdict(schema: dict[str, Any], stage: dict[str, Any]) -> bool:
    pipeline = {"stages": {"load": {"call": "m:f"}, "it": stage}}
    return bool(Draft7Validator(schema).is_valid(pipeline))


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    match schema:
        case dict():
            yield schema
            for value in schema.values():
                yield from nodes(value)
        case list():
            for value in schema:
                yield from nodes(value)
        case _:
            pass


def test_the_schema_in_the_repository_is_fresh() -> None:
    built_in = {name: one for name, one in stage_types().items() if "/" not in name}

    assert schema_path().read_text(encoding="utf-8") == schema_text(built_in), (
        "write it again: pipeflow schema > schemas/pipeline.schema.json"
    )


def test_the_schema_is_valid_draft_07(schema: dict[str, Any]) -> None:
    Draft7Validator.check_schema(schema)

    assert schema["$schema"].startswith("http://json-schema.org/draft-07/")


def test_the_schema_refers_to_nothing_outside_and_never_says_one_of(schema: dict[str, Any]) -> None:
    references = [node["$ref"] for node in nodes(schema) if isinstance(node.get("$ref"), str)]

    assert references
    assert all(reference.startswith("#/definitions/") for reference in references)
    assert not [node for node in nodes(schema) if isinstance(node.get("oneOf"), list)]


def test_every_key_of_the_language_is_described() -> None:
    bare = [
        f"{table.name}.{option.name}"
        for table in TABLES
        for option in table.options
        if not option.description
    ]

    assert bare == []


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each property that the schema describes, with a way to it for messages."""
    for node in nodes(schema):
        for name, inner in node.get("properties", {}).items():
            # Other tools' words, and keys that are refused, have messages instead.
            if isinstance(inner, dict) and inner != {"doNotSuggest": True} and name != "with":
                yield f"{node.get('title')}.{name}", inner


def test_every_property_of_the_schema_is_described_as_text_and_as_markdown(
    schema: dict[str, Any],
) -> None:
    described = list(properties(schema))
    bare = [
        path
        for path, node in described
        if not (node.get("description") and node.get("markdownDescription") and node.get("title"))
    ]

    assert len(described) > 100
    assert bare == []
    assert [path for path, node in described if "`" in node["description"]] == []
    unlinked = [path for path, node in described if "](http" not in node["markdownDescription"]]
    assert unlinked == ["pipeflow pipeline.$schema"]


def test_every_enumerated_value_is_described_as_text_and_as_markdown(
    schema: dict[str, Any],
) -> None:
    listed = [node for node in nodes(schema) if "enumDescriptions" in node]
    constants = [node for node in nodes(schema) if "const" in node and "title" in node]

    assert len(listed) > 10
    for node in listed:
        for key in ("enumDescriptions", "markdownEnumDescriptions"):
            assert len(node[key]) == len(node["enum"])
            assert all(node[key])
    assert {node["const"] for node in constants} == set(stage_types())
    assert all(node["description"] and node["markdownDescription"] for node in constants)


def test_every_description_names_its_default_and_its_unit() -> None:
    options = [option for table in TABLES for option in table.options if not option.later]
    options += [option for kind in stage_types().values() for option in kind.options]

    for option in options:
        for words in (described(option)["description"], described(option)["markdownDescription"]):
            assert not option.unit or f"Unit: {option.unit}." in words
            assert not option.required or "Required." in words
            if not option.required and option.default not in (None, ""):
                assert "Default: " in words


def test_every_object_of_the_schema_is_closed(schema: dict[str, Any]) -> None:
    objects = [schema, *schema["definitions"].values()]

    assert all("additionalProperties" in node for node in objects)
    assert all(
        schema["definitions"][name]["additionalProperties"] is False for name in ("stage", "edge")
    )


def test_every_default_of_the_language_fits_its_own_declaration() -> None:
    for table in TABLES:
        for option in table.options:
            if option.required or option.later or option.default in {None, ""}:
                continue

            fits = Draft7Validator(option_schema(option)).is_valid(option.default)

            assert fits, f"{table.name}.{option.name}"


def test_every_example_of_the_language_fits_its_own_declaration() -> None:
    for table in TABLES:
        for option in table.options:
            for example in option.examples:
                fits = Draft7Validator(option_schema(option)).is_valid(example)

                assert fits, f"{table.name}.{option.name}: {example}"


@pytest.mark.parametrize(
    "stage",
    [
        {"call": "m:f"},
        {"call": "m:f", "inputs": "load"},
        {"call": "m:f", "inputs": "load.errors"},
        {"call": "m:f", "inputs": ["load", {"from": "load", "capacity": 3}]},
        {"call": "m:f", "inputs": {"from": "load", "capacity": {"items": 3, "bytes": "1GiB"}}},
        {"call": "m:f", "inputs": {"a": "load", "b": {"from": "load"}}},
        {"call": "m:f", "inputs": {"capacity": "load", "transport": "load"}},
        {"call": "m:f", "replicas": "auto"},
        {"call": "m:f", "replicas": "${params.workers}"},
        {"call": "m:f", "ordered": "${env.ORDERED}"},
        {"call": "m:f", "partition": {"key": "item[0]"}},
        {"call": "m:f", "batch": 8, "concurrency": 100},
        {"call": "m:f", "batch": {"size": "${params.size}", "wait": "50ms", "stack": True}},
        {"call": "m:f", "x-mine": [1, 2]},
        {"call": "m:f", "with": {"anything": {"goes": [1]}}},
        {"use": "range", "with": {"stop": 3}},
        {"use": "range", "with": {"stop": "${params.stop}"}},
        {"use": "acme/kafka.read", "with": {"topic": "t"}},
    ],
)
def test_a_stage_of_the_language_fits(schema: dict[str, Any], stage: dict[str, Any]) -> None:
    assert verdict(schema, stage)


@pytest.mark.parametrize(
    "stage",
    [
        {},
        {"call": "m:f", "use": "range"},
        {"call": "m:f", "inputs": []},
        {"call": "m:f", "inputs": {}},
        {"call": "m:f", "inputs": {"form": "load", "capacity": 8}},
        {"call": "m:f", "inputs": {"from": "load", "capcity": 8}},
        {"call": "m:f", "inputs": {"a": {"capacity": 8}}},
        {"call": "m:f", "replicas": 0},
        {"call": "m:f", "replicas": True},
        {"call": "m:f", "replicas": "many"},
        {"call": "m:f", "ordered": "no"},
        {"call": "m:f", "on_error": {"then": "skipp"}},
        {"call": "m:f", "on_error": {"retries": -1}},
        {"call": "m:f", "on_error": {"then": "skip", "budget": "many"}},
        {"call": "m:f", "on_error": {"then": "skip", "retry": 2}},
        {"call": "m:f", "batch": 0},
        {"call": "m:f", "batch": {"wait": "1s"}},
        {"call": "m:f", "batch": {"size": 4, "linger": "1s"}},
        {"call": "m:f", "concurrency": "many"},
        {"call": "m:f", "partition": {"kye": "item"}},
        {"use": "rnage", "with": {"stop": 3}},
        {"use": "range", "with": {"stpo": 3}},
        {"use": "range", "with": {"stop": "three"}},
    ],
)
def test_a_stage_with_a_mistake_does_not_fit(schema: dict[str, Any], stage: dict[str, Any]) -> None:
    assert not verdict(schema, stage)


def test_words_of_later_versions_are_declared_but_not_offered() -> None:
    later = {option.name for table in (ROOT, STAGE) for option in table.options if option.later}

    assert later == {"checkpoint", "restart"}


def test_a_union_is_one_flat_node() -> None:
    option = Option(
        name="size",
        types=(OptionType.INTEGER, OptionType.STRING),
        choices=("auto",),
        minimum=1,
    )

    node = option_schema(option)

    assert node["type"] == ["string", "integer"]  # an editor writes what fits the first
    assert node["minimum"] == 1
    assert node["errorMessage"] == "must be a whole number of at least 1 or 'auto'"


def test_the_schema_is_plain_json() -> None:
    assert json.loads(schema_text(stage_types())) == pipeline_schema(stage_types())


def test_every_pattern_is_one_that_editors_understand() -> None:
    text = json.dumps(pipeline_schema(stage_types()))
    groups = set(re.findall(r"\(\?[^:=!]{0,2}", text))

    # What Python has beyond ECMA 262: flags in the middle, names, and the like.
    assert groups <= {"(?", "(?<"}

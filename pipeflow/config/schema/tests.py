"""The part of the JSON Schema that speaks of ``tests``: what is given, and what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeflow.config.schema.nodes import (
    REFERENCE,
    Schema,
    both,
    closed,
    mapping,
    not_empty,
    option_schema,
    reference,
)
from pipeflow.config.schema.snippets import NEW_TEST
from pipeflow.spec.language import NAME_PATTERN, ROOT, TEST

_PORTS: Final[Schema] = {
    "pattern": rf"^{NAME_PATTERN}(\.{NAME_PATTERN})?$",
    "errorMessage": "must be a stage, or stage.port",
}
_FORMS: Final = "must be a list of items, or a mapping with 'count', 'contains' or 'each'"


def tests_schema() -> Schema:
    """The mapping from a test's name to the test."""
    node = option_schema(ROOT.declared("tests"), "keys#a-test")
    words = "must be a mapping with 'expect', and mostly 'given'"
    return {
        **node,
        "additionalProperties": {"title": "test", "allOf": [*mapping(words, "test")]},
        "defaultSnippets": NEW_TEST,
    }


def test_schema(ports: Mapping[str, str]) -> Schema:
    """One test.

    Args:
        ports: The outputs that there are, each with what to say of it; empty: any name will do.
    """
    expect = option_schema(TEST.declared("expect"), "keys#a-test")
    made = {"given": _given(ports), "expect": expect | _by_port(_expectation(), ports)}
    made["expect"]["allOf"] = [*expect["allOf"], not_empty("object", "must name a stage at least")]
    # Where a key is required, an editor offers it under the title of the mapping.
    return {**closed(TEST, made), "title": "expect: what must come"}


def _given(ports: Mapping[str, str]) -> Schema:
    items: Schema = {
        **both("items", "The items, in their order; a path is a text."),
        "type": ["string", "array"],
        "pattern": REFERENCE,
        "errorMessage": "must be a list of items",
    }
    return option_schema(TEST.declared("given"), "keys#a-test") | _by_port(items, ports)


def _expectation() -> Schema:
    # Here, and not by `closed`, since a list will do as well.
    form: Schema = {"type": ["string", "array", "object"], "pattern": REFERENCE}
    return {
        **both("expected", "The exact items, or a mapping with `count`, `contains`, `each`."),
        "anyOf": [{}],
        "allOf": [
            {**form, "errorMessage": _FORMS},
            not_empty("object", _FORMS),
            {"if": {"type": "object"}, "then": reference("expectation")},
        ],
    }


def _by_port(value: Schema, ports: Mapping[str, str]) -> Schema:
    # Known ones are offered; whether others are right the check of the file tells.
    known = {port: {**value, **both(port, words)} for port, words in ports.items()}
    return {"propertyNames": _PORTS, "properties": known, "additionalProperties": value}

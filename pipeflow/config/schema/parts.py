"""The part of the JSON Schema that speaks of files as stages: ports at the top, what is closed."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.config.schema.edges import A_PORT
from pipeflow.config.schema.nodes import Schema, both, has, listed, not_empty, option_schema
from pipeflow.spec.language import BESIDE_PIPELINE, NAME_PATTERN, ROOT, STAGE

_PAGE = "language#files-as-stages"


def part_inputs() -> Schema:
    """The names under ``inputs`` of a file."""
    node = option_schema(ROOT.declared("inputs"), _PAGE)
    name = {
        **both("input", "Name of an input: stages of this file read it."),
        "type": "string",
        "pattern": f"^{NAME_PATTERN}$",
        "errorMessage": "must be a name: a letter, then letters, digits, '-' or '_'",
    }
    members = [*node["allOf"], not_empty("array", "must name an input at least")]
    return {**node, "items": name, "allOf": members}


def part_outputs(ports: Mapping[str, str]) -> Schema:
    """The mapping under ``outputs`` of a file.

    Args:
        ports: What its stages give, each with what to say of it; empty: any name will do.
    """
    node = option_schema(ROOT.declared("outputs"), _PAGE)
    source = {
        **both("output", "The items that it gives: those of `stage`, or `stage.port`."),
        "anyOf": listed(ports) if ports else [{}],
        "allOf": [{"type": "string", **A_PORT}],
    }
    return {
        **node,
        "propertyNames": {
            "pattern": f"^{NAME_PATTERN}$",
            "errorMessage": "a port's name is a letter, then letters, digits, '-' or '_'",
        },
        "additionalProperties": source,
        "allOf": [*node["allOf"], not_empty("object", "must name an output at least")],
    }


def closed_part() -> Schema:
    """What a stage with ``pipeline`` may not say."""
    others = [each.name for each in STAGE.options if each.name not in BESIDE_PIPELINE]
    return {
        "if": has("pipeline"),
        "then": {
            "properties": dict.fromkeys(others, False),
            "errorMessage": "a stage with 'pipeline' has 'with', 'inputs', 'enabled', "
            "'description'; the rest stands in the file that it names",
        },
    }

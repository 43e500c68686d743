"""The JSON Schema of a whole file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pipeflow.config.schema.edges import edge_schema
from pipeflow.config.schema.nodes import (
    MANUAL,
    REFERENCE,
    Schema,
    closed,
    definition_of,
    described,
    listed,
    mapping,
    not_empty,
    option_schema,
    reference,
)
from pipeflow.config.schema.own import Own
from pipeflow.config.schema.parts import part_inputs, part_outputs
from pipeflow.config.schema.settings import (
    ENV,
    env_schema,
    join_by_key_schema,
    program_schema,
    resources_schema,
)
from pipeflow.config.schema.shared import shared_schema, state_schema
from pipeflow.config.schema.snippets import NEW_FILE, NEW_STAGE, error_policies
from pipeflow.config.schema.stage import stage_schema
from pipeflow.config.schema.tests import test_schema, tests_schema
from pipeflow.spec.language import (
    ARGUMENT_PATTERN,
    DEFAULTS,
    EDGE,
    JOIN,
    NAME_PATTERN,
    ROOT,
    STAGE,
    VERSION,
)
from pipeflow.spec.stage_type import StageType
from pipeflow.spec.table import Table


def pipeline_schema(stage_types: Mapping[str, StageType], own: Own | None = None) -> Schema:
    """The schema of a whole file.

    Args:
        stage_types: The operators, whose parameters go under ``with``.
        own: What is known of the project that the file belongs to.
    """
    own = own or Own()
    made = {name: make() for name, make in definitions(stage_types, own).items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **root_schema(own),
        "definitions": {**made, **own.definitions},
    }


def definitions(
    stage_types: Mapping[str, StageType], own: Own
) -> Mapping[str, Callable[[], Schema]]:
    """What makes each definition of the language: few files need more than two of them."""
    return {
        **{definition_of(table): partial(closed, table) for table in _inner_tables()},
        "defaults": partial(closed, DEFAULTS, refs=ENV),
        "stage": partial(stage_schema, stage_types, own),
        "edge": partial(edge_schema, own.ports),
        "program": program_schema,
        "resources": resources_schema,
        definition_of(JOIN): join_by_key_schema,
        "env": env_schema,
        "shared": state_schema,
        "test": partial(test_schema, own.ports),
    }


def _inner_tables() -> Sequence[Table]:
    """Every table of the language below that of the file."""
    found: dict[str, Table] = {}
    pending = [ROOT, EDGE]
    while pending:
        table = pending.pop(0)
        found[table.name] = table
        pending += [*table.each.values(), *table.within.values()]
    return [table for table in found.values() if table is not ROOT]


def root_schema(own: Own) -> Schema:
    """The schema of a file's own keys."""
    now = {"enum": [VERSION], "errorMessage": f"must be {VERSION}"}
    version = {
        **described(ROOT.declared("version")),
        "type": ["string", "integer"],
        "pattern": REFERENCE,
        "errorMessage": f"must be {VERSION}",
        "anyOf": listed({VERSION: "The language as the manual describes it."}),
        "allOf": [{"if": {"type": "number"}, "then": now}],
    }
    params = option_schema(ROOT.declared("params"))
    params |= {
        "propertyNames": {
            "pattern": f"^{ARGUMENT_PATTERN}$|^{NAME_PATTERN}$",
            "errorMessage": "a parameter's name is a letter, then letters, digits, '-' or '_'",
        },
        # A bare value is its default.
        "additionalProperties": {"title": "param", "allOf": [reference("param")]},
    }
    made = {
        "version": version,
        "params": params,
        "shared": shared_schema(),
        "stages": _stages(),
        "tests": tests_schema(),
        "inputs": part_inputs(),
        "outputs": part_outputs(own.ports),
    }
    root = closed(ROOT, made)
    words = "The schema of this file, for editors; pipeflow does not look at it."
    root["properties"]["$schema"] = {
        "title": "$schema",
        "description": words,
        "markdownDescription": words,
        "type": "string",
        "doNotSuggest": True,
    }
    about = "A pipeline of Python functions and operators."
    mapping_due = {
        "title": "pipeflow pipeline",
        "type": "object",
        "errorMessage": "must be a mapping with 'stages:'",
    }
    return {
        **root,
        "allOf": [mapping_due, *root["allOf"]],
        "title": "pipeflow pipeline",
        "description": about,
        "markdownDescription": f"{about}\n\n[Manual]({MANUAL}/language)",
        "defaultSnippets": NEW_FILE,
    }


def _stages() -> Schema:
    node = option_schema(ROOT.declared("stages"))
    return {
        **node,
        "propertyNames": {
            "pattern": f"^{NAME_PATTERN}$",
            "errorMessage": "a stage's name is a letter, then letters, digits, '-' or '_'",
        },
        "additionalProperties": {
            "title": "stage",
            "defaultSnippets": error_policies(STAGE.declared("on_error").types),
            "allOf": [
                *mapping("must be a mapping: 'call: module:function', or 'use:' and more", "stage")
            ],
        },
        "allOf": [*node["allOf"], not_empty("object", "a pipeline needs at least one stage")],
        "defaultSnippets": NEW_STAGE,
    }

"""The part of the JSON Schema that speaks of settings whose inner values no table declares."""

from __future__ import annotations

from typing import Final

from pipeflow.config.schema.nodes import (
    Schema,
    both,
    closed,
    definition_of,
    not_empty,
    option_schema,
    reference,
)
from pipeflow.spec.language import JOIN, PROGRAM, RESOURCES, STAGE
from pipeflow.spec.options import Option

#: The mapping whose keys are the user's own, so that no table tells its form.
ENV: Final = {"env": "env"}


def run_schema() -> Schema:
    """``run`` of a stage: arguments, or a mapping."""
    node = _arguments(STAGE.declared("run"))
    return {**node, "allOf": [*node["allOf"], reference(definition_of(PROGRAM))]}


def resources_schema() -> Schema:
    """``resources``, in which processors and graphics cards are numbers."""
    return closed(RESOURCES, {key: _numbers(RESOURCES.declared(key)) for key in ("cpus", "gpus")})


def join_by_key_schema() -> Schema:
    """``join`` as a mapping: one expression, or one for each input."""
    key = option_schema(JOIN.declared("key"), "keys#a-join-by-key")
    key["additionalProperties"] = {
        **both(
            "key", "A Python expression over `item`: what equal items of this input have alike."
        ),
        "type": "string",
        "errorMessage": "must be a Python expression as text",
    }
    members = [*key["allOf"], not_empty("object", "must name the inputs")]
    return closed(JOIN, {"key": {**key, "allOf": members}})


def env_schema() -> Schema:
    """The variables under ``env``."""
    return {
        "title": "variables",
        "propertyNames": {
            "pattern": "^[^=\\x00]+$",
            "errorMessage": "a variable's name has no '='",
        },
        "additionalProperties": {
            **both("variable", "Value of the variable, as it is spelled."),
            "type": ["string", "number", "boolean"],
            "errorMessage": "must be text",
        },
    }


def program_schema() -> Schema:
    """``run`` as a mapping."""
    return closed(PROGRAM, {"cmd": _arguments(PROGRAM.declared("cmd"))})


def _arguments(option: Option) -> Schema:
    """The program and its arguments, as they are spelled."""
    node = option_schema(option, "keys#a-program")
    argument = {
        **both("argument", "The program, or one of its arguments, as it is spelled."),
        "type": ["string", "number", "boolean"],
        "errorMessage": "must be text",
    }
    members = [*node["allOf"], not_empty("array", "the program is missing")]
    return {**node, "items": argument, "allOf": members}


def _numbers(option: Option) -> Schema:
    node = option_schema(option, "keys#resources")
    number = {
        **both("number", "Number of one of them, from 0 on."),
        "type": "integer",
        "minimum": 0,
        "errorMessage": "must be a whole number",
    }
    members = [*node["allOf"], not_empty("array", "must not be empty")]
    return {**node, "items": number, "allOf": members}

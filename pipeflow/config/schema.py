"""The JSON Schema of pipeline files, made from the declarations of the language and the operators.

Draft-07, closed objects, unions told apart by ``if``/``then`` and never by ``oneOf``: that is what
editors answer well (``schema_nodes`` says more). ``shape`` runs the same schema, so editor and
command line agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipeflow.config.schema_nodes import (
    MANUAL,
    OR_REFERENCE,
    REFERENCE,
    Schema,
    closed,
    described,
    mapping,
    not_empty,
    one_of,
    option_schema,
    plain_text,
    reference,
)
from pipeflow.config.snippets import ERROR_POLICY, NEW_FILE, NEW_INPUTS, NEW_STAGE
from pipeflow.spec.language import (
    ARGUMENT_PATTERN,
    CAPACITY,
    DEFAULTS,
    EDGE,
    EDGE_DEFAULTS,
    LIMITS,
    NAME_PATTERN,
    PARAM,
    PARTITION,
    RESOURCES,
    ROOT,
    STAGE,
    VERSION,
)
from pipeflow.spec.options import Option
from pipeflow.spec.stage_type import Shape, StageType
from pipeflow.spec.table import Table

#: Matches nothing.
_NEVER: Final = "(?!)"

_PORT: Final = rf"{NAME_PATTERN}(\.{NAME_PATTERN})?"
_PORT_PATTERN: Final = f"^{_PORT}$"


def pipeline_schema(stage_types: Mapping[str, StageType]) -> Schema:
    """The schema of a whole file, with the parameters of the given operators under ``with``."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_root(),
        "definitions": {
            "param": closed(PARAM),
            "defaults": _defaults(),
            "limits": closed(LIMITS),
            "stage": _stage(stage_types),
            # Where a key is required, an editor offers it under the title of the mapping.
            "edge": {**closed(EDGE, refs={"capacity": "capacity"}), "title": "from: stage"},
            "edge_defaults": closed(EDGE_DEFAULTS, refs={"capacity": "capacity"}),
            "capacity": closed(CAPACITY),
            "partition": closed(PARTITION),
            "resources": _resources(),
            "env": _env(),
        },
    }


def without_references(schema: Any) -> Any:
    """The same schema for a file whose references are filled in: no text may hold one any more."""
    match schema:
        case dict():
            made = {key: without_references(value) for key, value in schema.items()}
            pattern = made.get("pattern")
            if isinstance(pattern, str):
                made["pattern"] = (
                    _NEVER if pattern == REFERENCE else pattern.removesuffix(OR_REFERENCE)
                )
            return made
        case list():
            return [without_references(value) for value in schema]
        case _:
            return schema


def schema_text(stage_types: Mapping[str, StageType]) -> str:
    """The schema as the file in ``schemas/`` holds it."""
    return as_text(pipeline_schema(stage_types))


def as_text(schema: Schema) -> str:
    """A schema as a file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def schema_path() -> Path:
    """Where the schema file is: inside an installed package, or in a checkout.

    Raises:
        FileNotFoundError: Neither place has it.
    """
    package = Path(__file__).resolve().parents[1]
    name = "pipeline.schema.json"
    for folder in (package / "schemas", package.parent / "schemas"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name} is neither in {package} nor beside it")


def _root() -> Schema:
    version = {
        **described(_option(ROOT, "version")),
        "type": "integer",
        "enum": [VERSION],
        "enumDescriptions": ["The language as this page describes it."],
        "markdownEnumDescriptions": ["The language as this page describes it."],
        "errorMessage": f"must be {VERSION}",
    }
    params = option_schema(_option(ROOT, "params"))
    params |= {
        "propertyNames": {
            "pattern": f"^{ARGUMENT_PATTERN}$|^{NAME_PATTERN}$",
            "errorMessage": "a parameter's name is a letter, then letters, digits, '-' or '_'",
        },
        # A bare value is its default.
        "additionalProperties": {"title": "param", "allOf": [reference("param")]},
    }
    made = {"version": version, "params": params, "stages": _stages()}
    root = closed(ROOT, made, refs={"defaults": "defaults", "limits": "limits"})
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
    node = option_schema(_option(ROOT, "stages"))
    return {
        **node,
        "propertyNames": {
            "pattern": f"^{NAME_PATTERN}$",
            "errorMessage": "a stage's name is a letter, then letters, digits, '-' or '_'",
        },
        "additionalProperties": {
            "title": "stage",
            "defaultSnippets": ERROR_POLICY,
            "allOf": [
                *mapping("must be a mapping: 'call: module:function', or 'use:' and more", "stage")
            ],
        },
        "allOf": [*node["allOf"], not_empty("object", "a pipeline needs at least one stage")],
        "defaultSnippets": NEW_STAGE,
    }


def _defaults() -> Schema:
    refs = {"env": "env", "resources": "resources", "edge": "edge_defaults"}
    return closed(DEFAULTS, refs=refs)


def _resources() -> Schema:
    return closed(RESOURCES, {key: _numbers(_option(RESOURCES, key)) for key in ("cpus", "gpus")})


def _numbers(option: Option) -> Schema:
    node = option_schema(option, "keys#resources")
    number = {
        **_both("number", "Number of one of them, from 0 on."),
        "type": "integer",
        "minimum": 0,
        "errorMessage": "must be a whole number",
    }
    members = [*node["allOf"], not_empty("array", "must not be empty")]
    return {**node, "items": number, "allOf": members}


def _env() -> Schema:
    return {
        "title": "variables",
        "propertyNames": {
            "pattern": "^[^=\\x00]+$",
            "errorMessage": "a variable's name has no '='",
        },
        "additionalProperties": {
            **_both("variable", "Value of the variable, as it is spelled."),
            "type": ["string", "number", "boolean"],
            "errorMessage": "must be text",
        },
    }


def _both(title: str, words: str) -> Schema:
    return {"title": title, "description": plain_text(words), "markdownDescription": words}


def _stage(stage_types: Mapping[str, StageType]) -> Schema:
    outputs = option_schema(_option(STAGE, "outputs"), "keys#a-stage")
    outputs["items"] = {
        **_both("port", "Name of a port, as `pipeflow.to` gets it."),
        "type": "string",
        "pattern": f"^{NAME_PATTERN}$",
        "errorMessage": "must be a name: a letter, then letters, digits, '-' or '_'",
    }
    made = {"use": _use(stage_types), "outputs": outputs, "inputs": _inputs()}
    refs = {"env": "env", "resources": "resources", "partition": "partition"}
    node = closed(STAGE, made, refs=refs)
    node["allOf"] += [*_one_work(), _operators(stage_types)]
    return node


def _use(stage_types: Mapping[str, StageType]) -> Schema:
    """Each operator with words of its own; of names with a ``/`` only those installed are known."""
    names = sorted(stage_types)
    known = [{"const": name, **_operator_words(stage_types[name])} for name in names]
    builtin = [name for name in names if "/" not in name]
    words = described(_option(STAGE, "use"), "operators")
    del words["examples"]  # they would stand before the others
    return {
        **words,
        "type": "string",
        "anyOf": [*known, {"not": {"enum": names}}],
        "allOf": [one_of(builtin, "must be the name of an operator", unless="/")],
        "errorMessage": "must be the name of an operator",
    }


def _operator_words(operator: StageType) -> Schema:
    name, summary = operator.name, operator.summary or f"From {operator.origin}."
    lines = [f"`{name}`: {summary}"]
    lines += [f"- `{option.name}`: {option.description}" for option in operator.options]
    link = f"[Manual]({MANUAL}/operators#{name.replace('.', '')})"
    told = "\n".join(lines) + f"\n\n{link}" if "/" not in name else "\n".join(lines)
    return {
        "title": f"use: {name}",
        "description": plain_text(summary),
        "markdownDescription": told,
    }


def _one_work() -> Sequence[Schema]:
    """A stage has exactly one of the keys that say what it does."""
    # By patternProperties and not by `required` alone: older editors offer what `required` names.
    nothing = {"not": {"anyOf": [_has("call"), _has("use"), _has("run"), _has("pipeline")]}}
    return (
        {
            "if": {"type": "object", **nothing},
            "then": {"required": ["call"], "errorMessage": "a stage needs 'call' or 'use'"},
        },
        {
            "if": {"required": ["call", "use"]},
            "then": {
                "properties": {"use": False},
                "errorMessage": "a stage has either 'call' or 'use'",
            },
        },
    )


def _has(key: str, value: Schema | None = None) -> Schema:
    """A mapping has a key, with a value that fits; says nothing that an editor would offer."""
    return {"patternProperties": {f"^{key}$": value or {}}, "required": [key]}


def _operators(stage_types: Mapping[str, StageType]) -> Schema:
    """What ``with`` may hold, by the operator that ``use`` names."""
    cases = [
        # patternProperties, not properties: older editors then offer no stray completions.
        {"if": _has("use", {"const": name}), "then": _parameters(stage_types[name])}
        for name in sorted(stage_types)
    ]
    if not cases:
        return {}
    only_use = {"type": "object", "required": ["use"], "not": {"required": ["call"]}}
    return {"if": only_use, "then": {"allOf": cases}}


def _parameters(stage_type: StageType) -> Schema:
    if stage_type.shape is Shape.UNKNOWN and not stage_type.options:
        return {}  # a plug-in that says nothing of its parameters before it is loaded
    return parameters_schema(stage_type.name, stage_type.options, f"operators#{stage_type.name}")


def parameters_schema(name: str, options: Sequence[Option], page: str) -> Schema:
    """What ``with`` of a stage may hold, for its operator."""
    made = {option.name: option_schema(option, page) for option in options}
    return with_schema(name, made, [option.name for option in options if option.required])


def with_schema(name: str, properties: Schema, required: Sequence[str]) -> Schema:
    """The stage of one operator or function: which parameters it has and which it needs.

    A mapping is due (`type` in the stage says so); what is no mapping is judged there.
    """
    # Where keys are required, the title is what an editor offers for all of them at once.
    title = f"{name} with {', '.join(required)}" if required else f"parameters of {name}"
    node: Schema = {"title": title, "additionalProperties": False, "properties": properties}
    if required:
        node["required"] = list(required)
    then: Schema = {"properties": {"with": node}}
    return {**then, "required": ["with"]} if required else then


def _inputs() -> Schema:
    """One edge as text or mapping, a list of edges, or a mapping from argument to edge."""
    one: Schema = {
        **_both("input", "The output that is read: `stage`, `stage.port`, or an edge."),
        "anyOf": [{}],
        "allOf": [
            {"type": ["string", "object"], "errorMessage": "must be a stage, or stage.port"},
            {"pattern": _PORT_PATTERN, "errorMessage": "must be a stage, or stage.port"},
            {"if": {"type": "object"}, "then": reference("edge")},
        ],
    }
    node = option_schema(_option(STAGE, "inputs"), "keys#an-edge")
    named = {
        "propertyNames": {
            "pattern": f"^{ARGUMENT_PATTERN}$",
            "errorMessage": "must be the name of an argument",
        },
        "additionalProperties": one,
    }
    node["allOf"] += [
        {"pattern": _PORT_PATTERN, "errorMessage": "must be a stage, or stage.port"},
        not_empty("array", "must name a stage at least"),
        not_empty("object", "must name a stage at least"),
        {"items": one},
        {
            "if": _looks_like_edge(),
            "then": reference("edge"),
            # Not in the list's own node: the snippets would be offered for its entries.
            "else": {
                "if": {"type": "array"},
                "else": {"title": "inputs", "defaultSnippets": NEW_INPUTS, **named},
            },
        },
    ]
    return node


def _looks_like_edge() -> Schema:
    """A mapping with ``from``, or with what no argument of a function could be given."""
    sizes: Schema = {"type": "object", "anyOf": [_has("items"), _has("bytes")]}
    # With titles, since a hover takes the first that it finds, be it of a condition.
    capacity = _has("capacity", {"title": "capacity", "anyOf": [{"type": "number"}, sizes]})
    settings = [
        _has(option.name, {"title": option.name, "enum": list(option.choices)})
        for option in EDGE.options
        if option.choices
    ]
    return {"type": "object", "anyOf": [_has("from"), capacity, *settings]}


def _option(table: Table, key: str) -> Option:
    found = table.option(key)
    assert found is not None, f"{table.name} declares no {key}"
    return found

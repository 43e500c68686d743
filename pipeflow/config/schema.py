"""The JSON Schema of pipeline files, made from the declarations of the language and the operators.

Draft-07, closed objects, unions told apart by ``if``/``then`` and never by ``oneOf``: that is what
editors answer well. ``shape`` runs the same schema, so editor and command line agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from pipeflow.spec.language import (
    ARGUMENT_PATTERN,
    CAPACITY,
    DEFAULTS,
    EDGE,
    EDGE_DEFAULTS,
    ERROR_POLICY,
    LIMITS,
    NAME_PATTERN,
    PARAM,
    PARTITION,
    RESOURCES,
    ROOT,
    STAGE,
    VERSION,
)
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.stage_type import Shape, StageType
from pipeflow.spec.table import Table, expected

Schema: TypeAlias = dict[str, Any]

#: A text that still holds a reference may become a value of any type.
_REFERENCE: Final = r"\$\{"

_OR: Final = f"|{_REFERENCE}"

#: Matches nothing.
_NEVER: Final = "(?!)"

_PORT_PATTERN: Final = rf"^{NAME_PATTERN}(\.{NAME_PATTERN})?$"

_JSON_TYPES: Final[Mapping[OptionType, str]] = {
    OptionType.STRING: "string",
    OptionType.INTEGER: "integer",
    OptionType.NUMBER: "number",
    OptionType.BOOLEAN: "boolean",
    OptionType.PATH: "string",
    OptionType.DURATION: "string",
    OptionType.SIZE: "string",
    OptionType.PERCENT: "string",
    OptionType.EXPRESSION: "string",
    OptionType.LIST: "array",
    OptionType.MAPPING: "object",
}

#: Forms for which any text is right; without one of them a text must hold a reference.
_TEXTS: Final = {
    OptionType.STRING,
    OptionType.PATH,
    OptionType.DURATION,
    OptionType.SIZE,
    OptionType.EXPRESSION,
}


def pipeline_schema(stage_types: Mapping[str, StageType]) -> Schema:
    """The schema of a whole file, with the parameters of the given operators under ``with``."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "pipeflow pipeline",
        "description": "A pipeline of Python functions and operators.",
        **_root(),
        "definitions": {
            "param": _closed(PARAM),
            "defaults": _defaults(),
            "limits": _closed(LIMITS),
            "stage": _stage(stage_types),
            "edge": _closed(EDGE),
            "edge_defaults": _closed(EDGE_DEFAULTS),
            "capacity": _closed(CAPACITY),
            "partition": _closed(PARTITION),
            "error_policy": _closed(ERROR_POLICY),
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
                made["pattern"] = _NEVER if pattern == _REFERENCE else pattern.removesuffix(_OR)
            return made
        case list():
            return [without_references(value) for value in schema]
        case _:
            return schema


def schema_text(stage_types: Mapping[str, StageType]) -> str:
    """The schema as the file in ``schemas/`` holds it."""
    return json.dumps(pipeline_schema(stage_types), indent=2, ensure_ascii=False) + "\n"


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


def option_schema(option: Option) -> Schema:
    """The schema of one setting's value."""
    node: Schema = _described(option)
    kinds = option.types
    if OptionType.ANY in kinds:
        return node
    types = list(dict.fromkeys(_JSON_TYPES[kind] for kind in kinds))
    scalars = [kind for kind in kinds if kind not in {OptionType.LIST, OptionType.MAPPING}]
    pattern = _text_pattern(option)
    if scalars and "string" not in types:
        types.append("string")
    if pattern:
        node["pattern"] = pattern
    if option.minimum is not None:
        node["minimum"] = option.minimum
    if option.maximum is not None:
        node["maximum"] = option.maximum
    if option.choices:
        # Never fails: it feeds completion and hover, while the pattern judges.
        docs = option.choice_docs or option.choices
        node["anyOf"] = [{"enum": list(option.choices), "markdownEnumDescriptions": list(docs)}, {}]
    message = f"must be {expected(option)}"
    if scalars and len(scalars) == len(kinds):
        return {**node, "type": types, "errorMessage": message}
    return {**node, "allOf": [{"type": types, "errorMessage": message}]}


def _text_pattern(option: Option) -> str:
    """What a text must match; empty if any text will do, or none is looked at."""
    if option.choices:
        return f"^({'|'.join(option.choices)})${_OR}"
    if option.pattern:
        return f"^(?:{option.pattern})${_OR}"
    if _TEXTS.intersection(option.types):
        return ""
    return _REFERENCE if {"integer", "number", "boolean"} & _json_types(option) else ""


def _json_types(option: Option) -> set[str]:
    return {_JSON_TYPES[kind] for kind in option.types}


def _described(option: Option) -> Schema:
    """Description twice: as text, and as Markdown with unit and default (hovers show neither)."""
    node: Schema = {}
    if option.later:
        node["doNotSuggest"] = True
    if option.description:
        facts = [option.description]
        if option.unit:
            facts.append(f"Unit: {option.unit}.")
        if not option.required and option.default not in {None, ""}:
            facts.append(f"Default: `{json.dumps(option.default)}`.")
        node["description"] = option.description
        node["markdownDescription"] = "  \n".join(facts)
    if option.examples:
        node["examples"] = list(option.examples)
    return node


def _closed(table: Table, overrides: Mapping[str, Schema] | None = None) -> Schema:
    """The object that a table describes: no other keys than its own."""
    made = overrides or {}
    required = [option.name for option in table.options if option.required]
    node: Schema = {
        "type": "object",
        "title": table.title,
        "additionalProperties": False,
        "properties": {
            option.name: made.get(option.name) or _property(table, option)
            for option in table.options
        },
    }
    if required:
        node["required"] = required
    if table.open:
        node["patternProperties"] = {"^x-": {"description": "Yours: a place for YAML anchors."}}
    later = [option for option in table.options if option.later]
    if later:
        node["allOf"] = [
            {
                "properties": {option.name: False},
                "errorMessage": f"'{option.name}' comes in a later version",
            }
            for option in later
        ]
    return node


def _property(table: Table, option: Option) -> Schema:
    """One key of a table, with the table of the mapping form where it has one."""
    if option.later:
        return _described(option)
    node = option_schema(option)
    inner = table.within.get(option.name)
    if inner is not None:
        form = {"$ref": f"#/definitions/{inner.name.replace(' ', '_')}"}
        _when_mapping(node, form)
    return node


def _when_mapping(node: Schema, form: Schema) -> Schema:
    """Add what holds for the value if it is a mapping."""
    node.setdefault("allOf", []).append({"if": {"type": "object"}, "then": form})
    return node


def _root() -> Schema:
    version = {
        **_described(_option(ROOT, "version")),
        "type": "integer",
        "enum": [VERSION],
        "errorMessage": f"must be {VERSION}",
    }
    params = _when_mapping(
        option_schema(_option(ROOT, "params")),
        {
            "propertyNames": {"pattern": f"^{ARGUMENT_PATTERN}$|^{NAME_PATTERN}$"},
            "additionalProperties": {
                "allOf": [{"if": {"type": "object"}, "then": {"$ref": "#/definitions/param"}}]
            },
        },
    )
    stages = _when_mapping(
        option_schema(_option(ROOT, "stages")),
        {
            "minProperties": 1,
            "propertyNames": {
                "pattern": f"^{NAME_PATTERN}$",
                "errorMessage": "a stage's name is a letter, then letters, digits, '-' or '_'",
            },
            "additionalProperties": {"$ref": "#/definitions/stage"},
        },
    )
    root = _closed(ROOT, {"version": version, "params": params, "stages": stages})
    root["properties"]["$schema"] = {"type": "string", "doNotSuggest": True}
    return root


def _defaults() -> Schema:
    return _closed(DEFAULTS, {"env": _env_option(DEFAULTS)})


def _resources() -> Schema:
    numbers = {"items": {"type": "integer", "minimum": 0, "errorMessage": "must be a whole number"}}
    return _closed(
        RESOURCES,
        {
            key: {**option_schema(_option(RESOURCES, key)), **numbers, "minItems": 1}
            for key in ("cpus", "gpus")
        },
    )


def _env() -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": "^[^=\\x00]+$"},
        "additionalProperties": {
            "type": ["string", "number", "boolean"],
            "errorMessage": "must be text",
        },
    }


def _env_option(table: Table) -> Schema:
    return _when_mapping(option_schema(_option(table, "env")), {"$ref": "#/definitions/env"})


def _stage(stage_types: Mapping[str, StageType]) -> Schema:
    builtin = sorted(name for name in stage_types if "/" not in name)
    use = {
        **_described(_option(STAGE, "use")),
        "type": "string",
        "pattern": f"^({'|'.join(name.replace('.', '[.]') for name in builtin)})$|/",
        "anyOf": [
            {
                "enum": sorted(stage_types),
                "markdownEnumDescriptions": [
                    stage_types[name].summary for name in sorted(stage_types)
                ],
            },
            {},
        ],
        "errorMessage": "must be the name of an operator",
    }
    outputs = {
        **option_schema(_option(STAGE, "outputs")),
        "items": {
            "type": "string",
            "pattern": f"^{NAME_PATTERN}$",
            "errorMessage": "must be a name: a letter, then letters, digits, '-' or '_'",
        },
    }
    made = {"use": use, "outputs": outputs, "inputs": _inputs(), "env": _env_option(STAGE)}
    node = _closed(STAGE, made)
    node["allOf"].extend(_one_work())
    node["allOf"].append(_operators(stage_types))
    return node


def _one_work() -> Sequence[Schema]:
    """A stage has exactly one of the keys that say what it does."""
    works = ("call", "use", "run", "pipeline")
    return (
        {
            "if": {"type": "object", "not": {"anyOf": [{"required": [key]} for key in works]}},
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


def _operators(stage_types: Mapping[str, StageType]) -> Schema:
    """What ``with`` may hold, by the operator that ``use`` names."""
    cases = [
        {
            # patternProperties, not properties: older editors then offer no stray completions.
            "if": {"patternProperties": {"^use$": {"const": name}}, "required": ["use"]},
            "then": _parameters(stage_types[name]),
        }
        for name in sorted(stage_types)
    ]
    if not cases:
        return {}
    only_use = {"type": "object", "required": ["use"], "not": {"required": ["call"]}}
    return {"if": only_use, "then": {"allOf": cases}}


def _parameters(stage_type: StageType) -> Schema:
    if stage_type.shape is Shape.UNKNOWN and not stage_type.options:
        return {}  # a plug-in that says nothing of its parameters before it is loaded
    required = [option.name for option in stage_type.options if option.required]
    node: Schema = {
        "additionalProperties": False,
        "properties": {option.name: option_schema(option) for option in stage_type.options},
    }
    if required:
        node["required"] = required
    # A mapping may be due (`type` in the stage says so); what is no mapping is judged there.
    then: Schema = {"properties": {"with": node}}
    return {**then, "required": ["with"]} if required else then


def _inputs() -> Schema:
    """One edge as text or mapping, a list of edges, or a mapping from argument to edge."""
    edge: Schema = {
        "type": ["string", "object"],
        "pattern": _PORT_PATTERN,
        "errorMessage": "must be a stage, or stage.port",
    }
    one: Schema = {"allOf": [edge, {"if": {"type": "object"}, "then": _EDGE}]}
    node = option_schema(_option(STAGE, "inputs"))
    node["allOf"] += [
        {"if": {"type": "string"}, "then": {"pattern": _PORT_PATTERN}},
        {"if": {"type": "array"}, "then": {"minItems": 1, "items": one}},
        {
            "if": _looks_like_edge(),
            "then": _EDGE,
            "else": {
                "if": {"type": "object"},
                "then": {
                    "minProperties": 1,
                    "propertyNames": {
                        "pattern": f"^{ARGUMENT_PATTERN}$",
                        "errorMessage": "must be the name of an argument",
                    },
                    "additionalProperties": one,
                },
            },
        },
    ]
    return node


_EDGE: Final[Schema] = {"$ref": "#/definitions/edge"}


def _looks_like_edge() -> Schema:
    """A mapping with ``from``, or with what no argument of a function could be given."""
    sizes: Schema = {"type": "object", "anyOf": [{"required": ["items"]}, {"required": ["bytes"]}]}
    capacity: Schema = {
        "required": ["capacity"],
        "properties": {"capacity": {"anyOf": [{"type": "number"}, sizes]}},
    }
    settings = [
        {"required": [option.name], "properties": {option.name: {"enum": list(option.choices)}}}
        for option in EDGE.options
        if option.choices
    ]
    return {"type": "object", "anyOf": [{"required": ["from"]}, capacity, *settings]}


def _option(table: Table, key: str) -> Option:
    found = table.option(key)
    assert found is not None, f"{table.name} declares no {key}"
    return found

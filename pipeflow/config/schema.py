"""The JSON Schema of pipeline files, made from the declarations of the language and the operators.

Draft-07, closed objects, unions told apart by ``if``/``then`` and never by ``oneOf``: that is what
editors answer well (``schema_nodes`` says more). ``shape`` runs the same schema, so editor and
command line agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from pipeflow.config.schema_edges import edge_schema, inputs_schema
from pipeflow.config.schema_nodes import (
    MANUAL,
    OR_REFERENCE,
    QUANTITIES,
    REFERENCE,
    Schema,
    both,
    closed,
    definition_of,
    described,
    has,
    listed,
    mapping,
    not_empty,
    one_of,
    option_schema,
    plain_text,
    reference,
)
from pipeflow.config.schema_parts import closed_part, part_inputs, part_outputs
from pipeflow.config.schema_shared import shared_schema, state_schema
from pipeflow.config.schema_tests import test_schema, tests_schema
from pipeflow.config.snippets import NEW_FILE, NEW_STAGE, error_policies
from pipeflow.spec.language import (
    ARGUMENT_PATTERN,
    DEFAULTS,
    EDGE,
    JOIN,
    NAME_PATTERN,
    PROGRAM,
    RESOURCES,
    ROOT,
    STAGE,
    VERSION,
    WORKS,
)
from pipeflow.spec.options import Option
from pipeflow.spec.stage_type import Shape, StageType
from pipeflow.spec.table import Table, either
from pipeflow.values import dataclass, field

#: The mapping whose keys are the user's own, so that it is no table.
_ENV: Final = {"env": "env"}

#: Matches nothing.
_NEVER: Final = "(?!)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What a schema knows of one project; nothing of any, for the schema of all files.

    Attributes:
        call: The property ``call`` of a stage; empty for that of the language.
        calls: What holds for a stage by what it calls.
        definitions: What these refer to.
        ports: The outputs that edges may read, each with what to say of it; empty: any name.
    """

    call: Schema = field(default_factory=dict)
    calls: Sequence[Schema] = ()
    definitions: Schema = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)


def pipeline_schema(stage_types: Mapping[str, StageType], own: Own | None = None) -> Schema:
    """The schema of a whole file.

    Args:
        stage_types: The operators, whose parameters go under ``with``.
        own: What is known of the project that the file belongs to.
    """
    own = own or Own()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_root(own),
        "definitions": {
            **{definition_of(table): closed(table) for table in _inner_tables()},
            "defaults": closed(DEFAULTS, refs=_ENV),
            "stage": _stage(stage_types, own),
            "edge": edge_schema(own.ports),
            "program": closed(PROGRAM, {"cmd": _arguments(_option(PROGRAM, "cmd"))}),
            "resources": _resources(),
            definition_of(JOIN): _join_by_key(),
            "env": _env(),
            "shared": state_schema(),
            "test": test_schema(own.ports),
            **own.definitions,
        },
    }


def without_references(schema: Any) -> Any:
    """The same schema for a file whose references are filled in: no text may hold one any more.

    Durations and sizes are not looked at here: ``build`` reads them, and knows better words.
    """
    match schema:
        case dict():
            made = {key: without_references(value) for key, value in schema.items()}
            pattern, types = made.get("pattern"), made.get("type")
            if isinstance(pattern, str) and pattern in QUANTITIES:
                del made["pattern"]
            elif isinstance(pattern, str):
                made["pattern"] = (
                    _NEVER if pattern == REFERENCE else pattern.removesuffix(OR_REFERENCE)
                )
            if pattern == REFERENCE and isinstance(types, list) and "array" in types:
                # No text will do, and that is said best by its type.
                made["type"] = [kind for kind in types if kind != "string"]
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


def _inner_tables() -> Sequence[Table]:
    """Every table of the language below that of the file."""
    found: dict[str, Table] = {}
    pending = [ROOT, EDGE]
    while pending:
        table = pending.pop(0)
        found[table.name] = table
        pending += [*table.each.values(), *table.within.values()]
    return [table for table in found.values() if table is not ROOT]


def _root(own: Own) -> Schema:
    now = {"enum": [VERSION], "errorMessage": f"must be {VERSION}"}
    version = {
        **described(_option(ROOT, "version")),
        "type": ["string", "integer"],
        "pattern": REFERENCE,
        "errorMessage": f"must be {VERSION}",
        "anyOf": listed({VERSION: "The language as the manual describes it."}),
        "allOf": [{"if": {"type": "number"}, "then": now}],
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
    node = option_schema(_option(ROOT, "stages"))
    return {
        **node,
        "propertyNames": {
            "pattern": f"^{NAME_PATTERN}$",
            "errorMessage": "a stage's name is a letter, then letters, digits, '-' or '_'",
        },
        "additionalProperties": {
            "title": "stage",
            "defaultSnippets": error_policies(_option(STAGE, "on_error").types),
            "allOf": [
                *mapping("must be a mapping: 'call: module:function', or 'use:' and more", "stage")
            ],
        },
        "allOf": [*node["allOf"], not_empty("object", "a pipeline needs at least one stage")],
        "defaultSnippets": NEW_STAGE,
    }


def _resources() -> Schema:
    return closed(RESOURCES, {key: _numbers(_option(RESOURCES, key)) for key in ("cpus", "gpus")})


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


def _join_by_key() -> Schema:
    key = option_schema(_option(JOIN, "key"), "keys#a-join-by-key")
    key["additionalProperties"] = {
        **both(
            "key", "A Python expression over `item`: what equal items of this input have alike."
        ),
        "type": "string",
        "errorMessage": "must be a Python expression as text",
    }
    members = [*key["allOf"], not_empty("object", "must name the inputs")]
    return closed(JOIN, {"key": {**key, "allOf": members}})


def _run() -> Schema:
    node = _arguments(_option(STAGE, "run"))
    return {**node, "allOf": [*node["allOf"], reference(definition_of(PROGRAM))]}


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


def _env() -> Schema:
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


def _stage(stage_types: Mapping[str, StageType], own: Own) -> Schema:
    outputs = option_schema(_option(STAGE, "outputs"), "keys#a-stage")
    outputs["items"] = {
        **both("port", "Name of a port, as `pipeflow.to` gets it."),
        "type": "string",
        "pattern": f"^{NAME_PATTERN}$",
        "errorMessage": "must be a name: a letter, then letters, digits, '-' or '_'",
    }
    made = {
        "use": _use(stage_types),
        "run": _run(),
        "outputs": outputs,
        "inputs": inputs_schema(own.ports),
    }
    if own.call:
        made["call"] = own.call
    node = closed(STAGE, made, refs=_ENV)
    node["allOf"] += [*_one_work(), _operators(stage_types), *own.calls]
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
    nothing = {"not": {"anyOf": [has("call"), has("use"), has("run"), has("pipeline")]}}
    needs = {"required": ["call"], "errorMessage": f"a stage needs {either(WORKS)}"}
    return (
        {"if": {"type": "object", **nothing}, "then": needs},
        *(
            {
                "if": {"required": [one, other]},
                "then": {
                    "properties": {other: False},
                    "errorMessage": f"a stage has either '{one}' or '{other}'",
                },
            }
            for one, other in combinations([work for work in WORKS if work != "pipeline"], 2)
        ),
        closed_part(),
    )


def _operators(stage_types: Mapping[str, StageType]) -> Schema:
    """What ``with`` may hold, by the operator that ``use`` names."""
    cases = [
        # patternProperties, not properties: older editors then offer no stray completions.
        {"if": has("use", {"const": name}), "then": _parameters(stage_types[name])}
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


def with_schema(
    name: str, properties: Schema, required: Sequence[str], *, others: bool = False
) -> Schema:
    """The stage of one operator or function: which parameters it has and which it needs.

    A mapping is due (`type` in the stage says so); what is no mapping is judged there.

    Args:
        name: What it is called.
        properties: Its parameters.
        required: Those that must be given.
        others: Whether there may be more.
    """
    # Where keys are required, the title is what an editor offers for all of them at once.
    title = f"{name} with {', '.join(required)}" if required else f"parameters of {name}"
    node: Schema = {"title": title, "additionalProperties": others, "properties": properties}
    if required:
        node["required"] = list(required)
    then: Schema = {"properties": {"with": node}}
    if required:
        message = f"'{name}' needs 'with': {', '.join(required)}"
        then["allOf"] = [{"required": ["with"], "errorMessage": message}]
    return then


def _option(table: Table, key: str) -> Option:
    found = table.option(key)
    assert found is not None, f"{table.name} declares no {key}"
    return found

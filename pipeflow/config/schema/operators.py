"""The part of the JSON Schema that speaks of operators: ``use``, and what ``with`` may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeflow.config.schema.nodes import (
    MANUAL,
    Schema,
    described,
    has,
    one_of,
    option_schema,
    plain_text,
)
from pipeflow.spec.language import STAGE
from pipeflow.spec.shapes import Shape
from pipeflow.spec.stage_type import StageType


def use_schema(stage_types: Mapping[str, StageType]) -> Schema:
    """Each operator with words of its own; of names with a ``/`` only those installed are known."""
    names = sorted(stage_types)
    known = [{"const": name, **_operator_words(stage_types[name])} for name in names]
    builtin = [name for name in names if "/" not in name]
    words = described(STAGE.declared("use"), "operators")
    del words["examples"]  # they would stand before the others
    return {
        **words,
        "type": "string",
        "anyOf": [*known, {"not": {"enum": names}}],
        "allOf": [one_of(builtin, "must be the name of an operator", unless="/")],
        "errorMessage": "must be the name of an operator",
    }


def parameters_schema(stage_types: Mapping[str, StageType]) -> Schema:
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


def _parameters(stage_type: StageType) -> Schema:
    if stage_type.shape is Shape.UNKNOWN and not stage_type.options:
        return {}  # a plug-in that says nothing of its parameters before it is loaded
    name, options = stage_type.name, stage_type.options
    made = {option.name: option_schema(option, f"operators#{name}") for option in options}
    return with_schema(name, made, [option.name for option in options if option.required])

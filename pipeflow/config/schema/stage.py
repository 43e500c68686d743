"""The part of the JSON Schema that speaks of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from pipeflow.config.schema.edges import inputs_schema
from pipeflow.config.schema.nodes import Schema, both, closed, has, option_schema
from pipeflow.config.schema.operators import parameters_schema, use_schema
from pipeflow.config.schema.own import Own
from pipeflow.config.schema.parts import closed_part
from pipeflow.config.schema.settings import ENV, run_schema
from pipeflow.spec.language import NAME_PATTERN, STAGE, WORKS
from pipeflow.spec.stage_type import StageType
from pipeflow.spec.table import either


def stage_schema(stage_types: Mapping[str, StageType], own: Own) -> Schema:
    """A stage, whatever it does.

    Args:
        stage_types: The operators.
        own: What is known of the project.
    """
    outputs = option_schema(STAGE.declared("outputs"), "keys#a-stage")
    outputs["items"] = {
        **both("port", "Name of a port, as `pipeflow.to` gets it."),
        "type": "string",
        "pattern": f"^{NAME_PATTERN}$",
        "errorMessage": "must be a name: a letter, then letters, digits, '-' or '_'",
    }
    made = {
        "use": use_schema(stage_types),
        "run": run_schema(),
        "outputs": outputs,
        "inputs": inputs_schema(own.ports),
    }
    if own.call:
        made["call"] = own.call
    node = closed(STAGE, made, refs=ENV)
    node["allOf"] += [*_one_work(), parameters_schema(stage_types), *own.calls]
    return node


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

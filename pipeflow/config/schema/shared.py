"""The part of the JSON Schema that speaks of ``shared``: state that stages share."""

from __future__ import annotations

from pipeflow.config.schema.nodes import Schema, both, closed, mapping, not_empty, option_schema
from pipeflow.config.schema.snippets import NEW_STATE
from pipeflow.spec.language import NAME_PATTERN, ROOT, SHARED


def shared_schema() -> Schema:
    """The mapping from a name to what it stands for."""
    node = option_schema(ROOT.declared("shared"), "keys#shared-state")
    return {
        **node,
        "propertyNames": {
            "pattern": f"^{NAME_PATTERN}$",
            "errorMessage": "a name is a letter, then letters, digits, '-' or '_'",
        },
        "additionalProperties": {
            "title": "state",
            "allOf": [*mapping("must be a mapping with 'type'", "shared")],
        },
        "defaultSnippets": NEW_STATE,
    }


def state_schema() -> Schema:
    """One piece of state."""
    shape = option_schema(SHARED.declared("shape"), "keys#shared-state")
    shape["items"] = {
        **both("length", "Length of one axis."),
        "type": "integer",
        "minimum": 1,
        "errorMessage": "must be a whole number of at least 1",
    }
    shape["allOf"] = [*shape["allOf"], not_empty("array", "must have a length at least")]
    return closed(SHARED, {"shape": shape})

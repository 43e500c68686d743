"""The part of the JSON Schema that speaks of edges: ``inputs`` in all its forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pipeflow.config.schema.nodes import (
    Schema,
    both,
    closed,
    has,
    listed,
    not_empty,
    one_of,
    option_schema,
    reference,
)
from pipeflow.config.schema.snippets import NEW_INPUTS
from pipeflow.spec.language import ARGUMENT_PATTERN, EDGE, NAME_PATTERN, STAGE
from pipeflow.spec.ports import OUT

_PORT_PATTERN: Final = rf"^{NAME_PATTERN}(\.{NAME_PATTERN})?$"
#: What names an output.
A_PORT: Final = {"pattern": _PORT_PATTERN, "errorMessage": "must be a stage, or stage.port"}
_NO_PORT: Final = (
    "no stage gave that when this schema was written; if it is new, run 'pipeflow schema' again"
)


def edge_schema(ports: Mapping[str, str]) -> Schema:
    """An edge in its long form."""
    source = option_schema(EDGE.declared("from"), "keys#an-edge")
    if ports:
        del source["examples"]  # they would stand before the outputs that there are
        source |= {"anyOf": listed(ports), "allOf": [*_known(ports)]}
    # Where a key is required, an editor offers it under the title of the mapping.
    return {**closed(EDGE, {"from": source}), "title": "from: stage"}


def inputs_schema(ports: Mapping[str, str]) -> Schema:
    """One edge as text or mapping, a list of edges, or a mapping from argument to edge.

    Args:
        ports: The outputs that may be read, each with what to say of it; empty: any name will do.
    """
    one: Schema = {
        **both("input", "The output that is read: `stage`, `stage.port`, or an edge."),
        "anyOf": listed(ports) if ports else [{}],
        "allOf": [
            {"type": ["string", "object"], "errorMessage": "must be a stage, or stage.port"},
            A_PORT,
            *_known(ports),
            {"if": {"type": "object"}, "then": reference("edge")},
        ],
    }
    node = option_schema(STAGE.declared("inputs"), "keys#an-edge")
    named = {
        "propertyNames": {
            "pattern": f"^{ARGUMENT_PATTERN}$",
            "errorMessage": "must be the name of an argument",
        },
        "additionalProperties": one,
    }
    if ports:
        node["anyOf"] = listed(ports)
    node["allOf"] += [
        A_PORT,
        *_known(ports),
        not_empty("array", "must name a stage at least"),
        not_empty("object", "must name a stage at least"),
        {"items": one},
        {
            "if": looks_like_edge(),
            "then": reference("edge"),
            # Not in the list's own node: the snippets would be offered for its entries.
            "else": {
                "if": {"type": "array"},
                "else": {"title": "inputs", "defaultSnippets": NEW_INPUTS, **named},
            },
        },
    ]
    return node


def looks_like_edge() -> Schema:
    """A mapping with ``from``, or with what no argument of a function could be given."""
    sizes: Schema = {"type": "object", "anyOf": [has("items"), has("bytes")]}
    # With titles, since a hover takes the first that it finds, be it of a condition.
    capacity = has("capacity", {"title": "capacity", "anyOf": [{"type": "number"}, sizes]})
    settings = [
        has(option.name, {"title": option.name, "enum": list(option.choices)})
        for option in EDGE.options
        if option.choices
    ]
    return {"type": "object", "anyOf": [has("from"), capacity, *settings]}


def _known(ports: Mapping[str, str]) -> Sequence[Schema]:
    """Only these, and the long name of each stage's first output, which nobody needs."""
    stages = "|".join(port for port in ports if "." not in port)
    return [one_of(ports, _NO_PORT, unless=rf"^(?:{stages})\.{OUT}$")] if ports else []

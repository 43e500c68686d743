"""What a schema says against a tree, retold in our words. Loaded only when it says something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeflow.config.nodes import TreePath, at_path
from pipeflow.config.shape.declared import Declared
from pipeflow.config.shape.wrong_keys import (
    Told,
    bad_name,
    forbidden_keys,
    missing_keys,
    unknown_keys,
)
from pipeflow.config.shape.wrong_values import bad_value

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


def retell(declared: Declared, path: TreePath, error: ValidationError) -> Told:
    """The findings that one violation earns, each with the path that is wrong by it."""
    node = at_path(declared.tree, path)
    if node is None:
        return
    match error.validator:
        case "additionalProperties":
            yield from unknown_keys(declared, path, node, error)
        case "required":
            yield from missing_keys(declared, path, node, error)
        case None:
            yield from forbidden_keys(declared, path, node)
        case _ if "propertyNames" in error.absolute_schema_path:
            yield from bad_name(path, node, error)
        case _:
            yield path, bad_value(declared, path, node, error)

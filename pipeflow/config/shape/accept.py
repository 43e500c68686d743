"""Whether a value fits a JSON Schema, as one answer: most files do, and need no account of errors.

``jsonschema`` is the judge of what a file gets wrong, and loading it takes longer than reading most
files. This knows the keywords of draft 07 that our schema uses, and gives no answer to others: what
it does not surely accept goes to the judge. A test compares the two on files and on random values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Schema: TypeAlias = bool | Mapping[str, Any]

#: Keywords that say nothing of whether a value fits.
_ANNOTATIONS: Final = frozenset(
    {"$schema", "title", "description", "markdownDescription", "examples", "default", "definitions"}
    | {"errorMessage", "doNotSuggest", "defaultSnippets"}
    | {"enumDescriptions", "markdownEnumDescriptions", "then", "else"}
)


class _Unsure(Exception):
    """A keyword that is not known here."""


def accepts(schema: Schema, value: object) -> bool:
    """Whether a value surely fits; when not, ask ``jsonschema``."""
    try:
        return _Schema(schema).fits(schema, value)
    except (_Unsure, RecursionError):
        return False


class _Schema:
    """A whole schema, in which references are looked up."""

    def __init__(self, root: Schema) -> None:
        self._root = root

    def fits(self, schema: Schema, value: object) -> bool:
        """Whether a value fits a part of the schema."""
        if isinstance(schema, bool):
            return schema
        if "$ref" in schema:  # in draft 07 nothing else beside it counts
            return self.fits(self._target(schema["$ref"]), value)
        return all(
            self._holds(keyword, wanted, schema, value)
            for keyword, wanted in schema.items()
            if keyword not in _ANNOTATIONS
        )

    def _target(self, reference: str) -> Schema:
        found: Any = self._root
        if not reference.startswith("#/"):
            raise _Unsure
        for part in reference[2:].split("/"):
            found = found[part]
        target: Schema = found
        return target

    def _holds(self, keyword: str, wanted: Any, schema: Mapping[str, Any], value: object) -> bool:
        match keyword:
            case "allOf":
                return all(self.fits(each, value) for each in wanted)
            case "anyOf":
                return any(self.fits(each, value) for each in wanted)
            case "not":
                return not self.fits(wanted, value)
            case "if":
                branch = "then" if self.fits(wanted, value) else "else"
                return self.fits(schema.get(branch, True), value)
            case "type":
                return any(_is(value, each) for each in _listed(wanted))
            case "enum":
                return any(_equal(each, value) for each in wanted)
            case "const":
                return _equal(wanted, value)
            case "pattern":
                return not isinstance(value, str) or re.search(wanted, value) is not None
            case "minimum":
                return not _is(value, "number") or value >= wanted
            case "maximum":
                return not _is(value, "number") or value <= wanted
            case _ if isinstance(value, dict):
                return self._holds_of_mapping(keyword, wanted, schema, value)
            case _:
                return self._holds_of_list(keyword, wanted, value)

    def _holds_of_mapping(
        self, keyword: str, wanted: Any, schema: Mapping[str, Any], value: dict[Any, Any]
    ) -> bool:
        match keyword:
            case "required":
                return all(key in value for key in wanted)
            case "properties":
                return all(self.fits(wanted[key], value[key]) for key in wanted if key in value)
            case "patternProperties":
                return all(
                    self.fits(inner, each)
                    for pattern, inner in wanted.items()
                    for key, each in value.items()
                    if re.search(pattern, key)
                )
            case "additionalProperties":
                known, patterns = schema.get("properties", ()), schema.get("patternProperties", ())
                return all(
                    self.fits(wanted, each)
                    for key, each in value.items()
                    if key not in known and not any(re.search(one, key) for one in patterns)
                )
            case "propertyNames":
                return all(self.fits(wanted, key) for key in value)
            case "minProperties":
                return len(value) >= int(wanted)
            case "maxProperties":
                return len(value) <= int(wanted)
            case "minItems" | "maxItems" | "items":
                return True  # of lists
            case _:
                raise _Unsure

    def _holds_of_list(self, keyword: str, wanted: Any, value: object) -> bool:
        match keyword:
            case "minItems":
                return not isinstance(value, list) or len(value) >= int(wanted)
            case "maxItems":
                return not isinstance(value, list) or len(value) <= int(wanted)
            case "items":
                if isinstance(wanted, list):  # a schema for each position
                    raise _Unsure
                return not isinstance(value, list) or all(self.fits(wanted, one) for one in value)
            case "required" | "properties" | "patternProperties" | "additionalProperties":
                return True  # of mappings
            case "propertyNames" | "minProperties" | "maxProperties":
                return True  # likewise
            case _:
                raise _Unsure


def _listed(wanted: str | list[str]) -> list[str]:
    return [wanted] if isinstance(wanted, str) else wanted


def _is(value: object, kind: str) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "integer":
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool)
        case _:
            raise _Unsure


def _equal(one: object, other: object) -> bool:
    """Equal as JSON has it: ``1`` is not ``true``; two containers are not compared here."""
    if isinstance(one, dict | list) and isinstance(other, dict | list):
        raise _Unsure
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)

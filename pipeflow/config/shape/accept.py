"""Whether a value fits a JSON Schema, as one answer: most files do, and need no account of errors.

``jsonschema`` is the judge of what a file gets wrong, and loading it takes longer than reading most
files. This knows the keywords of draft 07 that our schema uses, and gives no answer to others: what
it does not surely accept goes to the judge. A test compares the two on files and on random values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

Schema: TypeAlias = bool | Mapping[str, Any]
#: Whether a value fits in one respect.
_Check: TypeAlias = Callable[[Any], bool]

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
    checked = _Schema(schema)
    try:
        return checked.fits(schema, value)
    except (_Unsure, RecursionError):
        return False
    finally:
        checked.forget()


class _Schema:
    """A whole schema, each part of which becomes checks when it is first asked for."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._known: dict[int, list[_Check]] = {}  # by identity of the part

    def forget(self) -> None:
        """Let go of the checks, which refer to it: only a collector would find them."""
        self._known.clear()

    def fits(self, schema: Schema, value: object) -> bool:
        """Whether a value fits a part of the schema."""
        if isinstance(schema, bool):
            return schema
        checks = self._known.get(id(schema))
        if checks is None:
            checks = self._known[id(schema)] = self._checks_of(schema)
        for check in checks:  # noqa: SIM110 - a generator costs more than most checks
            if not check(value):
                return False
        return True

    def _checks_of(self, schema: Mapping[str, Any]) -> list[_Check]:
        if "$ref" in schema:  # in draft 07 nothing else beside it counts
            return [partial(self.fits, self._target(schema["$ref"]))]
        return [
            self._check(keyword, wanted, schema)
            for keyword, wanted in schema.items()
            if keyword not in _ANNOTATIONS
        ]

    def _target(self, reference: str) -> Schema:
        found: Any = self._root
        if not reference.startswith("#/"):
            raise _Unsure
        for part in reference[2:].split("/"):
            found = found[part]
        target: Schema = found
        return target

    def _check(self, keyword: str, wanted: Any, schema: Mapping[str, Any]) -> _Check:
        fits = self.fits
        match keyword:
            case "allOf":
                return lambda value: all(fits(each, value) for each in wanted)
            case "anyOf":
                return lambda value: any(fits(each, value) for each in wanted)
            case "not":
                return lambda value: not fits(wanted, value)
            case "if":
                then, otherwise = schema.get("then", True), schema.get("else", True)
                return lambda value: fits(then if fits(wanted, value) else otherwise, value)
            case "type":
                kinds = [wanted] if isinstance(wanted, str) else wanted
                return lambda value: any(_is(value, kind) for kind in kinds)
            case "enum":
                return lambda value: any(_equal(each, value) for each in wanted)
            case "const":
                return partial(_equal, wanted)
            case "pattern":
                search = re.compile(wanted).search
                return lambda value: not isinstance(value, str) or search(value) is not None
            case "minimum":
                return lambda value: not _is(value, "number") or value >= wanted
            case "maximum":
                return lambda value: not _is(value, "number") or value <= wanted
            case "minItems" | "maxItems" | "items":
                return _for(list, self._check_of_list(keyword, wanted))
            case _:
                return _for(dict, self._check_of_mapping(keyword, wanted, schema))

    def _check_of_mapping(self, keyword: str, wanted: Any, schema: Mapping[str, Any]) -> _Check:
        fits = self.fits
        match keyword:
            case "required":
                return lambda value: all(key in value for key in wanted)
            case "properties":
                return lambda value: all(
                    fits(wanted[key], each) for key, each in value.items() if key in wanted
                )
            case "patternProperties":
                patterns = [(re.compile(one).search, inner) for one, inner in wanted.items()]
                return lambda value: all(
                    fits(inner, each)
                    for search, inner in patterns
                    for key, each in value.items()
                    if search(key)
                )
            case "additionalProperties":
                known = schema.get("properties", ())
                others = [re.compile(one).search for one in schema.get("patternProperties", ())]
                return lambda value: all(
                    fits(wanted, each)
                    for key, each in value.items()
                    if key not in known and not any(search(key) for search in others)
                )
            case "propertyNames":
                return lambda value: all(fits(wanted, key) for key in value)
            case "minProperties":
                return lambda value: len(value) >= wanted
            case "maxProperties":
                return lambda value: len(value) <= wanted
            case _:
                raise _Unsure

    def _check_of_list(self, keyword: str, wanted: Any) -> _Check:
        fits = self.fits
        match keyword:
            case "minItems":
                return lambda value: len(value) >= wanted
            case "maxItems":
                return lambda value: len(value) <= wanted
            case _:
                if isinstance(wanted, list):  # a schema for each position
                    raise _Unsure
                return lambda value: all(fits(wanted, each) for each in value)


def _for(kind: type, check: _Check) -> _Check:
    """A check of values of one type: all others pass."""
    return lambda value: not isinstance(value, kind) or check(value)


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

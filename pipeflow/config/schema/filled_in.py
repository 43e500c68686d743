"""The schema for files whose references are filled in."""

from __future__ import annotations

from typing import Any, Final

from pipeflow.config.schema.nodes import OR_REFERENCE, QUANTITIES, REFERENCE

#: Matches nothing.
_NEVER: Final = "(?!)"


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

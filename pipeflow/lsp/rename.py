"""Renaming: may a name become another, and which places change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeflow.lsp.outline import Kind, Name, Outline
from pipeflow.spec.language import ARGUMENT_PATTERN, NAME_PATTERN

_PATTERNS = {
    Kind.STAGE: NAME_PATTERN,
    Kind.SHARED: NAME_PATTERN,
    Kind.PARAM: f"{NAME_PATTERN}|{ARGUMENT_PATTERN}",
}


def renamed(name: Name, new: str, file: Outline) -> Sequence[Name] | str:
    """The places where the new name must stand, or why it cannot be.

    Args:
        name: The name at the cursor.
        new: What it shall be.
        file: All names of the file.
    """
    pattern = _PATTERNS.get(name.kind)
    if pattern is None:
        return "only stages, params and shared state can be renamed here"
    if not file.whole:
        return "not all of the file can be read: mend that first, or a place would be left out"
    if not re.fullmatch(pattern, new):
        return f"'{new}' is no name: a letter, then letters, digits, '-' or '_'"
    if file.definition(name) is None:
        return f"no {name.kind.value} is called '{name.text}'"
    others = [one for one in file.defined(name.kind) if one.text != name.text]
    twin = next((one for one in others if one.text.casefold() == new.casefold()), None)
    if twin is not None:
        return f"there is a {name.kind.value} '{twin.text}' already (line {twin.line})"
    return file.same(name)

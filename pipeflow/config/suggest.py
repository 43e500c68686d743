"""Did you mean, for the keys of the language: a slip, or the word of another tool."""

from __future__ import annotations

from collections.abc import Iterable

from pipeflow.spec.table import Table
from pipeflow.suggest import did_you_mean


def nearest_key(word: str, table: Table) -> str | None:
    """The key of a table that a word was probably meant to be, by a slip or by another tool."""
    for option in table.options:
        if word.casefold() in option.aliases:
            return option.name
    return did_you_mean(word, (option.name for option in table.options))


def misspelt(key: str, given: Iterable[str], table: Table) -> bool:
    """Whether one of the given keys is none of the table, and a slip of ``key``."""
    return any(
        table.option(other) is None and nearest_key(other, table) == key
        for other in given
        if not other.startswith("x-")
    )

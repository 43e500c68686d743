"""Tables: what operators have alike that read or write rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pipeflow.spec.options import Option, OptionType

#: Of those that write rows.
COLUMNS: Final = Option(
    name="columns",
    types=(OptionType.LIST,),
    default=None,
    description="The columns, in this order.",
    examples=(["name", "age"],),
)

#: Of CSV files.
HEADER: Final = Option(
    name="header",
    types=(OptionType.BOOLEAN,),
    default=True,
    description="Whether the first row names the columns.",
)
DELIMITER: Final = Option(
    name="delimiter",
    types=(OptionType.STRING,),
    default=",",
    description="The character between two fields.",
    pattern=r"[\s\S]",
    form="one character",
    examples=(";", "\t"),
)


def column_names(columns: list[Any] | None) -> list[str] | None:
    """What ``columns`` says, as text; a file may have numbers there."""
    return None if columns is None else [str(column) for column in columns]


def refuse_strangers(keys: Iterable[str], columns: Sequence[str]) -> None:
    """See that every key of a row is a column.

    Raises:
        ValueError: One is none.
    """
    for key in keys:
        if key not in columns:
            raise ValueError(f"{key!r} is none of the columns {', '.join(columns)}")

"""members_of: what a value is made of, for operators that pass it on one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def members_of(value: Any) -> Iterator[Any] | None:
    """The members of a list, an array, a generator and the like; ``None`` of ``None``.

    Raises:
        TypeError: It has no members, or is a text or a mapping: of these something else is meant
            than their characters or their keys.
    """
    if value is None:
        return None
    if isinstance(value, str | bytes | Mapping):
        kind = "text" if isinstance(value, str) else type(value).__name__
        meant = "a mapping's keys" if isinstance(value, Mapping) else "single characters"
        raise TypeError(f"this is one {kind}, no list of items; write list(...) for {meant}")
    try:
        members: Iterator[Any] = iter(value)
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"this is of type {kind}, which has no members to pass on") from None
    return members

"""Names for a sentence."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[str], limit: int = 20) -> str:
    """Names for a sentence, in their order, cut short after ``limit``."""
    words = list(names)
    more = f" and {len(words) - limit} more" if len(words) > limit else ""
    return ", ".join(words[:limit]) + more

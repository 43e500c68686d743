"""An operator that is a plain function: it needs no declaration, and nothing of pipeflow."""

from __future__ import annotations

from collections.abc import Iterator

print("the code of a plug-in runs")


def words(line: str, least: int = 1) -> Iterator[str]:
    """Gives the words of a text.

    Args:
        line: The text.
        least: Letters that a word has at least.
    """
    yield from (word for word in line.split() if len(word) >= least)

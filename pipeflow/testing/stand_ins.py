"""What stands in for stages while a test of a file runs: sources of given items, collectors.

They run in the process of the test (the inline executor), so what a collector keeps is at hand
when the run is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

#: Name to what was collected, while a test runs.
_collections: dict[str, list[object]] = {}


@contextmanager
def collecting(names: Iterable[str]) -> Iterator[Mapping[str, list[object]]]:
    """Let collectors of these names keep what reaches them; gives the lists that they fill."""
    before = dict(_collections)
    _collections.clear()
    _collections.update({name: [] for name in names})
    try:
        yield dict(_collections)
    finally:
        _collections.clear()
        _collections.update(before)


def given(items: list[object]) -> list[object]:
    """A source of items."""
    return items


class Collector:
    """A sink that keeps what reaches it: an item, or for named inputs a mapping of them."""

    def __init__(self, collection: str) -> None:
        self._kept = _collections[collection]

    def __call__(self, *items: object, **named: object) -> None:
        self._kept.append(named or items[0])

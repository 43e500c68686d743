"""What stands in for stages while a test runs: sources of given items, collectors, recorders.

All but recorders run in the process of the test (the inline executor), so what a collector keeps is
at hand when the run is over.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

from pipeflow.stages.author import stream
from pipeflow.stages.context import current

#: The id of an item as numbers, and the item; for named inputs a mapping of them.
Record = tuple[tuple[int, ...], Any]

_numbers: Final = count()

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


class Objects:
    """Functions and classes that a test hands over, as attributes: no module need hold them."""


@contextmanager
def handed_over(target: object) -> Iterator[str]:
    """Let stages call an object of the test's; gives its name, as ``call`` would have it."""
    name = f"target_{next(_numbers)}"
    setattr(Objects, name, staticmethod(target) if callable(target) else target)
    try:
        yield f"{__name__}:{Objects.__name__}.{name}"
    finally:
        delattr(Objects, name)


def passed_on(*items: object, **named: object) -> object:
    """Stands for a stage while its settings are read; never called."""
    return items or named


def given(items: list[object]) -> list[object]:
    """A source of items."""
    return items


class Collector:
    """A sink that keeps what reaches it: an item, or for named inputs a mapping of them."""

    def __init__(self, collection: str) -> None:
        self._kept = _collections[collection]

    def __call__(self, *items: object, **named: object) -> None:
        self._kept.append(named or items[0])


@stream
def first(items: Iterator[object], count: int, collection: str) -> Iterator[object]:
    """Keeps the first items, and needs no more."""
    kept = _collections[collection]
    kept.extend(islice(items, count))
    return iter(())


class Noter:
    """A collector that keeps the ids as well: ``Record`` values."""

    def __init__(self, collection: str) -> None:
        self._kept = _collections[collection]

    def __call__(self, *items: object, **named: object) -> None:
        self._kept.append((_id_in_hand(), named or items[0]))


class Recorder:
    """A sink that writes ``Record`` values into a file: it may run in any process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def __call__(self, *items: object, **named: object) -> None:
        pickle.dump((_id_in_hand(), named or items[0]), self._file, protocol=5)

    def close(self) -> None:
        self._file.close()


def recorded(path: Path) -> list[Record]:
    """What a recorder has written."""
    found: list[Record] = []
    with path.open("rb") as file:
        while file.peek(1):
            found.append(pickle.load(file))
    return found


def _id_in_hand() -> tuple[int, ...]:
    context = current()
    return context.item_id() if context is not None else ()

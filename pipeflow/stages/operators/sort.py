"""sort: all items in order, in memory or on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression
from pipeflow.stages.spilling import Runs, weight

_MIB = 2**20


@operator(
    name="sort",
    role=Role.OPERATOR,
    summary="Gives all items in order, at the end; what exceeds its memory is sorted on disk.",
    details=(
        "Items with equal keys keep their order. What does not fit in `memory` goes to temporary "
        "files without a name, which take about as much room as the items and are gone when the "
        "run ends, however it ends. A key that cannot be compared with the one before it, such as "
        "`None` with a number, is an error of its item; `(key is None, key)` puts what is missing "
        "last. Of several replicas each sorts its own items."
    ),
    options=(
        Option(
            name="by",
            types=(OptionType.EXPRESSION,),
            default=None,
            description="What to sort by; the item itself when left out.",
            examples=('item["time"]', '(item["user"], -item["bytes"])'),
        ),
        Option(
            name="reverse",
            types=(OptionType.BOOLEAN,),
            default=False,
            description="Largest first; equal keys keep their order all the same.",
        ),
        Option(
            name="memory",
            types=(OptionType.SIZE,),
            default=64 * _MIB,
            description="About how much memory the items may take; a size such as `64MiB`.",
            unit="bytes",
            minimum=1,
            examples=("1GiB",),
        ),
        Option(
            name="folder",
            types=(OptionType.PATH,),
            default=None,
            description=(
                "Folder for the temporary files; that of the system (`TMPDIR`) when left out. "
                "Where that is memory, name one on a disk."
            ),
            examples=("/var/tmp",),  # noqa: S108 - a folder, no file
        ),
    ),
    keeps_state=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 6

  by-remainder:
    use: sort
    inputs: numbers
    with:
      by: "item % 3"
      reverse: true

  show:
    use: print
    inputs: by-remainder
""",
)
class Sort:
    """Keeps items and their keys until they are too many; then they become a run."""

    def __init__(
        self, by: Expression | None, reverse: bool, memory: int, folder: Path | None
    ) -> None:
        self._by = by
        self._reverse = reverse
        self._memory = memory
        self._items: list[Any] = []
        self._keys: list[Any] = [] if by is not None else self._items
        self._taken = 0
        self._runs = Runs(by or _itself, reverse=reverse, folder=folder)

    def __call__(self, item: Any) -> None:
        key = item if self._by is None else self._by(item)
        keys = self._keys
        if keys and key < keys[-1]:  # who cannot be compared fails here, by itself
            pass
        if self._taken >= self._memory:
            self._spill()
        self._taken += weight(item)
        if self._by is not None:
            self._taken += weight(key)
            keys.append(key)
        self._items.append(item)

    def finish(self) -> Iterator[Any]:
        """All items."""
        return self._runs.merged(self._in_order()) if self._runs else self._in_order()

    def close(self) -> None:
        """Let go of the files."""
        self._runs.close()

    def _spill(self) -> None:
        # The lists are let go of after the run is written: a disk that is full loses nothing.
        self._runs.add(self._in_order(keep=True))
        self._items.clear()
        self._keys.clear()
        self._taken = 0

    def _in_order(self, *, keep: bool = False) -> Iterator[Any]:
        """The items in memory, each let go of when it is given."""
        items = self._items
        order = sorted(range(len(items)), key=self._keys.__getitem__, reverse=self._reverse)
        for index in order:
            yield items[index]
            if not keep:
                items[index] = None


def _itself(item: Any) -> Any:
    return item

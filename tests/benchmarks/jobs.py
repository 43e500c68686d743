"""What a workload's stages are, for those who do it without pipeflow: the very same functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.benchmarks.pipelines import dicts as w1
from tests.benchmarks.pipelines import ints as w1int


class Sink(Protocol):
    """The last stage."""

    def __call__(self, item: Any, /) -> None:
        """Take one item."""

    def finish(self) -> None:
        """Write down what came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Source, step, and one sink or more that each get everything.

    Attributes:
        source: Makes the items.
        step: Between source and sink; ``None``: the sinks read the source.
        sinks: Makers of the sinks, each called in its own process.
        capacity: Items that a hand-written queue holds before its writer waits.
        reuses: Whether the source yields the same array each time, so that who pickles later must
            copy it first.
    """

    source: Callable[[], Iterable[Any]]
    step: Callable[[Any], Any] | None
    sinks: tuple[Callable[[], Sink], ...]
    capacity: int
    reuses: bool = False


def dicts(folder: str, count: int) -> Chain:
    """Give w1."""
    return Chain(
        source=lambda: w1.dicts(count, Path(folder)),
        step=w1.rebuild,
        sinks=(lambda: w1.Total(Path(folder)),),
        capacity=1024,
    )


def ints(folder: str, count: int) -> Chain:
    """Give w1int."""
    return Chain(
        source=lambda: w1int.ints(count, Path(folder)),
        step=w1int.add_one,
        sinks=(lambda: w1int.Total(Path(folder)),),
        capacity=1024,
    )

"""What a workload's stages are, for those who do it without pipeflow: the very same functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tests.benchmarks.pipelines import burn as w6
from tests.benchmarks.pipelines import dicts as w1
from tests.benchmarks.pipelines import frames as w2
from tests.benchmarks.pipelines import handoff, latency
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
        chunk: How many items travel together, with those who ask for it.
        workers: Of the step.
        halves: The same work as two chains that need nothing of each other.
    """

    source: Callable[[], Iterable[Any]]
    step: Callable[[Any], Any] | None
    sinks: tuple[Callable[[], Sink], ...]
    capacity: int
    reuses: bool = False
    chunk: int = 1
    workers: int = 1
    halves: tuple[Chain, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameChain(Chain):
    """A chain whose items are arrays of one shape.

    Attributes:
        shape: Of every array.
        dtype: Of every array.
        frames: How many there are.
        folder: Where the source notes when it began, for who makes the arrays in its place.
        fill: Makes array number i in memory that is there.
        step_into: The step, with its result in memory that is there.
    """

    shape: tuple[int, ...]
    dtype: str
    frames: int
    folder: Path
    fill: Callable[[Any, int], object]
    step_into: Callable[[Any, Any], object]


def dicts(folder: str, count: int) -> Chain:
    """Give w1."""
    return Chain(
        source=partial(w1.dicts, count, Path(folder)),
        step=w1.rebuild,
        sinks=(partial(w1.Total, Path(folder)),),
        capacity=1024,
        chunk=256,
    )


def ints(folder: str, count: int) -> Chain:
    """Give w1int."""
    return Chain(
        source=partial(w1int.ints, count, Path(folder)),
        step=w1int.add_one,
        sinks=(partial(w1int.Total, Path(folder)),),
        capacity=1024,
        chunk=256,
    )


def frames(folder: str, rows: int, columns: int, frames: int) -> FrameChain:
    """Give w2."""
    whole = _frames(Path(folder), rows, columns, frames)
    halves = [_half(folder, i) for i in range(2)]
    parts = tuple(_frames(half, rows, columns, frames // 2) for half in halves)
    return replace(whole, halves=parts)


def hand(folder: str, length: int, frames: int, readers: int = 0) -> FrameChain:
    """Give hand; with ``readers`` fan4, which has no step."""
    where = Path(folder)
    return FrameChain(
        source=partial(handoff.private, length, frames, where),
        step=None if readers else handoff.forward,
        sinks=tuple(partial(handoff.Ends, where, i) for i in range(readers or 1)),
        capacity=4,
        reuses=True,
        shape=(length,),
        dtype="f4",
        frames=frames,
        folder=where,
        fill=handoff.number,
        step_into=handoff.copy_into,
    )


def lat_64b(folder: str, count: int) -> Chain:
    """Give lat_64B."""
    return Chain(
        source=partial(latency.texts, count, Path(folder)),
        step=latency.forward,
        sinks=(partial(latency.Texts, Path(folder)),),
        capacity=1024,
    )


def lat_1m(folder: str, count: int, length: int) -> FrameChain:
    """Give lat_1M; nobody may do it in place, since the clock is in the frames."""
    where = Path(folder)
    return FrameChain(
        source=partial(latency.frames, count, length, where),
        step=latency.forward,
        sinks=(partial(latency.Frames, where),),
        capacity=4,
        shape=(length,),
        dtype="i8",
        frames=count,
        folder=where,
        fill=_never,
        step_into=_never,
    )


def burn(folder: str, count: int, steps: int) -> Chain:
    """Give w6."""
    halves = [_half(folder, i) for i in range(2)]
    parts = tuple(_burn(half, count // 2, steps) for half in halves)
    return replace(_burn(Path(folder), count, steps), halves=parts)


def _frames(folder: Path, rows: int, columns: int, frames: int) -> FrameChain:
    return FrameChain(
        source=partial(w2.fresh, rows, columns, frames, folder),
        step=w2.double,
        sinks=(partial(w2.Sums, folder),),
        capacity=4,
        shape=(rows, columns),
        dtype="f4",
        frames=frames,
        folder=folder,
        fill=w2.fill,
        step_into=w2.double_into,
    )


def _burn(folder: Path, count: int, steps: int) -> Chain:
    return Chain(
        source=partial(w6.numbers, count, folder),
        step=partial(w6.burn, steps=steps),
        sinks=(partial(w6.Ordered, folder),),
        capacity=256,
        workers=2,
    )


def _half(folder: str, number: int) -> Path:
    """Give the folder of the notes of one half; ``noted.read_halves`` looks there."""
    half = Path(folder) / f"half-{number}"
    half.mkdir(exist_ok=True)
    return half


def _never(*_: Any) -> object:
    raise AssertionError("this chain is never done in place")

"""Work: a stage's code, loaded and bound to its parameters, in the few forms a worker knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True)
class Routed:
    """A result for another output port: what ``pipeflow.to(port, item)`` returns."""

    port: str
    item: Any


@dataclass(frozen=True, slots=True)
class BadRecord:
    """What a built-in source yields for a record that it cannot read; the stage's policy decides.

    Attributes:
        item: The record as it was found: text or bytes.
        error: What is wrong with it.
    """

    item: Any
    error: Exception


class DrainInterrupt(BaseException):
    """Leaves the blocking call of a source: its grace is over, or the call knows of the drain."""


class OutputClosed(Exception):
    """Nobody reads our standard output any more: a writer to it closes its edge; no failure."""


class Talk(Protocol):
    """A program for the whole stream. Nothing here waits; see ``runtime.programs.talk``."""

    def begin(self) -> None:
        """Start it."""
        ...

    def has_room(self) -> bool:
        """Whether more items may be given."""
        ...

    def reads_no_more(self) -> bool:
        """Whether it needs no more items, though there may be some."""
        ...

    def give(self, item: Any) -> None:
        """Take an item to be written."""
        ...

    def end_input(self) -> None:
        """No more items come."""
        ...

    def move(self) -> tuple[bool, list[Any]]:
        """Write and read what can be: whether anything moved, and the results."""
        ...

    def is_over(self) -> bool:
        """Whether it has ended, and all it wrote was read."""
        ...

    def rest(self) -> list[Any]:
        """Results that only the end has made whole."""
        ...

    def judge(self) -> None:
        """Raise what its end says."""
        ...

    def events(self) -> list[tuple[int, int]]:
        """What to wait on: descriptors, and the events of each."""
        ...

    def patience_s(self) -> float | None:
        """How long may be waited at most."""
        ...

    def end(self) -> None:
        """Leave nothing of it."""
        ...


@dataclass(slots=True, kw_only=True)
class Work:
    """Exactly one of ``source``, ``call``, ``stream`` and ``talk`` is there.

    Attributes:
        source: Starts a source: the iterable of its items, or something ``async`` that gives them.
        call: Takes the payload (with named inputs: one positional payload for each input, in the
            order of the names given to ``load_work``) and returns the result: ``None``, an object
            with ``__next__`` for many, or one item, maybe ``Routed``.
        stream: Takes an iterator over the payloads, returns an iterable of results.
        talk: A program for the whole stream; a source if the stage has no inputs.
        finish: Results at the end of input, or ``None``; may be ``async`` too.
        close: Called always, last, or ``None``; may be ``async`` too.
        due: When ``tick`` is to be called though nothing has come (``time.monotonic``; ``None``:
            not before the next item); ``None`` for work that is never woken.
        tick: Results that are due.
        awaits: ``source``, or ``call``, is ``async``: what it gives is awaited, or iterated over by
            ``async for``.
        keeps_state: As the loaded code shows it.
        total: How many items a source will give, when it knows; asked once, after ``source()``.
    """

    source: Callable[[], Any] | None = None
    call: Callable[..., Any] | None = None
    stream: Callable[[Iterator[Any]], Iterable[Any]] | None = None
    talk: Talk | None = None
    finish: Callable[[], Any] | None = None
    close: Callable[[], object] | None = None
    due: Callable[[], float | None] | None = None
    tick: Callable[[], Iterable[Any]] | None = None
    awaits: bool = False
    keeps_state: bool = False
    total: Callable[[], int | None] | None = None

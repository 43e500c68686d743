"""What a running stage can ask of its worker, and the stand-in for code that runs outside a run.

The worker puts a ``StageContext`` in place before it loads the stage; the author's functions
(``pipeflow.rng`` and the rest, in ``stages.author``) look it up here. There is one for each
process; in the inline executor the current one changes with the worker whose turn it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, BinaryIO

from pipeflow.values import dataclass, field

if TYPE_CHECKING:
    import numpy as np


@dataclass(slots=True, kw_only=True)
class StageContext:
    """One replica's ties to its run.

    Attributes:
        stage: Name of the stage.
        replica: Which of its workers.
        replicas: How many there are.
        seed: Of the run.
        stopping: Whether the run is being drained.
        rest: Waits so many seconds (``None``: any), or until a descriptor (-1: none) can be read;
            no longer than until the run is drained. It ends the stage if nobody reads it any more.
        empty: Makes an array in shared memory: shape and dtype as for ``np.empty``.
        log: Takes a level and a text.
        mask: Takes secrets out of a text that others get to see.
        item_id: Gives the id of the item in hand as numbers, for ``rng``.
        stdout: The command's standard output as bytes; for ``print`` and writers to ``-``.
        parameters: The pipeline's ``params``, for expressions.
        input_names: The named inputs, in the order in which payloads come.
        metrics: Name to sum; goes into the report.
        drawn: The item id that ``rng`` was last asked for, and its generator, which goes on while
            the id stays the same. Cleared before an item is tried again.
    """

    stage: str
    replica: int
    replicas: int = 1
    seed: int = 0
    stopping: Callable[[], bool] = lambda: False
    rest: Callable[[float | None, int], None] | None = None
    empty: Callable[[Any, Any], np.ndarray[Any, Any]] | None = None
    log: Callable[[str, str], None] = lambda _level, _text: None
    mask: Callable[[str], str] = str
    item_id: Callable[[], tuple[int, ...]] = lambda: ()
    stdout: BinaryIO | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    input_names: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    drawn: tuple[tuple[int, ...], np.random.Generator] | None = None


class InHand:
    """An item that a task of an ``async`` function has in hand.

    Args:
        item: Its id.

    Attributes:
        drawn: Its random generator, once it was asked for.
    """

    __slots__ = ("drawn", "item")

    def __init__(self, item: tuple[int, ...]) -> None:
        self.item = item
        self.drawn: np.random.Generator | None = None


_current: StageContext | None = None
#: Tasks take turns, and each has an item of its own.
_in_hand: ContextVar[InHand | None] = ContextVar("pipeflow_in_hand", default=None)


def current() -> StageContext | None:
    """The context of the replica whose code runs now; ``None`` outside a run."""
    return _current


def enter(context: StageContext | None) -> StageContext | None:
    """Put a context in place and return the one before, to be put back."""
    global _current  # one stage runs at a time in a process: this is its name
    before, _current = _current, context
    return before


def draw_anew() -> None:
    """Each try of an item draws its random numbers from the first one on."""
    if _current is not None:
        _current.drawn = None


def begin_item(item: tuple[int, ...]) -> None:
    """The task that runs now has this item in hand, and tries it anew."""
    _in_hand.set(InHand(item))


def in_hand() -> InHand | None:
    """The item of the task that runs now; ``None``: it is no task, so it is the replica's."""
    return _in_hand.get()

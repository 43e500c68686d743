"""What authors of stages may use, all of it harmless outside a run.

Nothing here is needed to write a stage; ``pipeflow.rng`` and the others find the running replica
through ``stages.context`` and fall back to plain numpy and logging when there is none.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from pipeflow.stages.context import StageContext, current, in_hand
from pipeflow.stages.work import Routed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

P = ParamSpec("P")
R = TypeVar("R", bound=Iterable[Any])

#: The attribute by which a stream function is known, in the source and in the loaded code.
STREAM_MARK: Final = "__pipeflow_stream__"
#: The attribute that holds an operator's declaration.
DECLARATION: Final = "__pipeflow_operator__"


def stream(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a function that takes the whole stream: an iterator over the items, then parameters.

    The function itself comes back, so it is called and tested like any other::

        @pipeflow.stream
        def rolling(xs: Iterator[float], window: int) -> Iterator[float]: ...
    """
    setattr(function, STREAM_MARK, True)
    return function


def to(port: str, item: object) -> Routed:
    """Name the port that a result goes to: ``return pipeflow.to("masks", mask)``."""
    return Routed(port, item)


def empty(shape: int | tuple[int, ...], dtype: DTypeLike = "float64") -> np.ndarray[Any, Any]:
    """Make an array that is already in shared memory, so passing it on copies nothing.

    As with ``np.empty`` its contents are arbitrary. Outside a run it is ``np.empty``.

    Raises:
        MemoryLimitReached: The run's shared arrays would pass ``limits.memory``.
    """
    import numpy as np

    context = current()
    if context is None or context.empty is None:
        return np.empty(shape, dtype)
    return context.empty(shape, dtype)


def rng() -> np.random.Generator:
    """A random generator for the item in hand, drawn from ``--seed``, the stage and the item's id.

    It gives the same numbers in every executor and for any number of replicas. Asking twice for one
    item gives the same generator, which goes on where it was. Outside a run it is unseeded.
    """
    import numpy as np

    context = current()
    if context is None:
        return np.random.default_rng()
    hand = in_hand()
    if hand is not None:
        if hand.drawn is None:
            hand.drawn = np.random.default_rng(_seeds(context, hand.item))
        return hand.drawn
    item = context.item_id()
    if context.drawn is None or context.drawn[0] != item:
        context.drawn = (item, np.random.default_rng(_seeds(context, item)))
    return context.drawn[1]


def _seeds(context: StageContext, item: tuple[int, ...]) -> np.random.SeedSequence:
    import numpy as np

    # An item keeps its id from stage to stage: without the stage's name two neighbours would draw
    # the same numbers. The length tells 17 from 17.0, since numpy pads short entropy with zeros.
    name = zlib.crc32(context.stage.encode())
    seed = context.seed % 2**64
    return np.random.SeedSequence([seed, len(item), *item], spawn_key=(name,))


class Log:
    """Lines for the run's log; outside a run they go to the logger ``pipeflow``."""

    def debug(self, message: object, *args: object) -> None:
        """Say what only helps to find a mistake. ``args`` fill in ``%s`` and the like."""
        self._tell("debug", message, args)

    def info(self, message: object, *args: object) -> None:
        """Say what is good to know."""
        self._tell("info", message, args)

    def warning(self, message: object, *args: object) -> None:
        """Say what may be wrong."""
        self._tell("warning", message, args)

    def error(self, message: object, *args: object) -> None:
        """Say what went wrong. The run goes on; raise to fail the item."""
        self._tell("error", message, args)

    def _tell(self, level: str, message: object, args: tuple[object, ...]) -> None:
        context = current()
        if context is not None:
            context.log(level, _filled_in(str(message), args))
            return
        import logging  # a worker does without it

        number = logging.getLevelNamesMapping()[level.upper()]
        logging.getLogger("pipeflow").log(number, message, *args)


def _filled_in(text: str, args: tuple[object, ...]) -> str:
    if not args:
        return text
    try:
        return text % args
    except (TypeError, ValueError):
        # A slip in a log line must not fail an item: show what there is.
        return f"{text} {args!r}"


log: Final = Log()


class Metric:
    """A sum that this stage adds to; the report shows it under ``metrics``.

    Attributes:
        name: Its key in the report.
    """

    __slots__ = ("_outside", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._outside: float = 0

    def add(self, amount: float = 1) -> None:
        """Add to the sum of this replica; the report adds up the replicas."""
        context = current()
        if context is None:
            self._outside += amount
        else:
            context.metrics[self.name] = context.metrics.get(self.name, 0) + amount

    @property
    def value(self) -> float:
        """The sum so far, of this replica."""
        context = current()
        return self._outside if context is None else context.metrics.get(self.name, 0)


def metric(name: str) -> Metric:
    """A sum by name: ``metric("faces").add(3)``."""
    return Metric(name)


def stopping() -> bool:
    """Whether the run is being drained: a source that loops for ever looks here and returns."""
    context = current()
    return context is not None and context.stopping()


__all__ = [
    "DECLARATION",
    "STREAM_MARK",
    "Log",
    "Metric",
    "Routed",
    "empty",
    "log",
    "metric",
    "rng",
    "stopping",
    "stream",
    "to",
]

"""window: items in lists that may overlap, by number or by time."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import Misuse
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression
from pipeflow.stages.seconds import PER_SECOND, like, microseconds
from pipeflow.stages.work import Routed


def _judge(given: Mapping[str, object]) -> Sequence[Misuse]:
    """It counts items, or it looks at the time."""
    counts, times = given.get("size") is not None, given.get("every") is not None
    if counts == times:
        return [
            Misuse(
                "every" if counts else "",
                "a window is so many items or so much time: 'size' or 'every'"
                + (", not both" if counts else ", and neither is there"),
                "size: 100, or every: 10s",
            )
        ]
    others = ("span", "time", "lateness") if counts else ("slide", "partial")
    which = "a window of so much time: 'every'" if counts else "a window of so many items: 'size'"
    for name in others:
        if given.get(name) is not None:
            other = "every: 10s in place of 'size'" if counts else "size: 100 in place of 'every'"
            return [Misuse(name, f"'{name}' is for {which}", f"{other}, or take '{name}' out")]
    if given.get("lateness") and given.get("time") is None:
        problem = "'lateness' needs 'time': by arrival nothing is late"
        return [Misuse("lateness", problem, """time: 'item["time"]', or take 'lateness' out""")]
    return []


@operator(
    name="window",
    role=Role.OPERATOR,
    summary="Gathers items in windows, by number or by time, that may overlap.",
    details=(
        "With `size` a window is a list of so many items, and a new one begins every `slide` "
        "items. What is in no window at the end makes a shorter one.\n\n"
        "With `every` time is cut in windows that begin at whole multiples of it, and each that is "
        'not empty is given as `{"start": ..., "end": ..., "items": [...]}`, its end itself not '
        "in it. By arrival it is given when it is over. With `time`, the time that each item bears "
        "itself, it is given when an item comes that is later than its end by `lateness`, "
        "so the same items give the same windows in every run. Items whose windows were all given "
        "leave by `late`; if nobody reads that, they go no further.\n\n"
        "The items of open windows are kept in memory. Of several replicas each has its own "
        "windows, and by arrival gives them when its next item comes."
    ),
    options=(
        Option(
            name="size",
            types=(OptionType.INTEGER,),
            default=None,
            description="Length of the windows.",
            unit="items",
            minimum=1,
            examples=(1024,),
        ),
        Option(
            name="slide",
            types=(OptionType.INTEGER,),
            default=None,
            description="From the start of a window to that of the next; `size` when left out.",
            unit="items",
            minimum=1,
            examples=(256,),
        ),
        Option(
            name="partial",
            types=(OptionType.BOOLEAN,),
            default=None,
            description="Whether items at the end that no window has make a shorter one: `true`.",
        ),
        Option(
            name="every",
            types=(OptionType.DURATION,),
            default=None,
            description="From the start of a window to that of the next.",
            examples=("1s", "5m"),
        ),
        Option(
            name="span",
            types=(OptionType.DURATION,),
            default=None,
            description="How long a window is; `every` when left out.",
            examples=("1h",),
        ),
        Option(
            name="time",
            types=(OptionType.EXPRESSION,),
            default=None,
            description=(
                "The time of an item, in seconds since 1970 or as a datetime; the time of its "
                "arrival when left out."
            ),
            examples=('item["time"]', 'datetime.datetime.fromisoformat(item["at"])'),
        ),
        Option(
            name="lateness",
            types=(OptionType.DURATION,),
            default=None,
            description="How far behind the latest item another may come and still count: `0s`.",
            examples=("10s",),
        ),
    ),
    keeps_state=True,
    ports=("out", "late"),
    judge=_judge,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 6

  neighbours:
    use: window
    inputs: numbers
    with:
      size: 3
      slide: 2

  by-time:
    use: window
    inputs: numbers
    with:
      every: 4s
      time: "item * 1.5"

  show:
    use: print
    inputs: neighbours

  save:
    use: jsonl.write
    inputs: by-time
    with:
      path: out/windows.jsonl
""",
)
class Window:
    """Hands the items to windows of one of the two kinds.

    Attributes:
        timed: Whether it is to be woken.
    """

    def __init__(
        self,
        size: int | None,
        slide: int | None,
        partial: bool | None,
        every: float | None,
        span: float | None,
        time: Expression | None,
        lateness: float | None,
    ) -> None:
        self._windows: CountWindows | TimeWindows
        if size is not None:
            self._windows = CountWindows(size, slide or size, partial=partial is not False)
            self.timed = False
        else:
            assert every is not None
            self._windows = TimeWindows(every, span or every, time, lateness or 0.0)
            self.timed = time is None

    def __call__(self, item: Any) -> Any:
        return self._windows.add(item)

    def due(self) -> float | None:
        """When a window must leave; see ``Batch.due``."""
        assert isinstance(self._windows, TimeWindows)
        return self._windows.due()

    def tick(self) -> Iterator[Any]:
        """The windows that are due."""
        assert isinstance(self._windows, TimeWindows)
        yield from self._windows.over_by_now()

    def finish(self) -> Iterator[Any]:
        """The windows that are still open."""
        yield from self._windows.rest()


class CountWindows:
    """Windows of so many items."""

    def __init__(self, size: int, slide: int, *, partial: bool) -> None:
        self._size = size
        self._slide = slide
        self._partial = partial
        self._items: list[Any] = []
        self._in_none = 0
        self._leave_out = 0

    def add(self, item: Any) -> list[Any] | None:
        """Take an item; the window that it makes full."""
        if self._leave_out:
            self._leave_out -= 1
            return None
        self._items.append(item)
        self._in_none += 1
        if len(self._items) < self._size:
            return None
        window, self._items = self._items, self._items[self._slide :]
        self._in_none, self._leave_out = 0, max(0, self._slide - self._size)
        return window

    def rest(self) -> Iterator[list[Any]]:
        """A shorter window of what is in none."""
        if self._partial and self._in_none:
            yield self._items


class TimeWindows:
    """Windows of time: number *k* begins at *k* times ``every``. Times are whole microseconds.

    Attributes:
        now: Seconds since 1970.
    """

    now = staticmethod(clock.time)

    def __init__(self, every: float, span: float, time: Expression | None, lateness: float) -> None:
        self._every = max(1, round(every * PER_SECOND))
        self._span = max(1, round(span * PER_SECOND))
        self._time = time
        self._lateness = round(lateness * PER_SECOND)
        self._open: dict[int, list[Any]] = {}
        self._first: int | None = None  # that may still take items
        self._form: Any = 0

    def add(self, item: Any) -> Any:
        """Take an item; the windows that it shows to be over."""
        form = self.now() if self._time is None else self._time(item)
        at = microseconds(form)
        self._form = form
        begins = range((at - self._span) // self._every + 1, at // self._every + 1)
        if self._time is None:
            # The clock may have been put back: then the newest window takes it.
            over = self._over(at)
            self._put(item, begins, at_least=True)
            return over
        if not begins:
            return None  # it falls between two windows
        if self._first is not None and begins[-1] < self._first:
            return Routed("late", item)
        self._put(item, begins, at_least=False)
        return self._over(at - self._lateness)

    def due(self) -> float | None:
        """When the first window that is open ends, on the clock that never goes back."""
        if not self._open:
            return None
        ends = (min(self._open) * self._every + self._span) / PER_SECOND
        return clock.monotonic() + ends - self.now()

    def over_by_now(self) -> Iterator[Any]:
        """The windows that are over."""
        return self._over(microseconds(self.now())) or iter(())

    def rest(self) -> Iterator[Any]:
        """All windows that are open."""
        return iter([self._window(number) for number in sorted(self._open)])

    def _put(self, item: Any, begins: range, *, at_least: bool) -> None:
        numbers = [each for each in begins if self._first is None or each >= self._first]
        if not numbers and at_least and begins and self._first is not None:
            numbers = [self._first]
        for number in numbers:
            self._open.setdefault(number, []).append(item)

    def _over(self, until: int) -> Iterator[Any] | None:
        """The windows that end by then, which are closed; ``None`` if there is none."""
        first = (until - self._span) // self._every + 1
        if self._first is None or first > self._first:
            self._first = first
        over = sorted(number for number in self._open if number < self._first)
        return iter([self._window(number) for number in over]) if over else None

    def _window(self, number: int) -> dict[str, Any]:
        start = number * self._every
        return {
            "start": like(self._form, start),
            "end": like(self._form, start + self._span),
            "items": self._open.pop(number),
        }

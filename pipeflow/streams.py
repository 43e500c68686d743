"""``with pipeflow.stream(path, stage="shrink") as items``: a loop over what a stage gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pipeflow.errors import UsageError
from pipeflow.values import dataclass, field

if TYPE_CHECKING:
    from pipeflow.api import Source
    from pipeflow.executors.streaming import BackgroundRun
    from pipeflow.telemetry.events import Event
    from pipeflow.telemetry.report import Report


class Items(Iterator[Any]):
    """What a stage of a running pipeline gives, item by item.

    Large arrays are views of shared memory, read-only, and stay valid as long as you hold them.
    """

    def __init__(self, run: BackgroundRun) -> None:
        self._run = run

    def __next__(self) -> Any:
        return self._run.take()

    @property
    def report(self) -> Report:
        """The account of the run, once it is over.

        Raises:
            UsageError: It goes on.
        """
        if self._run.report is None:
            raise UsageError("the run goes on: its report is there behind the `with` block")
        return self._run.report

    def close(self) -> None:
        """Need no more: the run ends as when a reader has had enough. Twice is harmless."""
        self._run.close()


@dataclass(slots=True, kw_only=True, eq=False)
class Stream:
    """A pipeline to be read in a loop. Can be pickled, and read many times: each is a run.

    Attributes:
        pipeline: Path of a pipeline file, or its content as a mapping.
        stage: ``stage`` or ``stage.port``; empty: the one stage that nobody reads.
        params: Values of its ``params``.
        sets: Single values to change.
        overlays: Files that are laid over the first.
        seed: Of ``pipeflow.rng``.
        start_timeout_s: Seconds in which each stage must be imported and built; 0: any number.
        start_method: As for ``run``.
        listener: Called with each event as it happens, in a thread of its own.
    """

    pipeline: Source
    stage: str = ""
    params: Mapping[str, object] = field(default_factory=dict)
    sets: Sequence[str] = ()
    overlays: Sequence[Any] = ()
    seed: int = 0
    start_timeout_s: float = 300.0
    start_method: str = ""
    listener: Callable[[Event], None] | None = None
    _open: list[Items] = field(default_factory=list)

    def __enter__(self) -> Items:
        items = self._start()
        self._open.append(items)
        return items

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.pop().close()

    def __iter__(self) -> Iterator[Any]:
        """The items of a run of its own, which ends with the loop."""
        items = self._start()
        try:
            yield from items
        finally:
            items.close()

    def __getstate__(self) -> dict[str, Any]:
        """What tells how to run; what runs stays here."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "_open"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._open = []

    def _start(self) -> Items:
        from pipeflow.api import load
        from pipeflow.executors.base import RunOptions
        from pipeflow.executors.streaming import BackgroundRun
        from pipeflow.planner.looping import with_loop
        from pipeflow.planner.make import make_plan
        from pipeflow.runtime.machine import read_machine

        whole = load(self.pipeline, params=self.params, sets=self.sets, overlays=self.overlays)
        cut, loop = with_loop(whole, self.stage)
        plan = make_plan(cut, read_machine())
        stage = next(each.index for each in plan.stages if each.name == loop)
        (worker,) = plan.workers_of(stage)
        options = RunOptions(
            seed=self.seed,
            start_s=self.start_timeout_s,
            still_s=0.0,  # the caller may take all the time it likes between two items
            start_method=self.start_method,
            signals=False,
            progress_s=0.25 if self.listener else 0.0,
        )
        return Items(BackgroundRun(plan, worker.index, options, self.listener or _unheard))


def _unheard(event: Event) -> None:
    """Stands for a listener where nobody listens."""

"""Pipelines from Python: ``run``, ``load``, ``plan``, ``stream``; the command line uses them.

Workers import this module for ``stream``, so what is heavy is imported where it is used.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from pipeflow.errors import Finding, InvalidPipeline, UsageError, by_place, errors_of
from pipeflow.values import dataclass, field

if TYPE_CHECKING:
    from pipeflow.config.load import Loaded
    from pipeflow.executors.base import Executor
    from pipeflow.planner.plan import Plan
    from pipeflow.spec.pipeline import Pipeline
    from pipeflow.streams import Stream
    from pipeflow.telemetry.events import Event
    from pipeflow.telemetry.report import Report

#: A pipeline file, or what would stand in one.
Source = str | os.PathLike[str] | Mapping[str, Any]

#: A stream function: it comes back as it is.
Function = TypeVar("Function", bound=Callable[..., Any])

#: Executors by the names that people give.
EXECUTORS: Final = ("local", "inline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is laid over a pipeline file before it is read as a whole.

    Attributes:
        params: Values of ``params``, as text.
        sets: ``stages.shrink.replicas=4`` and the like, in order.
        overlays: Further files, each laid over the ones before.
    """

    params: Mapping[str, str] = field(default_factory=dict)
    sets: Sequence[str] = ()
    overlays: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A pipeline file, read and checked as far as it can be without running anything.

    Attributes:
        pipeline: ``None`` when any finding is an error.
        findings: All mistakes and doubts of every phase, sorted by place.
        sources: File name to text, for the line under each finding.
        loaded: What the loader gave, for ``show``.
    """

    pipeline: Pipeline | None
    findings: tuple[Finding, ...]
    sources: Mapping[str, str]
    loaded: Loaded

    def require(self) -> Pipeline:
        """Give the pipeline.

        Raises:
            InvalidPipeline: Any finding is an error, or the file is to get params as a stage of
                another file and has none now.
        """
        if self.pipeline is None:
            raise InvalidPipeline(self.findings, dict(self.sources))
        if self.pipeline.lacking:
            findings = by_place([*self.findings, *self.pipeline.lacking])
            raise InvalidPipeline(findings, dict(self.sources))
        return self.pipeline


def run(
    pipeline: Source,
    *,
    params: Mapping[str, object] | None = None,
    sets: Sequence[str] = (),
    overlays: Sequence[str | os.PathLike[str]] = (),
    executor: str = "local",
    seed: int | None = None,
    grace_s: float = 30.0,
    start_timeout_s: float = 300.0,
    stuck_after_s: float = 60.0,
    start_method: str = "",
    fuse: bool = False,
    listener: Callable[[Event], None] | None = None,
) -> Report:
    """Run a pipeline to its end and give the account of it.

    A run that fails is told by ``report.run.status`` and ``report.errors``, not by an exception.
    In the main thread the first Ctrl-C drains the run, the second stops it; both end with a report.

    Args:
        pipeline: Path of a pipeline file, or its content as a mapping.
        params: Values of its ``params``.
        sets: Single values to change: ``"stages.shrink.replicas=4"``.
        overlays: Files that are laid over the first.
        executor: ``"local"``, a process for each replica, or ``"inline"``, all in this process.
        seed: Of ``pipeflow.rng``; 0 when left out.
        grace_s: Seconds that a source in a blocking call gets when the run is drained; and for
            which nothing may move then.
        start_timeout_s: Seconds in which each stage must be imported and built; 0: any number.
        stuck_after_s: When nothing has moved for so many seconds, log lines say who is where; 0:
            never.
        start_method: ``"fork"``, ``"forkserver"``, ``"spawn"``; empty: the executor's choice.
        fuse: Run neighbouring one-to-one stages in one process.
        listener: Called with each event as it happens, in this thread.

    Raises:
        InvalidPipeline: The file cannot be run as it is written; it has all the mistakes.
        MachineError: A limit of the machine forbids the run.
        UsageError: There is no such executor.
    """
    from pipeflow.executors.base import RunOptions

    runner = make_executor(executor)
    decided = plan(pipeline, params=params, sets=sets, overlays=overlays, fuse=fuse)
    options = RunOptions(
        seed=seed or 0,
        grace_s=grace_s,
        start_s=start_timeout_s,
        still_s=stuck_after_s,
        start_method=start_method,
        # Only the main thread may be interrupted by a signal.
        signals=threading.current_thread() is threading.main_thread(),
        progress_s=0.25 if listener else 0.0,
    )
    return runner.run(decided, options, listener or _unheard)


def load(
    pipeline: Source,
    *,
    params: Mapping[str, object] | None = None,
    sets: Sequence[str] = (),
    overlays: Sequence[str | os.PathLike[str]] = (),
) -> Pipeline:
    """Read a pipeline and check all that can be checked without running it.

    Raises:
        InvalidPipeline: It has mistakes; all of them are in ``findings``.
    """
    settings = Settings(
        params={name: as_text(value) for name, value in (params or {}).items()},
        sets=sets,
        overlays=[os.fspath(overlay) for overlay in overlays],
    )
    return read(pipeline, settings, os.environ).require()


def plan(
    pipeline: Source,
    *,
    params: Mapping[str, object] | None = None,
    sets: Sequence[str] = (),
    overlays: Sequence[str | os.PathLike[str]] = (),
    fuse: bool = False,
) -> Plan:
    """Decide what would run on this machine.

    Raises:
        InvalidPipeline: The file cannot be run as it is written.
        MachineError: A limit of the machine forbids the run.
    """
    from pipeflow.planner.make import make_plan
    from pipeflow.runtime.machine import read_machine

    loaded = load(pipeline, params=params, sets=sets, overlays=overlays)
    return make_plan(loaded, read_machine(), fusion=fuse)


@overload
def stream(target: Function) -> Function: ...
@overload
def stream(
    target: Source,
    *,
    stage: str = "",
    params: Mapping[str, object] | None = None,
    sets: Sequence[str] = (),
    overlays: Sequence[str | os.PathLike[str]] = (),
    seed: int | None = None,
    start_timeout_s: float = 300.0,
    start_method: str = "",
    listener: Callable[[Event], None] | None = None,
) -> Stream: ...
def stream(target: Any, **settings: Any) -> Any:
    """Mark a stream function, or read a running pipeline.

    As a decorator, ``@pipeflow.stream`` says that a function takes the whole stream: an iterator
    over the items, and gives an iterator of results.

    With a path or a mapping it gives what a stage emits while the pipeline runs::

        with pipeflow.stream("photos.yaml", stage="shrink") as items:
            for photo in items:
                ...
        print(items.report.run.status)

    Only what leads to that stage runs, each stage in its own process. Leaving the block early ends
    the run cleanly. A failure of the run is raised by the loop. Ctrl-C ends both. In place of
    ``with`` the whole may be looped over directly; it can be pickled, and each loop is a run.

    Args:
        target: A function; or the path of a pipeline file, or its content as a mapping.
        settings: For a pipeline ``stage`` (``"stage"`` or ``"stage.port"``; may be left out if
            just one stage is read by no other), and ``params``, ``sets``, ``overlays``, ``seed``,
            ``start_timeout_s``, ``start_method``, ``listener`` as for ``run``; the listener is
            called in a thread of its own.

    Raises:
        TypeError: The target is neither.
        InvalidPipeline, MachineError, UsageError: In the ``with`` statement: the pipeline cannot
            be run, or has no such stage.
    """
    if isinstance(target, (str, os.PathLike, Mapping)):
        from pipeflow.streams import Stream

        given = {name: value for name, value in settings.items() if value is not None}
        return Stream(pipeline=target, **given)
    if not callable(target) or settings:
        raise TypeError(
            "pipeflow.stream is written over a function:"
            f" @pipeflow.stream takes no arguments and no {type(target).__name__}"
        )
    from pipeflow.stages.author import stream as mark

    return mark(target)


def read(
    pipeline: Source,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    stdin_text: str | None = None,
    text: str | None = None,
    expect: Callable[[Pipeline], None] | None = None,
) -> Reading:
    """Read a pipeline with all checks of the loader and of the planner, at once.

    Never raises for what a file says, and never imports or runs the user's code.

    Args:
        pipeline: Path, ``"-"`` for ``stdin_text``, or a mapping.
        settings: What is laid over it.
        environ: For ``${env.NAME}``.
        stdin_text: The file's text when its path is ``"-"``.
        text: What stands for the file's content: an editor has not saved it yet.
        expect: Hears of a pipeline that will most likely be run: the loader has found no mistake,
            the planner has not looked yet.
    """
    from pipeflow.config.load import load as load_spec
    from pipeflow.stages.registry import stage_types

    loaded = load_spec(
        pipeline if isinstance(pipeline, Mapping) else os.fspath(pipeline),
        overlays=settings.overlays,
        sets=settings.sets,
        params=settings.params,
        environ=environ,
        stage_types=stage_types(),
        search_path=sys.path,
        stdin_text=stdin_text,
        text=text,
    )
    if expect is not None and loaded.pipeline is not None and loaded.complete:
        expect(loaded.pipeline)
    from pipeflow.planner.checks import check  # loads networkx, which takes a while

    graph = check(loaded.pipeline, complete=loaded.complete) if loaded.pipeline is not None else ()
    if not loaded.complete:
        # What was left out for its mistakes may be all that a doubt rests on.
        graph = errors_of(graph)
    findings = by_place([*loaded.findings, *graph])
    broken = bool(errors_of(findings))
    return Reading(
        pipeline=None if broken or not loaded.complete else loaded.pipeline,
        findings=findings,
        sources=loaded.sources,
        loaded=loaded,
    )


def make_executor(name: str) -> Executor:
    """Give an executor by its name.

    Raises:
        UsageError: There is none of that name.
    """
    match name:
        case "local":
            from pipeflow.executors.local import LocalExecutor

            return LocalExecutor()
        case "inline":
            from pipeflow.executors.inline import InlineExecutor

            return InlineExecutor()
        case "ray":
            raise UsageError("the executor 'ray' comes in a later version; there are local, inline")
        case _:
            raise UsageError(f"there is no executor '{name}'; there are {', '.join(EXECUTORS)}")


def as_text(value: object) -> str:
    """Write a parameter as it would stand after ``--param NAME=``."""
    match value:
        case str():
            return value
        case os.PathLike():
            return str(os.fspath(value))
        case timedelta():
            return f"{value.total_seconds():g}s"
        case _:
            import json  # most parameters are text

            return json.dumps(value, default=str)


def _unheard(event: Event) -> None:
    """Stands for a listener where nobody listens."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pipeflow")
    raise AttributeError(f"module 'pipeflow.api' has no attribute '{name}'")

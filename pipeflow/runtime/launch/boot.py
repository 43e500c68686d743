"""From a new process to a running worker: its environment, its limits, and its orderly end.

Entered after a fork by the launch server (``start``), or as a program in a fresh interpreter
(``main``). The user's main script is never imported again, and nothing here imports more than a
worker needs.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import pickle
import resource
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final, NoReturn

from pipeflow import values
from pipeflow.runtime.framing import frame
from pipeflow.runtime.last_words import leave_last_words
from pipeflow.runtime.launch import image, ties
from pipeflow.runtime.launch.environment import stage_environment
from pipeflow.runtime.messages import EXIT_FAILED, Failed, Failure

if TYPE_CHECKING:
    from pipeflow.runtime.board import Layout
    from pipeflow.runtime.brief import WorkerBrief
    from pipeflow.runtime.flow.wiring import ChannelPlan

#: Added to what the kernel goes by when memory runs out: workers go before their supervisor.
_OOM_SCORE: Final = b"500"

#: Where the classes are of which most workers make a value, or one for each frame. To compile all
#: would take longer than what that spares.
_MADE_BY_MOST: Final = (
    *("pipeflow.runtime.flow.arrivals", "pipeflow.runtime.flow.inbox"),
    *("pipeflow.runtime.flow.inlets", "pipeflow.runtime.flow.targets"),
    *("pipeflow.runtime.flow.units", "pipeflow.runtime.loops.calls"),
    *("pipeflow.runtime.loops.hops", "pipeflow.runtime.spending"),
    *("pipeflow.stages.context", "pipeflow.stages.work", "pipeflow.transports.base"),
)


def preload() -> None:
    """Import what every worker needs, so that forked ones need not; no code of the user's."""
    importlib.import_module("pipeflow.runtime.worker")
    importlib.import_module("traceback")  # for when something fails
    values.complete(*_MADE_BY_MOST)


def start(told: tuple[WorkerBrief, ...], channels: tuple[ChannelPlan, ...], layout: Layout) -> int:
    """Be the worker of a brief: run it and end all that it started.

    Args:
        told: Of several workers that share the process each has a brief, writers before readers.
        channels: All channels of the plan.
        layout: Of the board.

    Returns:
        The exit status; the caller leaves by ``os._exit``, as the process may be a fork.
    """
    try:
        _settle(told[0])
    except (OSError, ValueError) as error:
        _report_refusal(told[0], error)
        return EXIT_FAILED
    if len(told) == 1:
        from pipeflow.runtime.worker import run_worker

        status = run_worker(told[0], channels, layout)
    else:
        from pipeflow.runtime.host import run_workers

        status = run_workers(told, channels, layout)
    finish_process()
    return status


def print_last_words() -> None:
    """Show what ended this process unexpectedly, where the supervisor can see it."""
    import traceback

    traceback.print_exc()
    _flush()


def _settle(brief: WorkerBrief) -> None:
    """Take the place in the machine that the plan gives this worker."""
    worker = brief.plan.workers[brief.worker]
    stage = brief.plan.stages[worker.stage]
    ties.call_myself(stage.name, worker.replica if stage.replicas > 1 else None)
    leave_last_words(brief.words_fd, brief.worker)
    os.environ.update(stage_environment(stage, worker.replica))
    image.adopt(stage.threads)
    _volunteer_for_oom()
    if stage.cpus:
        _bind(stage.cpus)
    if stage.memory is not None:
        # Private writable memory: the shared arrays are mapped shared, and do not count.
        resource.setrlimit(resource.RLIMIT_DATA, (stage.memory, stage.memory))
    if sys.platform != "linux":
        _watch_lifeline(brief.lifeline_fd)


def leave_signals_alone() -> None:
    """In a process of a run the supervisor decides what these mean; its copies have it so, too."""
    # Who prints from a background group may be stopped by its terminal (tostop) unless it says so.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)


def open_standard_streams() -> None:
    """Text streams over the three descriptors, whatever these were and will be.

    A copy of this process has them as well, over what these are by then.
    """
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - open as long as the process
    for name, number in (("stdout", 1), ("stderr", 2)):
        # Line by line: what a stage prints is seen when it is printed, also if it dies next.
        stream = open(  # noqa: SIM115 - open as long as the process
            number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        setattr(sys, name, stream)


def _volunteer_for_oom() -> None:
    try:
        number = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return  # not Linux: it is only a preference
    try:
        os.write(number, _OOM_SCORE)
    except OSError:
        pass  # not allowed
    finally:
        os.close(number)


def _bind(cpus: tuple[int, ...]) -> None:
    if not hasattr(os, "sched_setaffinity"):
        return  # macOS has no such thing
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        raise ValueError(
            f"resources.cpus: this machine does not let it run on processors {list(cpus)}"
            f" ({error.strerror})"
        ) from None


def _watch_lifeline(number: int) -> None:
    """Where the kernel does not tell: end as soon as the supervisor's end of a pipe closes."""

    def watch() -> None:
        os.read(number, 1)  # nothing is ever written: this returns when the other end is gone
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="pipeflow-lifeline").start()


def _report_refusal(brief: WorkerBrief, error: Exception) -> None:
    failure = Failure(phase="run", kind=type(error).__name__, message=str(error))
    os.write(brief.report_fd, frame(Failed(failure)))


def finish_process() -> None:
    """What the interpreter would do at its end; the supervisor bounds the time."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing does: joins
    atexit._run_exitfuncs()  # noqa: SLF001 - likewise
    _flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # closed by the stage, or nobody reads it any more


def main(arguments: list[str]) -> NoReturn:
    """The program of that name: ``FD``, which reads as the pickled plan and briefs."""
    code = 1
    try:
        code = _start_by(int(arguments[0]))
    except BaseException:  # the boundary of the process: it must end, and say why
        print_last_words()
    finally:
        os._exit(code)


def _start_by(number: int) -> int:
    """Be the worker that a descriptor tells of; see ``start``."""
    with open(number, "rb") as file:
        plan, briefs = pickle.load(file)
    from pipeflow.runtime.board import lay_out
    from pipeflow.runtime.brief import unpack
    from pipeflow.runtime.flow.wiring import wire
    from pipeflow.runtime.loading import load_for

    leave_signals_alone()
    open_standard_streams()
    ties.close_on_exec()  # what was handed to us is not for the programs that the stage starts
    told = unpack(briefs, pickle.loads(plan))
    # Armed before the exec as well; said again because a loader with privileges would drop it.
    if not ties.die_with_parent(told[0].supervisor_pid):
        return 1
    load_for(told[0].plan)
    channels = wire(told[0].plan)
    importlib.import_module("pipeflow.runtime.worker")
    gc.freeze()
    gc.enable()
    return start(told, channels, lay_out(told[0].plan, channels))

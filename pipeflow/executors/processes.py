"""One run by processes of this machine: what they share is made, they are started, watched, ended.

Loaded after the launch server was started, which takes as long to come up as this does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from pipeflow.clock import RealClock
from pipeflow.executors.base import Listener, RunOptions
from pipeflow.planner.plan import Plan
from pipeflow.runtime.flow.wiring import wire
from pipeflow.runtime.launch.launcher import Launcher
from pipeflow.runtime.launch.preflight import prepare
from pipeflow.runtime.launch.server_launcher import ServerLauncher, StartMethod
from pipeflow.runtime.launch.standard import open_standard_descriptors
from pipeflow.runtime.launch.wires import Wires
from pipeflow.runtime.reporting import make_report, silence_warnings
from pipeflow.runtime.supervisor import Supervisor
from pipeflow.runtime.watch.signals import SignalPipe, watch_signals
from pipeflow.runtime.watch.terms import Terms
from pipeflow.telemetry.events import RunFinished, RunStarted
from pipeflow.telemetry.report import Report
from pipeflow.values import dataclass

if TYPE_CHECKING:
    from pipeflow.runtime.guest import Guest


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A caller that takes part in its run while it goes on in a thread.

    Attributes:
        guest: The worker that it is.
        started: Called when all workers are there.
        signals: What it says to the run, as signals would.
    """

    guest: Guest
    started: Callable[[], None]
    signals: SignalPipe


def run_processes(
    plan: Plan,
    options: RunOptions,
    listener: Listener,
    launcher: ServerLauncher | None,
    caller: Caller | None = None,
) -> Report:
    """Run a plan to its end.

    Args:
        plan: What to run.
        options: How.
        listener: Hears the events.
        launcher: A launch server that is there already; it is closed when this returns. ``None``:
            it is to be a copy of this process.
        caller: Who reads what it gives, if somebody does.
    """
    channels = wire(plan)
    open_standard_descriptors()
    prepare(plan, channels)
    terms = _terms(plan, options)
    # Left in reverse: first the processes end, then their pipes and memory, then the signals.
    with ExitStack() as made, ExitStack() as stack:
        # While the launch server is still busy.
        wires = made.enter_context(closing(Wires(plan, channels, options.stdout_fd)))
        if launcher is not None:
            launcher.settle()  # before signals are ours: who is tired of waiting may interrupt it
        signals = stack.enter_context(watch_signals(options.signals))
        stack.enter_context(made.pop_all())
        _flush_ours()
        if launcher is None:
            launcher = ServerLauncher(StartMethod.FORK, wires.descriptors())
        stack.callback(launcher.close)
        launcher.lend(wires.descriptors())
        launcher.tell(plan)
        starts: Launcher = launcher
        if caller is not None:
            from pipeflow.runtime.guest import WithGuest  # it loads all that a worker does

            signals = caller.signals
            starts = WithGuest(launcher, caller.guest, channels, caller.started)
            stack.callback(starts.close)
        supervisor = Supervisor(
            plan,
            channels,
            wires=wires,
            launcher=starts,
            signals=signals,
            terms=terms,
            tell=listener,
            clock=RealClock(),
        )
        listener(RunStarted(id=terms.run_id, pipeline=plan.pipeline))
        supervisor.start()
        supervisor.watch()
        end = supervisor.end()
    report = make_report(plan, channels, wires.board, end)
    for line in silence_warnings(plan, report):
        listener(line)
    listener(RunFinished(report=report))
    return report


def _terms(plan: Plan, options: RunOptions) -> Terms:
    return Terms(
        run_id=plan.run_id or os.urandom(6).hex(),
        seed=options.seed,
        grace_s=options.grace_s,
        start_s=options.start_s,
        still_s=options.still_s,
        log_level=options.log_level,
        progress_s=options.progress_s,
    )


def _flush_ours() -> None:
    """What we have not written yet must not be written again by a copy of this process."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed, or there is none

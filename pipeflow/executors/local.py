"""The local executor: every replica of every stage is a process of its own on this machine."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from typing import Final
from uuid import uuid4

from pipeflow.clock import RealClock
from pipeflow.errors import MachineError
from pipeflow.executors.base import Listener, RunOptions
from pipeflow.planner.plan import Plan
from pipeflow.runtime.flow.wiring import wire
from pipeflow.runtime.launch.launcher import ServerLauncher, StartMethod
from pipeflow.runtime.launch.preflight import open_standard_descriptors, prepare
from pipeflow.runtime.launch.wires import Wires
from pipeflow.runtime.reporting import make_report, silence_warnings
from pipeflow.runtime.supervisor import Supervisor
from pipeflow.runtime.watch.signals import watch_signals
from pipeflow.runtime.watch.terms import Terms
from pipeflow.telemetry.events import RunFinished, RunStarted
from pipeflow.telemetry.report import Report

#: Forked from a small process that has one thread and no code of the user's: fast, and safe.
DEFAULT_START_METHOD: Final = StartMethod.FORKSERVER


class LocalExecutor:
    """Runs a plan as processes of this machine; see ``base.Executor``."""

    name = "local"

    def run(self, plan: Plan, options: RunOptions, listener: Listener) -> Report:
        """Run the plan to its end; whatever happens, nothing of the run is left."""
        method = _start_method(options.start_method)
        channels = wire(plan)
        open_standard_descriptors()
        prepare(plan, channels)
        terms = Terms(
            run_id=plan.run_id or uuid4().hex[:12],
            seed=options.seed,
            grace_s=options.grace_s,
            log_level=options.log_level,
            progress_s=options.progress_s,
        )
        # Left in reverse: first the processes end, then their pipes and memory, then the signals.
        with ExitStack() as stack:
            signals = stack.enter_context(watch_signals(options.signals))
            wires = stack.enter_context(closing(Wires(plan, channels, options.stdout_fd)))
            _flush_ours()
            launcher = stack.enter_context(closing(ServerLauncher(method, wires.descriptors())))
            supervisor = Supervisor(
                plan,
                channels,
                wires=wires,
                launcher=launcher,
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


def _start_method(name: str) -> StartMethod:
    if not name:
        return DEFAULT_START_METHOD
    try:
        return StartMethod(name)
    except ValueError:
        known = ", ".join(method.value for method in StartMethod)
        raise MachineError(f"there is no start method '{name}'; there are {known}") from None


def _flush_ours() -> None:
    """What we have not written yet must not be written again by a copy of this process."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed, or there is none

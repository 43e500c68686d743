"""The local executor: every replica of every stage is a process of its own on this machine."""

from __future__ import annotations

import gc
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from pipeflow.errors import MachineError
from pipeflow.runtime.launch import ties
from pipeflow.runtime.launch.server_launcher import ServerLauncher, StartMethod
from pipeflow.runtime.launch.standard import open_standard_descriptors

if TYPE_CHECKING:
    from pipeflow.executors.base import Listener, RunOptions
    from pipeflow.executors.processes import Caller
    from pipeflow.planner.plan import Plan
    from pipeflow.runtime.launch.imports import ImportsOf
    from pipeflow.spec.pipeline import Pipeline
    from pipeflow.telemetry.report import Report

#: Forked from a small process that has one thread and no code of the user's: fast, and safe.
DEFAULT_START_METHOD: Final = StartMethod.FORKSERVER


class LocalExecutor:
    """Runs a plan as processes of this machine; see ``base.Executor``.

    Owns a launch server from ``warm`` to ``run`` or ``close``.
    """

    name = "local"

    def __init__(self) -> None:
        self._warm: ServerLauncher | None = None
        self._is_told = False  # how processes are to be started
        self._prepared: Plan | None = None
        self._read: ImportsOf | None = None

    def warm(self, start_method: str, *, pristine: bool = False) -> None:
        """Start the launch server while there is no plan yet: it takes a while to come up.

        Args:
            start_method: As in ``RunOptions``.
            pristine: This process is a program of ours that has done nothing but load modules of
                ours: the server may be a copy of it.
        """
        method = _start_method(start_method)
        if method is StartMethod.FORK or self._warm is not None:
            return
        open_standard_descriptors()
        self._is_told = bool(start_method)
        copy = pristine and method is StartMethod.FORKSERVER and _may_be_copied()
        if copy:
            gc.freeze()  # the copies share these pages as long as nobody touches them
        self._warm = ServerLauncher(method, copy=copy)

    def expect(self, pipeline: Pipeline) -> None:
        """Begin with the imports that the stages of a pipeline share, before it is planned.

        They are of installed packages only, in a process of their own. Without ``warm`` before it,
        or if a stage is to stand apart, nothing is begun.
        """
        if self._warm is not None and sys.platform == "linux":
            from pipeflow.runtime.launch.sharing import expected_modules, expected_preload

            imports_of = self._imports_of(pipeline.folder)
            preload = expected_preload(pipeline, imports_of, must_share=self._is_told)
            self._warm.expect(expected_modules(pipeline), preload)

    def prepare(self, plan: Plan) -> None:
        """Have what the stages of a plan share imported, while the rest of its run is got ready.

        Once for a plan; ``run`` does it otherwise.
        """
        if self._warm is not None and self._prepared is not plan:
            self._prepared = plan
            if sys.platform == "linux" and self._warm.method is StartMethod.FORKSERVER:
                from pipeflow.runtime.launch.sharing import plan_sharing

                imports_of = self._imports_of(plan.folder)
                self._warm.share(plan_sharing(plan, imports_of, must_share=self._is_told))

    def _imports_of(self, folder: str) -> ImportsOf:
        if self._read is None or self._read.folder != folder:
            from pipeflow.runtime.launch.imports import ImportsOf

            self._read = ImportsOf(folder, sys.path)
        return self._read

    def close(self) -> None:
        """End a launch server that was not needed; twice is harmless."""
        if self._warm is not None:
            self._warm.close(patience_s=0.0)  # it has no worker, and may still be importing
            self._warm = None

    def run(
        self, plan: Plan, options: RunOptions, listener: Listener, caller: Caller | None = None
    ) -> Report:
        """Run the plan to its end; whatever happens, nothing of the run is left.

        Args:
            plan: What to run.
            options: How.
            listener: Hears the events.
            caller: Who reads what the run gives while it goes on in a thread; or nobody.
        """
        self.warm(options.start_method)
        with ExitStack() as stack:
            launcher = self._warm
            if launcher is not None:
                stack.callback(launcher.close)
            self.prepare(plan)
            # The next run gets a server of its own, and what it imports may have changed.
            self._warm = self._prepared = self._read = None
            # Imported while the launch server is busy with what the workers share.
            from pipeflow.executors.processes import run_processes

            return run_processes(plan, options, listener, launcher, caller)


def _may_be_copied() -> bool:
    # Elsewhere the system's own libraries do not survive a fork without an exec.
    return sys.platform == "linux" and ties.threads() == 1


def _start_method(name: str) -> StartMethod:
    if not name:
        return DEFAULT_START_METHOD
    try:
        return StartMethod(name)
    except ValueError:
        known = ", ".join(method.value for method in StartMethod)
        raise MachineError(f"there is no start method '{name}'; there are {known}") from None

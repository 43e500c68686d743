"""A run in a thread of the caller's process, whose results the caller takes one by one.

    caller ── next(), close() ──> guest <════ items ════ workers
      └────── thread: the supervisor, as in any other run

The caller may be in any thread, with an event loop or without: no handler of a signal is touched.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from pipeflow.errors import PipeflowError, StageFailed
from pipeflow.executors.base import Listener, RunOptions
from pipeflow.executors.local import LocalExecutor
from pipeflow.executors.processes import Caller
from pipeflow.planner.plan import Plan
from pipeflow.runtime.guest import Guest
from pipeflow.runtime.watch.signals import SignalPipe
from pipeflow.telemetry.report import ErrorFacts, Report, Status


class BackgroundRun:
    """One run. Owns its thread, and the pipe by which it is asked to end.

    Args:
        plan: What runs.
        worker: Number of the worker that the caller is.
        options: How it runs.
        listener: Hears the events, in that thread.

    Raises:
        MachineError: It could not be started; nothing of it is left.
    """

    def __init__(self, plan: Plan, worker: int, options: RunOptions, listener: Listener) -> None:
        self._guest = Guest(plan, worker)
        self._asked, self._ask = os.pipe()
        os.set_blocking(self._asked, False)
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._told = False
        #: How the run ended; ``None``: it goes on.
        self.report: Report | None = None
        self._thread = threading.Thread(
            target=self._run, args=(plan, options, listener), name="pipeflow-run", daemon=True
        )
        self._thread.start()
        try:
            self._started.wait()
        except BaseException:
            self.close()
            raise
        if self._error is not None:
            self.close()
            raise self._error

    def take(self) -> Any:
        """The next item.

        Raises:
            StopIteration: There is none any more, and the run has succeeded.
            StageFailed: A stage has failed; told once.
            PipeflowError: The run has failed otherwise.
        """
        try:
            return self._guest.take()
        except StopIteration:
            pass  # what follows is no matter of how it was noticed
        self._wait()
        self._raise_failure()
        raise StopIteration

    def close(self) -> None:
        """End the run if it goes on, as if a reader had enough; twice is harmless."""
        self._guest.close()
        self._wait()

    def _run(self, plan: Plan, options: RunOptions, listener: Listener) -> None:
        caller = Caller(
            guest=self._guest, started=self._started.set, signals=SignalPipe(self._asked)
        )
        try:
            self.report = LocalExecutor().run(plan, options, listener, caller)
        except BaseException as error:  # handed to the thread that waits: a boundary
            self._error = error
        finally:
            self._guest.let_go()
            self._started.set()

    def _wait(self) -> None:
        """Until the run is over. Who is tired of waiting stops it, as a second Ctrl-C does."""
        try:
            self._thread.join()
        except BaseException:
            os.write(self._ask, bytes([signal.SIGINT, signal.SIGINT]))
            self._thread.join()
            raise
        finally:
            if not self._thread.is_alive():
                self._close_pipe()

    def _close_pipe(self) -> None:
        for fd in (self._asked, self._ask):
            if fd >= 0:
                os.close(fd)
        self._asked = self._ask = -1

    def _raise_failure(self) -> None:
        if self._told:
            return
        self._told = True
        if self._error is not None:
            raise self._error
        if self.report is not None and self.report.run.status is Status.FAILED:
            raise _failure(self.report.errors)


def _failure(errors: tuple[ErrorFacts, ...]) -> PipeflowError:
    """What has failed, as an exception; with the stage's own traceback, if it has one."""
    if not errors:
        return PipeflowError("the run has failed: its ledger does not balance; see its report")
    first = errors[0]
    if not first.stage:
        return PipeflowError(first.message)
    error = StageFailed(first.stage, first.item, first.type, first.message, first.traceback)
    if first.traceback:
        error.add_note(first.traceback.rstrip())
    return error

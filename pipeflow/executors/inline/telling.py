"""What is told of a run in one process: events as they happen, failures, and the report."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from pipeflow.executors.base import Listener, RunOptions
from pipeflow.executors.inline.edges import Edges
from pipeflow.executors.inline.printed import Printed
from pipeflow.executors.inline.turns import Turn
from pipeflow.planner.plan import Plan
from pipeflow.runtime.account import WorkerRecord
from pipeflow.runtime.board import BUSY_NS
from pipeflow.runtime.messages import Failed, Failure, Logged, WorkerReport
from pipeflow.runtime.progress import events_of, progress
from pipeflow.runtime.reporting import RunEnd, error_facts, make_report, silence_warnings
from pipeflow.runtime.watch.root_cause import Cause
from pipeflow.telemetry import events
from pipeflow.telemetry.report import Report


class Telling:
    """Says what happens, and keeps what has failed. The run begins when this is made.

    Attributes:
        causes: What has failed; the run ends with the first.
        tell: Passes an event on.

    Args:
        plan: Of the run.
        options: How it runs.
        edges: Its edges.
        listener: Hears the report; all else goes by ``printed``.
        printed: What stages print meanwhile.
    """

    def __init__(
        self, plan: Plan, options: RunOptions, edges: Edges, listener: Listener, printed: Printed
    ) -> None:
        self._plan = plan
        self._options = options
        self._edges = edges
        self._listener = listener
        self.tell = printed.tell
        self.causes: list[Cause] = []
        self._started = datetime.now(UTC)
        self._began = time.monotonic()
        self._progress_at = self._began

    def hear(self, turn: Turn, report: WorkerReport) -> None:
        """What a worker would report to its supervisor."""
        for event in events_of(report, turn.stage.name, turn.context.replica):
            self.tell(event)

    def log(self, turn: Turn, line: Logged) -> None:
        """A line of a stage's log, if anybody wants it."""
        if line.is_worth(self._options.log_level):
            self.hear(turn, line)

    def fail(self, turn: Turn | None, failure: Failure) -> None:
        """A replica has failed, or the run as a whole."""
        if turn is not None:
            self.hear(turn, Failed(failure))
        worker = -1 if turn is None else turn.index
        cause = Cause(worker=worker, failure=failure, order=len(self.causes))
        self.causes.append(cause)
        if len(self.causes) == 1:
            self.tell(events.RunFailed(error=error_facts(self._plan, cause)))

    def show_progress(self, turns: Sequence[Turn]) -> None:
        """Say how the run stands, if it is time to."""
        now = time.monotonic()
        if self._options.progress_s and now - self._progress_at >= self._options.progress_s:
            self._progress_at = now
            running = [turn.index for turn in turns if not turn.done]
            self.tell(
                progress(
                    self._plan,
                    self._edges.channels,
                    self._edges.board,
                    elapsed_s=now - self._began,
                    running=running,
                    now_ns=time.monotonic_ns(),
                )
            )

    def report(self, run_id: str, turns: Sequence[Turn], signal: int) -> Report:
        """The account of the whole run, which the listener gets too.

        Args:
            run_id: Id of the run.
            turns: Those of all replicas.
            signal: Number of the signal that interrupted it, or 0.
        """
        usage = resource.getrusage(resource.RUSAGE_SELF)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        end = RunEnd(
            id=run_id,
            executor="inline",
            started=self._started,
            wall_s=time.monotonic() - self._began,
            seed=self._options.seed,
            signal=signal,
            causes=tuple(self.causes),
            records={
                turn.index: WorkerRecord(
                    pid=os.getpid(),
                    cpu_s=turn.row[BUSY_NS] / 1e9,
                    peak_rss_bytes=peak,
                    metrics=dict(turn.context.metrics),
                    torn=not turn.done,
                )
                for turn in turns
            },
        )
        report = make_report(self._plan, self._edges.channels, self._edges.board, end)
        for line in silence_warnings(self._plan, report):
            self._listener(line)
        self._listener(events.RunFinished(report=report))
        return report

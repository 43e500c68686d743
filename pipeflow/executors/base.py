"""What an executor offers: a plan goes in, events come out while it runs, a report at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pipeflow.planner.plan import Plan
from pipeflow.telemetry.events import Event
from pipeflow.telemetry.report import Report
from pipeflow.values import dataclass

#: Called in the main thread, with each event, as it happens.
Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run, as opposed to what.

    Attributes:
        seed: Of ``pipeflow.rng``.
        grace_s: How long a source in a blocking call may take to end when the run is drained; and
            how long nothing may move then before it is stopped.
        start_s: How long a worker may take to be ready; 0: as long as it likes.
        still_s: After how long without any movement to say who is where; 0: never.
        start_method: ``fork``, ``forkserver``, ``spawn``; empty: the executor's choice.
        log_level: Least level of log lines: ``debug``, ``info``, ``warning``, ``error``.
        signals: Whether SIGINT, SIGTERM and SIGHUP drain the run (they are put back afterwards).
        stdout_fd: Where ``print`` and writers to ``-`` write.
        progress_s: Seconds between two ``Progress`` events; 0: none.
    """

    seed: int = 0
    grace_s: float = 30.0
    start_s: float = 300.0
    still_s: float = 60.0
    start_method: str = ""
    log_level: str = "info"
    signals: bool = True
    stdout_fd: int = 1
    progress_s: float = 0.25


class Executor(Protocol):
    """Where a plan runs."""

    name: str

    def run(self, plan: Plan, options: RunOptions, listener: Listener) -> Report:
        """Run the plan to its end.

        A failure of the run is told by the report (``run.status``, ``run.exit_code``, ``errors``),
        not by an exception: whatever happened, the account of it comes back.

        Raises:
            MachineError: The run could not be started; nothing of it is left.
        """
        ...

"""The brief: everything that a new worker process is told, as one pickled value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeflow.planner.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerBrief:
    """What one worker needs to do its part.

    Descriptors are numbers in the worker's own process.

    Attributes:
        plan: The whole plan. worker: Number of this worker in it. attempt: Number of the attempt;
        frames bear it. seed: Of the run. supervisor_pid: Whose death ends this worker. board_fd:
        The board's memory. arena: Handle of the shared arrays, as ``Arena.attach`` takes it.
        channels: Number of the channel to the transport's picklable ends of it; only those that
        this
            worker reads or writes.
        bells: Number of a worker to the descriptors of its bell; its own and those of the workers
            that it reads from.
        mail_bells: The same for the bells of mailboxes (``drop_*`` edges).
        report_fd: Where reports are written.
        lifeline_fd: Reads as ended when the supervisor is gone.
        stdout_fd: Standard output of the command, for ``print``; -1 when the stage may not use it.
        print_fd: Where it prints, if it shares its process and so cannot own the standard output;
            else -1.
        log_level: Least level of log lines.
    """

    plan: Plan
    worker: int
    attempt: int
    seed: int
    supervisor_pid: int
    board_fd: int
    arena: Any
    channels: Mapping[int, Any] = field(default_factory=dict)
    bells: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    mail_bells: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    report_fd: int
    lifeline_fd: int
    stdout_fd: int
    print_fd: int = -1
    log_level: str = "info"

"""What the supervisor knows of one worker."""

from __future__ import annotations

import os

from pipeflow.planner.plan import WorkerPlan
from pipeflow.runtime.account import WorkerRecord
from pipeflow.runtime.framing import Unframing
from pipeflow.runtime.launch.messages import Exited
from pipeflow.runtime.machine import is_asleep, is_stopped
from pipeflow.runtime.messages import Finished
from pipeflow.runtime.watch.lifecycle import ENDED, Happening, Life, move
from pipeflow.runtime.watch.printed import Lines
from pipeflow.telemetry.events import LogLine
from pipeflow.transports.shm import PoolUsage
from pipeflow.values import dataclass, field


@dataclass(slots=True, kw_only=True)
class Watched:
    """One worker from its start to its end.

    Attributes:
        plan: Which worker it is.
        stage: Name of its stage.
        is_source: It reads no edges, so a drain stops it.
        alone: No other worker shares its process.
        isolated: Its code runs in a process beside its own.
        life: Where it is in its life; ``see`` moves it.
        pid: Of the process that runs the user's code; 0 before it exists.
        own_pid: Of the worker's own process, which may leave that to another; 0 before it exists.
        runs_code: That process has run, or runs, the user's code.
        reports: Cuts what it reports.
        lines: Cuts what it prints.
        finished: What it said when it was done.
        exited: How its process ended.
        ended_ns: When that was seen, by the workers' own clock.
        excused: It was ended, or lost its input, because nobody needed its results.
        turns: Its turns when it was last found to be needed no more.
    """

    plan: WorkerPlan
    stage: str
    is_source: bool
    alone: bool = True
    isolated: bool = False
    life: Life = Life.STARTING
    pid: int = 0
    own_pid: int = 0
    runs_code: bool = False
    reports: Unframing = field(default_factory=Unframing)
    lines: Lines = field(default_factory=Lines)
    finished: Finished | None = None
    exited: Exited | None = None
    ended_ns: int = 0
    excused: bool = False
    turns: int = -1

    @property
    def ended(self) -> bool:
        """Whether no process of it is left."""
        return self.life in ENDED

    @property
    def at_work(self) -> bool:
        """Whether it neither said that it is done nor was told to end."""
        return self.life in {Life.STARTING, Life.RUNNING}

    @property
    def asleep(self) -> bool:
        """Whether its processes sleep, so that nothing has come that could wake them.

        A guest is in our own process, which is awake whenever we ask.
        """
        return all(map(is_asleep, self._pids()))

    @property
    def stopped(self) -> int:
        """Pid of a process of it that was stopped by a signal; 0: none was."""
        return next(filter(is_stopped, self._pids()), 0)

    def see(self, happening: Happening) -> Life:
        """Note what happened; the new state."""
        self.life = move(self.life, happening)
        return self.life

    def line(self, level: str, text: str) -> LogLine:
        """A line of the log that it wrote, or that is about it."""
        return LogLine(stage=self.stage, replica=self.plan.replica, level=level, text=text)

    def record(self, pool: PoolUsage) -> WorkerRecord:
        """What the report needs to know of it, and of its pool."""
        ends = [self.finished, self.exited]
        if self.finished is not None and not self.alone:
            ends.pop()  # that of the process is not its own; it has told what it used
        cpu = [report.cpu_s for report in ends if report is not None]
        rss = [each.peak_rss_bytes for each in (self.finished, self.exited) if each is not None]
        return WorkerRecord(
            pid=self.pid,
            cpu_s=round(max(cpu, default=0.0), 6),
            peak_rss_bytes=max(rss, default=0),
            slots=pool.slots,
            slot_waits=pool.waits,
            metrics=self.finished.metrics if self.finished is not None else {},
            torn=self.life is not Life.DONE,
            cut=self.excused,
            ended_ns=self.ended_ns,
        )

    def _pids(self) -> set[int]:
        return {self.own_pid, self.pid} - {0, os.getpid()}

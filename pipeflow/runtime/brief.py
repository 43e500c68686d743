"""The brief: everything that a new worker process is told, as pickled values.

The plan, which may be long, is the same in all briefs: it travels once, and the workers share it.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any

from pipeflow.planner.plan import Plan
from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedHandles:
    """Descriptors by which a process reaches the state that stages share.

    Attributes:
        memory: Who holds which lock, values and arrays.
        locks: The file whose bytes are the locks.
        door: The workers' end of the door of the manager process; -1: there is none.
    """

    memory: int
    locks: int
    door: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerBrief:
    """What one worker needs to do its part.

    Descriptors are numbers in the worker's own process.

    Attributes:
        plan: The whole plan.
        worker: Number of this worker in it.
        attempt: Number of the attempt; frames bear it.
        seed: Of the run.
        supervisor_pid: Whose death ends this worker.
        board_fd: The board's memory.
        arena: Handle of the shared arrays, as ``Arena.attach`` takes it.
        channels: Number of the channel to the transport's picklable ends of it; only those that
            this worker reads or writes.
        bells: Number of a worker to the descriptors of its bell; its own and those of the workers
            that it reads from.
        mail_bells: The same for the bells of mailboxes (``drop_*`` edges).
        report_fd: Where reports are written.
        words_fd: Where its stack goes when a signal ends it (``last_words``).
        lifeline_fd: Reads as ended when the supervisor is gone.
        stdout_fd: Standard output of the command, for ``print``; -1 when the stage may not use it.
        print_fd: Where it prints, if it shares its process and so cannot own the standard output;
            else -1.
        shared: How it reaches shared state; ``None``: its stage uses none.
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
    words_fd: int
    lifeline_fd: int
    stdout_fd: int
    print_fd: int = -1
    shared: SharedHandles | None = None
    log_level: str = "info"


def pack(briefs: tuple[WorkerBrief, ...]) -> bytes:
    """The briefs of one process as bytes; without the plan."""
    buffer = io.BytesIO()
    _Packer(buffer, briefs[0].plan).dump(briefs)
    return buffer.getvalue()


def unpack(data: bytes, plan: Plan) -> tuple[WorkerBrief, ...]:
    """The briefs again, with the plan in its place."""
    briefs: tuple[WorkerBrief, ...] = _Unpacker(io.BytesIO(data), plan).load()
    return briefs


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, plan: Plan) -> None:
        super().__init__(file, protocol=5)
        self._plan = plan

    def persistent_id(self, obj: object) -> str | None:
        return "plan" if obj is self._plan else None


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, plan: Plan) -> None:
        super().__init__(file)
        self._plan = plan

    def persistent_load(self, _pid: object) -> Plan:
        return self._plan

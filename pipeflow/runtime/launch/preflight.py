"""What a run needs of the limits of the machine, checked before the first process starts."""

from __future__ import annotations

import os
import resource

from pipeflow.errors import MachineError
from pipeflow.planner.plan import Plan
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.machine import free_processes
from pipeflow.transports.base import Kind
from pipeflow.values import dataclass

#: Descriptors that the interpreter, the terminal and our own loop have open beside the run's.
_SPARE_DESCRIPTORS = 32

#: The launch server; the workers come on top.
_OWN_PROCESSES = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a run takes from the machine.

    Attributes:
        processes: In all.
        descriptors: In the supervisor, which has every end open while it starts the workers.
    """

    processes: int
    descriptors: int


def needs(plan: Plan, channels: tuple[ChannelPlan, ...]) -> Needs:
    """Count what a run takes."""
    ends = sum(2 for channel in channels if channel.spec.kind in {Kind.PIPE, Kind.QUEUE})
    # Two ends each of the reports and of what it prints, a bell, maybe one for a mailbox.
    each_worker = 2 + 2 + 1 + 1
    # Memory, locks, and the two ends of the manager's door.
    shared = 4 if plan.shared else 0
    return Needs(
        processes=plan.processes + _OWN_PROCESSES,
        descriptors=ends + each_worker * len(plan.workers) + shared + _SPARE_DESCRIPTORS,
    )


def refusal(needed: Needs, *, free: int | None, hard_descriptors: int) -> str:
    """Say which limit forbids the run, what it needs, what there is, and the remedy; or nothing.

    Args:
        needed: What the run takes.
        free: Processes that may still be started; ``None``: any number.
        hard_descriptors: The hard limit of open files.
    """
    if free is not None and needed.processes > free:
        return (
            f"the run needs {needed.processes} processes, and only {free} more may be started"
            " (`ulimit -u`, or pids.max of the control group): lower replicas, or raise the limit"
        )
    if needed.descriptors > hard_descriptors:
        return (
            f"the run needs {needed.descriptors} open files, and the hard limit is"
            f" {hard_descriptors} (`ulimit -Hn`): lower replicas, use `transport: queue`,"
            " or raise the limit"
        )
    return ""


def prepare(plan: Plan, channels: tuple[ChannelPlan, ...]) -> None:
    """Check the limits and raise the soft one of open files as far as the run needs.

    Raises:
        MachineError: A limit forbids the run; nothing was started.
    """
    needed = needs(plan, channels)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 2**20 if hard == resource.RLIM_INFINITY else hard
    problem = refusal(needed, free=free_processes(), hard_descriptors=most)
    if problem:
        raise MachineError(problem)
    if soft != resource.RLIM_INFINITY and soft < needed.descriptors + _open_now():
        wanted = min(most, needed.descriptors + _open_now())
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _open_now() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a process is no tree of files
    except OSError:  # not Linux
        return 64

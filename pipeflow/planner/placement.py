"""Placement: how many workers a stage gets, and whether all of them fit."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.errors import Finding, MachineError
from pipeflow.planner.graph import Network
from pipeflow.planner.joins import Zips, one_worker_each
from pipeflow.planner.pairing import tells_superseded
from pipeflow.planner.plan import Machine
from pipeflow.planner.shared import manager_count
from pipeflow.planner.traits import wanted_replicas
from pipeflow.spec.pipeline import Pipeline

#: Processes of a run beside its workers: the supervisor's own helpers (a fork server, a reaper).
HELPER_PROCESSES = 2
#: Open files of the supervisor and of a plain Python process, as an upper bound.
BASE_DESCRIPTORS = 64
#: Ends that the supervisor holds for each worker: reports, prints, bell, sentinel, brief.
DESCRIPTORS_PER_WORKER = 10


def place(network: Network, zips: Zips, cores: int) -> Mapping[str, int]:
    """Replicas of each stage: as asked for, or an even share of the cores for ``auto``.

    The cores are divided among the stages that say ``auto`` and can have several workers; each
    gets at least one.
    """
    wanted = {name: wanted_replicas(stage) for name, stage in network.stages.items()}
    for name, zip_ in zips.by_stage.items():
        if zip_.split is None and not one_worker_each(network, zips, network.stages[name]):
            # An explicit number was refused by ``checks``; what is left is auto and defaults.
            wanted[name] = 1
    for name, stage in network.stages.items():
        if tells_superseded(network, stage):
            wanted[name] = 1  # likewise
    share = auto_share(sum(number is None for number in wanted.values()), cores)
    return {name: share if number is None else number for name, number in wanted.items()}


def auto_share(stages: int, cores: int) -> int:
    """Workers of a stage that says ``auto`` when so many stages do."""
    return max(1, cores // max(1, stages))


def auto_notes(network: Network, replicas: Mapping[str, int], cores: int) -> tuple[str, ...]:
    """A sentence for each stage that says ``auto``."""
    return tuple(
        f"replicas of '{name}': auto = {replicas[name]} of {cores} cores (affinity and cgroup)"
        + ("" if wanted_replicas(stage) is None else "; it cannot have more than one")
        for name, stage in network.stages.items()
        if stage.replicas is None
    )


def threads_for(workers: int, cores: int) -> int:
    """Threads of BLAS and OpenMP for each worker that are left when all compute at once."""
    return max(1, cores // max(1, workers))


def process_findings(pipeline: Pipeline, processes: int) -> tuple[Finding, ...]:
    """Whether the run keeps to ``limits.processes``."""
    limit = pipeline.limits.processes
    if limit is None or processes <= limit:
        return ()
    manager = " (one of them the manager of `shared`)" if manager_count(pipeline) else ""
    finding = Finding(
        at=pipeline.limits.processes_at or pipeline.limits_at,
        code="too-many-processes",
        problem=f"this pipeline needs {processes} worker processes{manager}, and limits.processes "
        f"is {limit}",
        hint=f"raise `processes` to {processes}, or lower `replicas`",
    )
    return (finding,)


def check_machine(machine: Machine, *, workers: int, descriptors: int) -> None:
    """See that the machine lets the run start.

    Raises:
        MachineError: Too many processes (``ulimit -u``, the cgroup) or open files (``ulimit -n``).
    """
    processes = workers + HELPER_PROCESSES
    if machine.processes is not None and processes > machine.processes:
        raise MachineError(
            f"the run needs {processes} processes ({workers} workers and {HELPER_PROCESSES} beside "
            f"them), and {machine.processes} may still be started (ulimit -u, cgroup pids.max): "
            "lower `replicas`, or raise the limit"
        )
    if descriptors > machine.descriptors:
        raise MachineError(
            f"the run needs up to {descriptors} open files in one process, and the limit is "
            f"{machine.descriptors} (ulimit -n): lower `replicas`, write `transport: queue` at "
            "edges between stages with many replicas, or raise the limit"
        )


def descriptors_for(workers: int, channels: int) -> int:
    """Open files that one process of the run needs at most: the supervisor makes every end."""
    return BASE_DESCRIPTORS + DESCRIPTORS_PER_WORKER * workers + 2 * channels

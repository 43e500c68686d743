"""Makes the systems of a workload: a pipeline file, or a baseline, and how its notes are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.model import Kind, Metrics, System
from tests.benchmarks.peers.needed import DRIVEN
from tests.benchmarks.programs import Ended, confined_to, run_baseline, run_pipeflow

#: Checks what the stages wrote into a folder, and gives the metrics.
Read = Callable[[Path, Ended], Metrics]
#: Makes in the folder what the stages expect there.
Prepare = Callable[[Path], object]


def ours(
    name: str,
    pipeline: str,
    params: Mapping[str, object],
    read: Read,
    *,
    options: Sequence[str] = (),
    prepare: Prepare | None = None,
    cpus: int = 0,
) -> System:
    """Make a system that is ``pipeflow run``.

    Args:
        name: Of the row.
        pipeline: File in ``pipelines/``.
        params: Its params, without ``folder``.
        read: Gives the metrics.
        options: Further options, which this version need not know.
        prepare: Called before the run.
        cpus: How many it may use; all when 0.
    """

    def measure(folder: Path) -> Metrics:
        if prepare is not None:
            prepare(folder)
        with confined_to(cpus):
            ended = run_pipeflow(pipeline, {**params, "folder": folder}, options)
        return read(folder, ended)

    return System(name=name, kind=Kind.OURS, measure=measure)


def other(
    name: str,
    target: str,
    job: str,
    params: Mapping[str, object],
    read: Read,
    *,
    kind: Kind = Kind.HAND,
    prepare: Prepare | None = None,
) -> System:
    """Make a system that is a baseline, a limit or a peer.

    Args:
        name: Of the row.
        target: ``module:function`` in ``tests/benchmarks/``.
        job: Function in ``jobs.py``.
        params: Its arguments, without ``folder``.
        read: Gives the metrics.
        kind: What it is.
        prepare: Called before the run.
    """

    def measure(folder: Path) -> Metrics:
        if prepare is not None:
            prepare(folder)
        return read(folder, run_baseline(target, job, {**params, "folder": str(folder)}))

    return System(name=name, kind=kind, measure=measure)


def peers(job: str, params: Mapping[str, object], read: Read) -> tuple[System, ...]:
    """Make the systems of all peers that there is a driver for."""
    return tuple(
        other(name, f"peers.{name}_driver:run", job, params, read, kind=Kind.PEER)
        for name in DRIVEN
    )

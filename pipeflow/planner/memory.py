"""Memory: what shared arrays may take in all, and how the edges share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeflow.errors import Finding, MachineError, Severity
from pipeflow.planner.graph import Network
from pipeflow.planner.plan import Machine
from pipeflow.planner.shared import shared_bytes
from pipeflow.spec.pipeline import Edge, Pipeline
from pipeflow.spec.policies import DEFAULT_CAPACITY_BYTES
from pipeflow.values import dataclass

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one edge asks for.

    Attributes:
        edge: The edge.
        reader: Name of the stage that reads it.
        replicas: Of that stage; the bound holds for each of them.
    """

    edge: Edge
    reader: str
    replicas: int

    @property
    def asked(self) -> int:
        """Bytes for each reading replica, as asked for."""
        return self.edge.capacity.bytes or DEFAULT_CAPACITY_BYTES

    @property
    def explicit(self) -> bool:
        """Whether the file names the number."""
        return self.edge.capacity.bytes is not None

    @property
    def least(self) -> int:
        """Bytes for each reading replica below which the planner does not go."""
        return min(self.asked, MIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What was decided.

    Attributes:
        memory: Bytes that shared arrays may take in all.
        capacities: Bytes for each reading replica, one for each demand.
        findings: An error when ``limits.memory`` is too small, and then there are no capacities;
            warnings for explicit bounds that had to be lowered and a limit above what is free.
    """

    memory: int
    capacities: tuple[int, ...]
    findings: tuple[Finding, ...] = ()


def share_memory(pipeline: Pipeline, demands: Sequence[Demand], machine: Machine) -> Budget:
    """Bound the bytes of every edge so that all together stay below the memory of the run.

    Bounds by default leave half of it to what stages hold and work on; explicit ones may take all.

    Returns:
        The memory, a bound for each demand, and findings; one of them is an error when
        ``limits.memory`` is too small.

    Raises:
        MachineError: No limit is given, and the machine has not 1 MiB for an item on each edge.
    """
    limit = pipeline.limits.memory
    state = shared_bytes(pipeline)
    memory = (machine.memory // 2 if limit is None else min(limit, machine.memory)) - state
    too_small = limit_findings(pipeline, demands)
    if too_small:
        return Budget(memory=memory, capacities=(), findings=too_small)
    least = least_bytes(demands)
    if least > memory:
        raise MachineError(
            f"the edges need {size(least)} for one item of 1 MiB each{_beside(state)}, and "
            f"{size(max(0, memory + state))} may be used  "
            "(half of what is free where limits.memory is not given): lower `replicas`, or "
            "make room"
        )
    capacities = _level(demands, memory // 2, [d.asked for d in demands], explicit=False)
    capacities = _level(demands, memory, capacities, explicit=True)
    return Budget(
        memory=memory,
        capacities=tuple(capacities),
        findings=(*_limit_above_free(pipeline, memory + state), *_lowered(demands, capacities)),
    )


def least_bytes(demands: Sequence[Demand]) -> int:
    """Bytes below which the edges together cannot be bounded: one item each."""
    return sum(demand.least * demand.replicas for demand in demands)


def limit_findings(pipeline: Pipeline, demands: Sequence[Demand]) -> tuple[Finding, ...]:
    """Whether ``limits.memory`` has room for one item on each edge."""
    limit, least, state = pipeline.limits.memory, least_bytes(demands), shared_bytes(pipeline)
    if limit is None or least + state <= limit:
        return ()
    finding = Finding(
        at=pipeline.limits.memory_at or pipeline.limits_at,
        code="memory-limit",
        problem=f"the edges need {size(least)} for one item of 1 MiB each{_beside(state)}, and "
        f"limits.memory is {size(limit)}",
        hint=f"raise `memory` to {size(least + state)} or more, or lower `replicas`",
    )
    return (finding,)


def _beside(state: int) -> str:
    return f", `shared` takes {size(state)} beside them" if state else ""


def demands_of(network: Network, replicas: Mapping[str, int]) -> tuple[Demand, ...]:
    """What the edges ask for, in the order of the file."""
    return tuple(
        Demand(edge=edge, reader=stage.name, replicas=replicas[stage.name])
        for stage in network.stages.values()
        for edge in stage.edges
    )


def _level(
    demands: Sequence[Demand], memory: int, capacities: list[int], *, explicit: bool
) -> list[int]:
    """Cut what is above one common level, found so that the sum fits, never below the least."""

    def cut(level: int) -> list[int]:
        return [
            max(demand.least, min(bound, level)) if explicit or not demand.explicit else bound
            for demand, bound in zip(demands, capacities, strict=True)
        ]

    low, high = 0, max(capacities, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if total(demands, cut(middle)) <= memory:
            low = middle
        else:
            high = middle - 1
    return cut(low)


def total(demands: Sequence[Demand], capacities: Sequence[int]) -> int:
    """Bytes of all edges together when all are full."""
    return sum(bound * demand.replicas for demand, bound in zip(demands, capacities, strict=True))


def _limit_above_free(pipeline: Pipeline, memory: int) -> tuple[Finding, ...]:
    limit = pipeline.limits.memory
    if limit is None or limit <= memory:
        return ()
    finding = Finding(
        at=pipeline.limits.memory_at or pipeline.limits_at,
        code="memory-above-free",
        problem=f"limits.memory is {size(limit)}, and only {size(memory)} are free here",
        hint="the run keeps to what is free",
        severity=Severity.WARNING,
    )
    return (finding,)


def _lowered(demands: Sequence[Demand], capacities: Sequence[int]) -> list[Finding]:
    return [
        Finding(
            at=demand.edge.at,
            code="capacity-lowered",
            problem=f"capacity of the edge from '{demand.edge.source}' to '{demand.reader}' is "
            f"lowered from {size(demand.asked)} to {size(bound)}, so that all fit in limits.memory",
            hint="raise limits.memory, or lower the capacities",
            severity=Severity.WARNING,
            length=len(str(demand.edge.source)),
        )
        for demand, bound in zip(demands, capacities, strict=True)
        if demand.explicit and bound < demand.asked
    ]


def size(number: int) -> str:
    """Bytes for people: ``64 MiB``, ``1.5 GiB``, ``900 bytes``."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= unit:
            return f"{number / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{number} bytes"

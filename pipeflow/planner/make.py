"""Make: a pipeline and the facts of a machine become a plan; the steps in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from pipeflow.errors import Finding, InvalidPipeline, UsageError, by_place, errors_of
from pipeflow.planner.channels import Way, channels_of, find_ways, transport_for
from pipeflow.planner.checks import check
from pipeflow.planner.crowding import crowding_notes
from pipeflow.planner.expand import expand
from pipeflow.planner.files import not_run_alone
from pipeflow.planner.fusion import fuse
from pipeflow.planner.graph import Network, network, without_disabled
from pipeflow.planner.joins import find_zips
from pipeflow.planner.listing import listed
from pipeflow.planner.memory import Budget, demands_of, share_memory
from pipeflow.planner.numbering import Units, number, order_notes
from pipeflow.planner.order import levels, start_order, stop_order
from pipeflow.planner.pairing import pairing_of
from pipeflow.planner.placement import (
    auto_notes,
    check_machine,
    descriptors_for,
    place,
    process_findings,
    threads_for,
)
from pipeflow.planner.plan import (
    EdgePlan,
    Join,
    Machine,
    Numbering,
    Plan,
    Route,
    StagePlan,
    WorkerPlan,
)
from pipeflow.planner.shared import manager_count, used_by, with_stages
from pipeflow.planner.traits import (
    LIVE,
    has_one_beside,
    is_isolated,
    joins_by_key,
    keeps_state,
    may_be_live,
    ports_of,
    reads_stdin,
    shape_of,
    without_letters,
)
from pipeflow.spec.pipeline import Call, Edge, Pipeline, Stage, Use
from pipeflow.spec.policies import DEFAULT_CAPACITY_ITEMS, ByKey, KeyedInputs
from pipeflow.spec.ports import ERRORS
from pipeflow.spec.program import Program
from pipeflow.spec.shapes import Role
from pipeflow.suggest import did_you_mean
from pipeflow.values import replace

#: Lanes that a reader tells apart; merges of replicated merges double them each time.
MOST_LANES = 1024


def make_plan(pipeline: Pipeline, machine: Machine, *, fusion: bool = False) -> Plan:
    """Decide everything that a run needs to know; same file and same machine, same plan.

    Args:
        pipeline: What the user asks for.
        machine: What there is.
        fusion: Whether neighbouring one-to-one stages share a process.

    Raises:
        InvalidPipeline: The file is wrong, or asks for more than its own limits allow; it bears all
            findings, warnings too.
        MachineError: The machine does not allow so many processes, open files or so much memory.
    """
    findings = _without_errors(check(pipeline), not_run_alone(pipeline))
    pipeline = expand(pipeline).pipeline
    trimmed = without_disabled(pipeline)
    running = network(trimmed.pipeline)
    zips = find_zips(running)
    replicas = place(running, zips, machine.cores)
    workers = sum(replicas.values())
    processes = _count_processes(running, replicas) + manager_count(trimmed.pipeline)
    units = number(running, zips, replicas)
    ways = find_ways(running, zips, units, replicas)
    budget = share_memory(trimmed.pipeline, demands_of(running, replicas), machine)
    findings = _without_errors(
        findings,
        budget.findings,
        process_findings(pipeline, processes),
        _lane_findings(running, units),
    )
    edges = _edges(running, units, ways, budget, replicas)
    descriptors = descriptors_for(workers, _count_channels(edges, replicas, units))
    check_machine(machine, workers=processes, descriptors=descriptors)
    place_of = {name: index for index, name in enumerate(running.stages)}
    plan = Plan(
        pipeline=pipeline.name,
        file=pipeline.file,
        folder=pipeline.folder,
        run_id=pipeline.run_id,
        stages=_stages(running, replicas, units, edges, threads_for(workers, machine.cores)),
        edges=edges,
        workers=_workers(tuple(replicas.values())),
        start_order=tuple(place_of[name] for name in start_order(running.graph)),
        stop_order=tuple(place_of[name] for name in stop_order(running.graph)),
        shared=used_by(pipeline, running.stages.values()),
        parameters=pipeline.parameters,
        secrets=pipeline.secrets,
        cores=machine.cores,
        memory=budget.memory,
        descriptors=descriptors,
        warnings=findings,
        notes=(
            *trimmed.notes,
            *auto_notes(running, replicas, machine.cores),
            *order_notes(running, units, replicas),
            *_capacity_notes(running, ways, replicas),
        ),
    )
    decided = fuse(plan) if fusion else plan
    return replace(decided, notes=(*decided.notes, *crowding_notes(decided)))


def _without_errors(*findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """All findings by their places: none but warnings.

    Raises:
        InvalidPipeline: One of them is a mistake.
    """
    sorted_by_place = by_place(chain(*findings))
    if errors_of(sorted_by_place):
        raise InvalidPipeline(sorted_by_place)
    return sorted_by_place


def _count_processes(running: Network, replicas: Mapping[str, int]) -> int:
    """The processes of all workers, and those that they have beside them."""
    beside = [name for name, stage in running.stages.items() if has_one_beside(stage)]
    return sum(replicas.values()) + sum(replicas[name] for name in beside)


def only_to(pipeline: Pipeline, stage: str, *, with_letters: bool = False) -> Pipeline:
    """The part of a pipeline that leads to one stage, that stage included.

    Dead letters whose reader is left out are skipped instead.

    Args:
        pipeline: The whole.
        stage: Name of the stage.
        with_letters: Its own dead letters get another reader, so they stay.

    Raises:
        UsageError: There is no such stage, or it is disabled.
    """
    running = without_disabled(expand(pipeline).pipeline).pipeline
    names = [each.name for each in running.stages]
    if stage not in names:
        raise UsageError(_no_such_stage(pipeline, stage, names))
    kept = _leading_to(stage, running)
    stages = tuple(each for each in running.stages if each.name in kept)
    read = {edge.source for each in stages for edge in each.edges}
    # Tests speak of the whole file.
    stages = tuple(
        each if with_letters and each.name == stage else without_letters(each, read)
        for each in stages
    )
    return replace(with_stages(running, _deciding(stages)), tests=())


def _deciding(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Where nobody is left but who reads dead letters, the stage runs for him."""
    read = {edge.source for stage in stages for edge in stage.edges}
    needed = {port.stage for port in read if port.port != ERRORS}
    return tuple(
        replace(
            stage,
            edges=tuple(
                replace(edge, decides=True)
                if edge.source.port == ERRORS and edge.source.stage not in needed
                else edge
                for edge in stage.edges
            ),
        )
        for stage in stages
    )


def _leading_to(stage: str, pipeline: Pipeline) -> set[str]:
    """Names found by walking the edges backwards; edges to nowhere are for ``check`` to report."""
    stages = {each.name: each for each in pipeline.stages}
    found: set[str] = set()
    waiting = [stage]
    while waiting:
        name = waiting.pop()
        if name in stages and name not in found:
            found.add(name)
            waiting.extend(edge.source.stage for edge in stages[name].edges)
    return found


def _no_such_stage(pipeline: Pipeline, stage: str, names: Sequence[str]) -> str:
    if any(each.name == stage for each in pipeline.stages):
        return f"stage '{stage}' is taken out by `enabled: false`"
    near = did_you_mean(stage, names)
    if near:
        return f"no stage has the name '{stage}'; did you mean '{near}'?"
    return f"no stage has the name '{stage}'; the stages are: {listed(names)}"


def _lane_findings(running: Network, units: Mapping[str, Units]) -> list[Finding]:
    return [
        Finding(
            at=running.stages[name].at,
            code="too-many-lanes",
            problem=f"stage '{name}' would keep the order of {unit.lanes_in} merged streams apart; "
            f"the most is {MOST_LANES}",
            hint="replicas keep the inputs of merges above them apart: "
            "`replicas: 1` in one of these stages makes one stream of them",
            length=len(name),
        )
        for name, unit in units.items()
        if unit.lanes_in > MOST_LANES
    ]


def _edges(
    running: Network,
    units: Mapping[str, Units],
    ways: Mapping[str, tuple[Way, ...]],
    budget: Budget,
    replicas: Mapping[str, int],
) -> tuple[EdgePlan, ...]:
    """All edges in the order of the file, which is also the order of the memory demands."""
    place_of = {name: index for index, name in enumerate(running.stages)}
    edges: list[EdgePlan] = []
    for target, stage in enumerate(running.stages.values()):
        lane_base = 0
        for edge, way in zip(stage.edges, ways[stage.name], strict=True):
            lanes = units[edge.source.stage].lanes_out
            edges.append(
                EdgePlan(
                    index=len(edges),
                    source=place_of[edge.source.stage],
                    port=edge.source.port,
                    target=target,
                    input=edge.input,
                    transport=transport_for(edge.transport, way.route),
                    capacity_items=_capacity(edge, stage, _feeders(edge, way, replicas)),
                    capacity_bytes=budget.capacities[len(edges)],
                    overflow=edge.overflow,
                    arrays=edge.arrays,
                    route=way.route,
                    key=_key(stage, edge, way.route),
                    parts=way.parts,
                    recounted=way.recounted,
                    lanes=lanes,
                    lane_base=lane_base,
                    ordered=way.ordered,
                    decides=edge.decides,
                    at=edge.at,
                )
            )
            # The inputs of a zip are held side by side; merged ones one after the other.
            lane_base += lanes if units[stage.name].join is Join.MERGE else 0
    return tuple(edges)


def _feeders(edge: Edge, way: Way, replicas: Mapping[str, int]) -> int:
    """Workers that share the capacity of one reading replica."""
    return 1 if way.route is Route.ALIGNED else replicas[edge.source.stage]


def _capacity(edge: Edge, reader: Stage, feeders: int) -> int:
    """Items that an edge holds for each reading replica: always room for one batch.

    Each writer has a part of it for itself, and so has room for one item.
    """
    asked = edge.capacity.items or DEFAULT_CAPACITY_ITEMS
    return max(asked, feeders, 1 if reader.batch is None else reader.batch.size)


def _capacity_notes(
    running: Network, ways: Mapping[str, tuple[Way, ...]], replicas: Mapping[str, int]
) -> tuple[str, ...]:
    """A sentence for each edge whose capacity was raised."""
    notes: list[str] = []
    for name, stage in running.stages.items():
        for edge, way in zip(stage.edges, ways[name], strict=True):
            feeders = _feeders(edge, way, replicas)
            raised = _capacity(edge, stage, feeders)
            if edge.capacity.items and raised > edge.capacity.items:
                batch = stage.batch is not None and stage.batch.size == raised
                why = "a batch always has room" if batch else f"{feeders} replicas write to it"
                notes.append(
                    f"capacity of the edge from '{edge.source}' to '{name}' is raised from "
                    f"{edge.capacity.items} to {raised} items: {why}"
                )
    return tuple(notes)


def _key(stage: Stage, edge: Edge, route: Route) -> str:
    if joins_by_key(stage) and isinstance(stage.join, KeyedInputs):
        return stage.join.expressions[edge.input]
    match route, stage.partition:
        case Route.KEY, ByKey(expression=expression):
            return expression
        case _:
            return ""


def _count_channels(
    edges: Sequence[EdgePlan], replicas: Mapping[str, int], units: Mapping[str, Units]
) -> int:
    workers = tuple(replicas.values())
    keeps = tuple(units[name].numbering is Numbering.KEEP for name in replicas)
    return sum(
        channels_of(
            edge.transport,
            edge.route,
            writers=workers[edge.source],
            readers=workers[edge.target],
            keeps=keeps[edge.source],
        )
        for edge in edges
    )


def _stages(
    running: Network,
    replicas: Mapping[str, int],
    units: Mapping[str, Units],
    edges: Sequence[EdgePlan],
    threads: int,
) -> tuple[StagePlan, ...]:
    level = levels(running.graph)
    edges_in: dict[int, list[int]] = {}
    edges_out: dict[int, dict[str, tuple[int, ...]]] = {}
    for edge in edges:
        edges_in.setdefault(edge.target, []).append(edge.index)
        ports = edges_out.setdefault(edge.source, {})
        ports[edge.port] = (*ports.get(edge.port, ()), edge.index)
    return tuple(
        StagePlan(
            index=index,
            name=stage.name,
            at=stage.at,
            work_at=stage.work_at,
            call=f"{work.module}:{work.attribute}" if isinstance(work := stage.work, Call) else "",
            operator=work.operator.name if isinstance(work, Use) else "",
            program=work if isinstance(work, Program) else None,
            role=_role(stage, edges_out.get(index, {})),
            shape=shape_of(stage),
            parameters=_parameters(stage),
            join=units[stage.name].join,
            pairing=pairing_of(running, stage, replicas[stage.name]),
            edges_in=tuple(edges_in.get(index, ())),
            edges_out=edges_out.get(index, {}),
            ports=ports_of(stage),
            replicas=replicas[stage.name],
            numbering=units[stage.name].numbering,
            in_order=units[stage.name].in_order,
            batch=stage.batch,
            concurrency=stage.concurrency,
            keeps_state=keeps_state(stage),
            on_error=stage.on_error,
            on_error_at=stage.on_error_at,
            timeout_s=stage.timeout_s,
            env=stage.env,
            cpus=stage.resources.cpus,
            gpus=stage.resources.gpus,
            threads=stage.resources.threads or threads,
            memory=stage.resources.memory,
            spin=stage.resources.spin,
            level=level[stage.name],
            isolated=is_isolated(stage),
            stdin=not stage.edges and (isinstance(work, Call) or reads_stdin(stage)),
            home=stage.home,
        )
        for index, stage in enumerate(running.stages.values())
    )


def _parameters(stage: Stage) -> Mapping[str, object]:
    """Its ``with``; a file of dead letters is there whatever becomes of the run."""
    takes_letters = any(edge.source.port == ERRORS for edge in stage.edges)
    if takes_letters and may_be_live(stage):
        return {**stage.parameters, LIVE: True}
    return stage.parameters


def _role(stage: Stage, edges_out: Mapping[str, tuple[int, ...]]) -> Role:
    """A stage of which only the dead letters are read is a sink: nobody waits for its results."""
    if not stage.edges:
        return Role.SOURCE
    return Role.OPERATOR if set(edges_out) - {ERRORS} else Role.SINK


def _workers(replicas: Sequence[int]) -> tuple[WorkerPlan, ...]:
    pairs = [(stage, replica) for stage, count in enumerate(replicas) for replica in range(count)]
    return tuple(
        WorkerPlan(index=index, stage=stage, replica=replica)
        for index, (stage, replica) in enumerate(pairs)
    )

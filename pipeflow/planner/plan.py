"""The plan: what will run, fully decided, as frozen values that a worker can unpickle.

Nothing here decides; ``planner.make`` does. A worker imports this module and no other of the
planner, so it may import nothing heavy.

Units and lanes (``docs/architecture.md``, "Order"): on each lane of an edge the writers send units
0, 1, 2, ... without a gap, and each unit holds any number of items. A stage with one worker numbers
its results anew; replicas, and stages between a split and its zip, keep the unit of their input, so
that order and pairs can be told again where they meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Final

from pipeflow.errors import Finding, Location
from pipeflow.spec.policies import (
    DEFAULT_CONCURRENCY,
    STOP,
    ArrayMode,
    Batching,
    ErrorPolicy,
    Overflow,
    TransportKind,
)
from pipeflow.spec.ports import ERRORS
from pipeflow.spec.shapes import Role, Shape
from pipeflow.values import dataclass, field

# Parts of few plans: who unpickles one that has them loads them then.
if TYPE_CHECKING:
    from pipeflow.spec.pipeline import Home
    from pipeflow.spec.program import Program
    from pipeflow.spec.shared import Shared


class Join(Enum):
    """How the inputs of a stage become calls."""

    NONE = "none"  #: a source: no inputs
    MERGE = "merge"  #: one input, or several as they come
    ZIP_BY_ID = "zip_by_id"  #: named ports that come from one stage: pairs by item id
    ZIP_BY_POSITION = "zip_by_position"  #: named ports from different sources: pairs by position
    BY_KEY = "by_key"  #: named ports: items with equal keys
    LATEST = "latest"  #: named ports: each item of the first with the newest of the others


#: Those whose calls take one item of each of several ports.
NAMED_JOINS: Final = frozenset({Join.ZIP_BY_ID, Join.ZIP_BY_POSITION, Join.BY_KEY, Join.LATEST})
#: Those of them that may wait for one port while another of other sources brings items.
WAITING_JOINS: Final = NAMED_JOINS - {Join.ZIP_BY_ID}


class Route(Enum):
    """How the units of an edge spread over the reading replicas."""

    SINGLE = "single"  #: one reading replica takes all
    BALANCE = "balance"  #: one writer; each unit goes to a replica with room
    ALIGNED = "aligned"  #: as many writers as readers: writer i feeds reader i
    BY_UNIT = "by_unit"  #: unit u goes to replica u modulo their number
    ANY = "any"  #: several writers, several readers, order given up: whoever has room
    KEY = "key"  #: every replica sees every unit, but only the items whose key is its own
    BROADCAST = "broadcast"  #: every replica gets every item


class Parts(Enum):
    """Which writers make up one unit of an edge."""

    ONE = "one"  #: each unit comes whole from one of them
    EACH = "each"  #: each writer brings its part of each unit, in the order of their numbers


class Numbering(Enum):
    """Where the units of a stage's results come from."""

    PER_PORT = "per_port"  #: one worker: each result on a port is the port's next unit
    PER_STAGE = "per_stage"  #: one worker where a zip begins: each result is the stage's next unit,
    #: and the ports it does not go to get an empty unit
    KEEP = "keep"  #: results belong to the unit of the item that they come from


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """How a join that waits for nobody bounds what it holds.

    Attributes:
        items: By key: how many further items on its port an item waits for its partner; ``None``:
            ``seconds`` says how long.
        seconds: By key: how long it waits.
        ahead: How many items of a port may be held because another port is due, before they are
            looked at all the same; 0: their writer waits, for nothing depends on it.
    """

    items: int | None = None
    seconds: float | None = None
    ahead: int = 0

    def __post_init__(self) -> None:
        if self.items is not None and self.seconds is not None:
            raise ValueError("a bound in items and one in time")
        if (self.items or 0) < 0 or (self.seconds or 0) < 0 or self.ahead < 0:
            raise ValueError(f"a bound below nothing: {self.items}, {self.seconds}, {self.ahead}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePlan:
    """One edge, decided.

    Attributes:
        index: Its number in the plan.
        source: Number of the writing stage.
        port: Its output port.
        target: Number of the reading stage.
        input: Argument that it feeds, for named inputs; else empty.
        transport: ``PIPE`` or ``QUEUE``, never ``AUTO``.
        capacity_items: Items held for each reading replica before the writer waits; at least 1.
        capacity_bytes: Bytes of shared arrays among them; one item always fits.
        overflow: What a full edge does.
        arrays: Shared views, or private copies.
        route: How units spread over the reading replicas.
        key: The expression that gives the key of its items, for ``Route.KEY`` and for a join by
            key; else empty.
        parts: Which writers make up a unit.
        recounted: Whether each replica of the reader counts the items of the edge anew, its own and
            the others': to it each is a unit of its own.
        lanes: Lanes that the edge carries, at least 1.
        lane_base: Number of its first lane among all input lanes of the reading stage.
        ordered: Whether the reader waits for the units in their order (on each lane), or takes
            them as they come. One writer's units are in order anyway.
        fused: Whether its ends are in one process, worker by worker.
        decides: Its reader is one for whom the writer runs, though it reads dead letters.
        at: Where the file has it.
    """

    index: int
    source: int
    port: str
    target: int
    input: str = ""
    transport: TransportKind = TransportKind.PIPE
    capacity_items: int = 256
    capacity_bytes: int = 64 * 2**20
    overflow: Overflow = Overflow.BLOCK
    arrays: ArrayMode = ArrayMode.SHARED
    route: Route = Route.SINGLE
    key: str = ""
    parts: Parts = Parts.ONE
    recounted: bool = False
    lanes: int = 1
    lane_base: int = 0
    ordered: bool = True
    fused: bool = False
    decides: bool = False
    at: Location

    @property
    def needed(self) -> bool:
        """Whether its writer needs this reader: one of dead letters counts only if it decides."""
        return self.port != ERRORS or self.decides

    @property
    def way(self) -> str:
        """How its bytes cross, as it is shown: its transport, or ``fused``."""
        return "fused" if self.fused else self.transport.value


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """One stage, decided.

    Attributes:
        index: Its number in the plan, in the order of the file.
        name: As the file has it.
        at: Where its name stands.
        work_at: Where the value of ``call``, ``use`` or ``run`` stands; ``None``: it comes from no
            file.
        call: ``module:attribute`` of the user's code, or empty.
        operator: Name of the operator, or empty.
        program: The external program, or ``None``. One of the three is given.
        role: A source has no edges in; a sink is a stage that nobody reads.
        shape: As far as it is known before the code runs.
        parameters: ``with``, filled in; a ``SharedRef`` stands for what only a worker has.
        join: How inputs become calls.
        pairing: What bounds a join by key or of the latest; ``None`` for others.
        edges_in: Numbers of the edges it reads, in the order of the file.
        edges_out: Output port to the numbers of the edges that read it; ports without readers are
            left out.
        ports: All output ports it has: ``out``, its own, and ``errors``, ``unmatched``.
        replicas: Workers, at least 1.
        numbering: Where its results' units come from.
        in_order: Whether a worker's results leave in the order of its items; else as they come.
        batch: Its function gets many items at once; ``None``: one.
        concurrency: Items, or batches, in flight in one worker, where its function is ``async``.
        keeps_state: As planned; a worker whose code turns out otherwise refuses to start.
        on_error: What follows when an item fails.
        on_error_at: Where the file says so; ``None``: it comes from no file.
        timeout_s: Longest time in the function for one item, in seconds; ``None``: no bound.
        env: Variables for its workers; ``${replica}`` is still in the values.
        cpus: Processors to be bound to; empty: all.
        gpus: Replica *i* sees one of these.
        threads: Threads of BLAS and OpenMP in each worker, at least 1.
        memory: Bytes of private memory for each worker, or ``None``.
        spin: Whether a waiting worker may burn processor time.
        level: Longest path from a source, in edges; for showing only.
        stdin: Whether its worker keeps the standard input of the command.
        home: The file that it comes from, if that is not the plan's own.
        isolated: Whether each worker has its code run by a process beside its own, so that an item
            that kills that process, or takes too long, is an item that has failed.
    """

    index: int
    name: str
    at: Location
    work_at: Location | None = None
    call: str = ""
    operator: str = ""
    program: Program | None = None
    role: Role = Role.OPERATOR
    shape: Shape = Shape.UNKNOWN
    parameters: Mapping[str, object] = field(default_factory=dict)
    join: Join = Join.MERGE
    pairing: Pairing | None = None
    edges_in: tuple[int, ...] = ()
    edges_out: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ports: tuple[str, ...] = ("out",)
    replicas: int = 1
    numbering: Numbering = Numbering.PER_PORT
    in_order: bool = True
    batch: Batching | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    keeps_state: bool = False
    on_error: ErrorPolicy = STOP
    on_error_at: Location | None = None
    timeout_s: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cpus: tuple[int, ...] = ()
    gpus: tuple[int, ...] = ()
    threads: int = 1
    memory: int | None = None
    spin: bool = False
    level: int = 0
    stdin: bool = False
    home: Home | None = None
    isolated: bool = False

    @property
    def work(self) -> str:
        """What it runs, for people: the call, the operator's name, or the program's command."""
        return self.call or self.operator or (self.program.shown if self.program else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """One worker: a replica of a stage.

    Attributes:
        index: Its number among all workers of the plan; stages in order, replicas in order.
        stage: Number of its stage.
        replica: Which of the stage's replicas, from 0.
        host: Number of the worker in whose process it runs; -1: in its own.
    """

    index: int
    stage: int
    replica: int
    host: int = -1

    @property
    def process(self) -> int:
        """Number of the worker whose process it is."""
        return self.index if self.host < 0 else self.host


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a run needs to know beforehand.

    Attributes:
        pipeline: Name of the pipeline.
        file: Its file, as the user gave it.
        folder: The file's folder, absolute: first on the path of the workers.
        stages: In the order of the file.
        edges: In the order of the file.
        workers: In the order of the stages.
        start_order: Numbers of the stages, readers before their writers.
        stop_order: Numbers of the stages, writers before their readers.
        shared: State that its stages share, by number.
        parameters: The values of ``params``, for ``EXPR``; secrets are left out.
        secrets: Texts that must never be shown.
        run_id: What ``${run.id}`` was filled in with, and what the run is called; empty: it gets
            one when it starts. Two readings of one file are equal all the same.
        cores: Cores of the machine that it was made for: for showing, and ``waits.moderation``.
        memory: Bytes that shared arrays of the run may take in all.
        descriptors: File descriptors that the run needs in one process, at most.
        warnings: Doubts of the planner, with their places.
        notes: What the planner did that the file does not say outright: stages taken out by
            ``enabled``, replicas chosen by ``auto``, capacities lowered.
    """

    pipeline: str
    file: str
    folder: str
    stages: tuple[StagePlan, ...]
    edges: tuple[EdgePlan, ...]
    workers: tuple[WorkerPlan, ...]
    start_order: tuple[int, ...]
    stop_order: tuple[int, ...]
    shared: tuple[Shared, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    run_id: str = field(default="", compare=False)
    cores: int = 1
    memory: int = 2**30
    descriptors: int = 0
    warnings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The names of its stages, by their numbers."""
        return tuple(stage.name for stage in self.stages)

    @property
    def processes(self) -> int:
        """How many processes run its workers, what these have run beside them, and the manager."""
        stages = [self.stages[worker.stage] for worker in self.workers]
        beside = [stage for stage in stages if stage.isolated or stage.program is not None]
        own = {worker.process for worker in self.workers}
        return len(own) + len(beside) + self.has_manager

    @property
    def has_manager(self) -> bool:
        """Whether a process keeps dicts and lists that stages share."""
        return any(shared.in_manager for shared in self.shared)

    @property
    def manager(self) -> int:
        """Number of the manager process, behind those of the workers."""
        return len(self.workers)

    @property
    def stage_of_pool(self) -> tuple[int, ...]:
        """For each pool of shared memory the number of the stage: workers, then runners."""
        own = tuple(worker.stage for worker in self.workers)
        return own + tuple(stage for stage in own if self.stages[stage].isolated)

    def code_pool(self, worker: int) -> int:
        """The pool of the process that runs a worker's code."""
        if not self.stages[self.workers[worker].stage].isolated:
            return worker
        before = self.workers[:worker]
        return len(self.workers) + sum(self.stages[each.stage].isolated for each in before)

    def sharing(self, worker: int) -> tuple[WorkerPlan, ...]:
        """The workers in one process, writers before readers; most are alone."""
        together = [each for each in self.workers if each.process == self.workers[worker].process]
        return tuple(sorted(together, key=lambda each: self.stages[each.stage].level))

    def folder_of(self, stage: StagePlan) -> str:
        """The folder that is first on the path of a stage's workers."""
        return stage.home.folder if stage.home else self.folder

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of all its files, each once."""
        return tuple(dict.fromkeys([self.folder, *(map(self.folder_of, self.stages))]))

    def values_for(self, stage: StagePlan) -> Mapping[str, object]:
        """The values of ``params`` that ``EXPR`` of a stage sees."""
        return stage.home.parameters if stage.home else self.parameters

    def workers_of(self, stage: int) -> tuple[WorkerPlan, ...]:
        """The workers of one stage, replica 0 first."""
        return tuple(worker for worker in self.workers if worker.stage == stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the planner must know of the machine; read once, by ``runtime.machine``.

    Attributes:
        cores: Cores that this process may use, by affinity and cgroup quota, at least 1.
        memory: Bytes free for the run: the least of the machine's and the cgroup's.
        processes: Processes that may still be started (``ulimit -u``, cgroup), or ``None``.
        descriptors: Hard limit of open files (``ulimit -n``).
    """

    cores: int
    memory: int
    processes: int | None = None
    descriptors: int = 1024


def one_buffer(route: Route, *, keeps: bool) -> bool:
    """Whether all readers of a queue share one buffer, a frame going to who takes it first.

    A writer that keeps units may send one in several frames: where order counts, these must not
    part, so each reader has a buffer of its own.
    """
    return route in {Route.SINGLE, Route.ANY} or (route is Route.BALANCE and not keeps)

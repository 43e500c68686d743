"""What the user asked for: a pipeline, its stages and edges, each with its place in the file.

Everything here is filled in, merged with ``defaults`` and checked on its own; what the pieces mean
together (unknown stages, cycles, joins) is the planner's to judge.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.errors import Finding, Location
from pipeflow.spec.options import Option
from pipeflow.spec.policies import (
    DEFAULT_CONCURRENCY,
    STOP,
    ArrayMode,
    Balance,
    Batching,
    Capacity,
    ErrorPolicy,
    JoinPolicy,
    Limits,
    Overflow,
    Partition,
    Resources,
    TransportKind,
    ZipInputs,
)
from pipeflow.spec.ports import OUT
from pipeflow.spec.program import Program
from pipeflow.spec.shared import Shared
from pipeflow.spec.stage_type import CallFacts, StageType
from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True)
class PortRef:
    """An output port, as an edge names it.

    Attributes:
        stage: Name of the stage.
        port: Name of the port; ``"out"`` when the file names none.
    """

    stage: str
    port: str = OUT

    def __str__(self) -> str:
        return self.stage if self.port == OUT else f"{self.stage}.{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One input of a stage.

    Attributes:
        source: The port that is read.
        at: Where the file says so (the text ``shrink`` or ``segment.masks``).
        input: Name of the argument for named inputs; empty for single and merged inputs.
        transport: As asked for.
        capacity: As asked for.
        overflow: What a full edge does.
        arrays: Shared views, or private copies.
        decides: For its reader the whole runs, so that one counts where others would not: when it
            has enough of the dead letters, their stage ends.
    """

    source: PortRef
    at: Location
    input: str = ""
    transport: TransportKind = TransportKind.AUTO
    capacity: Capacity = field(default_factory=Capacity)
    overflow: Overflow = Overflow.BLOCK
    arrays: ArrayMode = ArrayMode.SHARED
    decides: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The user's own Python.

    Attributes:
        module: Dotted name of the module.
        attribute: Name in it, may be dotted (``Detector.fast``).
        facts: What its source says.
    """

    module: str
    attribute: str
    facts: CallFacts = field(default_factory=CallFacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """An operator, by name.

    Attributes:
        operator: What is known of it.
    """

    operator: StageType


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The file that a stage comes from, if another file runs it as a part of itself.

    Attributes:
        folder: The file's folder, absolute: first on the path of the stage's workers.
        parameters: The values of the file's ``params``, for ``EXPR``.
        exported: Ports of the stage that the file gives out, be they read or not.
    """

    folder: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    exported: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A named node of the pipeline.

    Attributes:
        name: As the file has it.
        at: Where its name stands.
        work: The user's function, an operator, or a program; of a stage that runs a file nothing
            is known.
        work_at: Where the value of ``call``, ``use``, ``run`` or ``pipeline`` stands.
        inner: The file that it runs; ``planner.expand`` puts that file's stages in its place.
        home: The file that it comes from, if that is not the one that was asked for.
        parameters: ``with``, filled in; the worker turns values into the annotated types.
        parameter_at: Where each of them stands.
        edges: Its inputs in the order of the file; none: a source.
        named_inputs: The inputs are a mapping, so a join makes one call of them.
        join: How its named inputs meet.
        join_at: Where the value of ``join`` stands, else ``at``.
        outputs: Its own output ports beside ``out``, ``errors`` and ``unmatched``.
        ports_known: ``False``: a mistake hides which ports it has, so it may have others too.
        replicas: Parallel workers; ``None``: ``auto``. ``defaults`` never reach a stage that
            cannot have replicas.
        replicas_at: Where ``replicas`` stands (in the stage or in ``defaults``), else ``at``.
        replicas_given: The stage itself says ``replicas`` (an impossible number is an error then).
        partition: How items spread over the replicas.
        partition_at: Where ``partition`` stands, else ``at``.
        ordered: Whether what comes out has the order that one worker would give.
        batch: Its function gets many items at once; ``None``: one.
        concurrency: Items, or batches, in flight in one worker, where its function is ``async``.
        on_error: What follows when an item fails.
        on_error_at: Where ``on_error`` stands, else ``at``.
        timeout_s: Longest time in the function for one item, in seconds; ``None``: no bound.
        resources: What its processes may use.
        env: Variables for its processes; ``${replica}`` is still in the values.
        enabled: ``False`` takes the stage out.
        description: For people.
    """

    name: str
    at: Location
    work: Call | Use | Program
    work_at: Location
    inner: Pipeline | None = None
    home: Home | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    parameter_at: Mapping[str, Location] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    named_inputs: bool = False
    join: JoinPolicy = field(default_factory=ZipInputs)
    join_at: Location | None = None
    outputs: tuple[str, ...] = ()
    ports_known: bool = True
    replicas: int | None = 1
    replicas_at: Location
    replicas_given: bool = False
    partition: Partition = field(default_factory=Balance)
    partition_at: Location
    ordered: bool = True
    batch: Batching | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    on_error: ErrorPolicy = STOP
    on_error_at: Location
    timeout_s: float | None = None
    resources: Resources = field(default_factory=Resources)
    env: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Items that a test gives in place of what a port emits.

    Attributes:
        port: The port.
        at: Where its name stands.
        items: The items, as the file has them.
    """

    port: PortRef
    at: Location
    items: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a test expects of a port, or of a sink: what reaches it.

    Attributes:
        port: The port.
        at: Where its name stands.
        value_at: Where the expectation stands.
        value_length: How many characters of it to underline.
        items: Exactly these, in their order; ``None``: the other three say what is expected.
        count: How many; ``None``: any number.
        contains: These are among them.
        each: An expression that holds for every item; empty: none.
        part_at: Where ``count``, ``contains`` and ``each`` stand.
    """

    port: PortRef
    at: Location
    value_at: Location
    value_length: int = 1
    items: tuple[object, ...] | None = None
    count: int | None = None
    contains: tuple[object, ...] = ()
    each: str = ""
    part_at: Mapping[str, Location] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTest:
    """One of the tests of a pipeline file.

    Attributes:
        name: As the file has it.
        at: Where its name stands.
        parameters: Values of ``params`` that hold for it.
        given: In the order of the file; none: the sources run.
        expect: In the order of the file.
        complete: ``False``: a mistake hides some of what is given or expected.
        description: For people.
    """

    name: str
    at: Location
    parameters: Mapping[str, object] = field(default_factory=dict)
    given: tuple[Given, ...] = ()
    expect: tuple[Expected, ...] = ()
    complete: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InPort:
    """An input of a file that is used as a stage.

    Attributes:
        name: What the stages of the file read.
        at: Where the name stands.
    """

    name: str
    at: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class OutPort:
    """An output of a file that is used as a stage.

    Attributes:
        name: What the readers of the stage read.
        at: Where the name stands.
        source: The port of a stage in the file that it gives out.
        source_at: Where that stands.
    """

    name: str
    at: Location
    source: PortRef
    source_at: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A whole pipeline file, resolved.

    Attributes:
        name: ``name``, or the file's stem.
        file: The file's path as the user gave it; ``<mapping>`` for ``pipeflow.run({...})``.
        folder: The file's folder, absolute: first on the path of its workers.
        version: Of the language.
        description: For people.
        stages: In the order of the file.
        stages_at: Where ``stages`` stands.
        limits: Bounds of the run.
        limits_at: Where ``limits`` stands, else the file's start.
        shared: State that stages share, in the order of the file.
        parameters: The values of ``params``, for ``EXPR`` and reports; secrets are left out.
        secrets: Texts that must never be shown.
        tests: In the order of the file.
        inputs: Of a file that is used as a stage.
        outputs: Of a file that is used as a stage.
        ports_at: Where ``inputs`` or ``outputs`` stands; ``None``: the file runs by itself.
        ports_known: ``False``: a mistake hides some of its inputs or outputs.
        declared: Its ``params`` as they are declared, for editors.
        lacking: Parameters without a value; whoever uses the file as a stage must give one, so
            that is no mistake of the file itself.
        run_id: What ``${run.id}`` was filled in with, and what the run is called; empty: it gets
            one when it starts. Two readings of one file are equal all the same.
    """

    name: str
    file: str
    folder: str
    version: int = 1
    description: str = ""
    stages: tuple[Stage, ...] = ()
    stages_at: Location
    limits: Limits = field(default_factory=Limits)
    limits_at: Location
    shared: tuple[Shared, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    tests: tuple[FileTest, ...] = ()
    inputs: tuple[InPort, ...] = ()
    outputs: tuple[OutPort, ...] = ()
    ports_at: Location | None = None
    ports_known: bool = True
    declared: tuple[Option, ...] = ()
    lacking: tuple[Finding, ...] = ()
    run_id: str = field(default="", compare=False)

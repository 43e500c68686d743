"""From one mapping under ``stages`` to a stage, with every check that concerns this stage alone.

A stage with mistakes is made all the same, as far as it is known: the planner can then look at the
rest of the graph, and every mistake of a file shows at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from pipeflow.config.call_check import Complaint, check_parameters
from pipeflow.config.calling import with_calling
from pipeflow.config.cursor import Cursor, Findings
from pipeflow.config.edges import EdgeSettings, Inputs, edge_settings, read_inputs
from pipeflow.config.expressions import check_expression
from pipeflow.config.join import read_join
from pipeflow.config.nodes import Entry, Map, Node, Scalar, Seq
from pipeflow.config.on_error import fitting, judged, place_of_policy, read_policy
from pipeflow.config.parameters import (
    Parameters,
    call_parameters,
    given_to,
    operator_parameters,
    tried_for,
)
from pipeflow.config.part import Asked, asked, judge_inputs
from pipeflow.config.problem import Problem
from pipeflow.config.program import judge_program, read_program
from pipeflow.config.source import inspect_call
from pipeflow.config.timeout import read_timeout, timeout_of
from pipeflow.config.wording import unknown_operator
from pipeflow.errors import Location
from pipeflow.spec.language import ERROR_POLICY, NAME_PATTERN, STAGE
from pipeflow.spec.pipeline import ERRORS, OUT, UNMATCHED, Call, Pipeline, Stage, Use
from pipeflow.spec.policies import (
    Balance,
    Broadcast,
    ByKey,
    ErrorPolicy,
    Partition,
    Resources,
)
from pipeflow.spec.program import Program, ProgramMode
from pipeflow.spec.stage_type import CallFacts, Shape, StageType
from pipeflow.values import dataclass, field, replace

#: Stands for work that is not known because of a mistake: the planner then asks nothing of it.
UNKNOWN_WORK = Call(module="", attribute="")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDefaults:
    """``defaults``, read.

    Attributes:
        replicas: Given there, or not; ``None`` inside the pair is ``auto``.
        replicas_at: Where it stands.
        on_error: Given there, or ``None``.
        on_error_at: Where it stands.
        timeout_s: Given there, or ``None``.
        resources: Merged into those of each stage.
        env: Merged into that of each stage.
        edge: Settings of every edge that has none of its own.
    """

    replicas: int | None = 1
    replicas_at: Location | None = None
    on_error: ErrorPolicy | None = None
    on_error_at: Location | None = None
    timeout_s: float | None = None
    resources: Resources = field(default_factory=Resources)
    env: Mapping[str, str] = field(default_factory=dict)
    edge: EdgeSettings = field(default_factory=EdgeSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a stage is read against.

    Attributes:
        folder: Of the pipeline file; the user's modules are looked for there first.
        search_path: Where they are looked for next.
        program_path: Where programs are looked for: ``PATH``.
        stage_types: The operators there are.
        include: Reads the file that a stage runs; ``None``: it could not be read at all.
        defaults: ``defaults`` of the file.
    """

    folder: str
    search_path: Sequence[str]
    stage_types: Mapping[str, StageType]
    include: Callable[[Asked, Findings], Pipeline | None]
    program_path: str = ""
    defaults: StageDefaults = field(default_factory=StageDefaults)


def read_defaults(cursor: Cursor | None) -> StageDefaults:
    """Read ``defaults``."""
    if cursor is None:
        return StageDefaults()
    replicas = cursor.get("replicas")
    return StageDefaults(
        replicas=_replicas(replicas, 1),
        replicas_at=replicas.at if replicas else None,
        on_error=read_policy(cursor),
        on_error_at=place_of_policy(cursor),
        timeout_s=read_timeout(cursor),
        resources=_resources(cursor.inner("resources"), Resources()),
        env=_env(cursor.inner("env")),
        edge=edge_settings(cursor.inner("edge"), EdgeSettings()),
    )


def broken_stage(entry: Entry) -> Stage:
    """A stage of which no more is known than its name."""
    at = entry.key_at
    return Stage(
        name=entry.key,
        at=at,
        work=UNKNOWN_WORK,
        work_at=at,
        replicas_at=at,
        partition_at=at,
        on_error_at=at,
    )


def read_stage(entry: Entry, cursor: Cursor, around: Surroundings) -> Stage:
    """Read one stage; what is wrong goes to the cursor's findings."""
    inputs = read_inputs(cursor, around.defaults.edge)
    if "pipeline" in cursor.node:
        return _part(entry, cursor, inputs, around)
    work, work_at = _work(entry, cursor, around)
    parameters = _parameters(cursor, work, inputs)
    if not inputs.whole:
        # Its inputs are not known, so it must not pass for a source.
        work = UNKNOWN_WORK
    stage = replace(
        broken_stage(entry),
        work=work,
        work_at=work_at,
        parameters=parameters.values,
        parameter_at=parameters.at,
        edges=inputs.edges,
        named_inputs=inputs.named,
        join=read_join(cursor, inputs),
        join_at=join.at if (join := cursor.get("join")) else None,
        outputs=_outputs(cursor, work),
        ports_known=_ports_known(cursor, work),
        ordered=cursor.boolean("ordered", default=True),
        resources=_resources(cursor.inner("resources"), around.defaults.resources),
        env={**around.defaults.env, **_env(cursor.inner("env"))},
        enabled=cursor.boolean("enabled", default=True),
        description=cursor.text("description"),
    )
    stage = with_calling(cursor, stage)
    stage = _with_partition(cursor, stage)
    stage = _with_replicas(cursor, stage, around.defaults)
    stage = _with_on_error(cursor, stage, around.defaults)
    return replace(stage, timeout_s=timeout_of(cursor, stage, around.defaults.timeout_s))


def _part(entry: Entry, cursor: Cursor, inputs: Inputs, around: Surroundings) -> Stage:
    """A stage that runs another file; that file is closed, so ``defaults`` do not reach it."""
    node = cursor.get("pipeline")
    inner = None
    if isinstance(node, Scalar) and isinstance(node.value, str):
        inner = around.include(asked(entry, cursor, node), cursor.findings)
    if inner is not None:
        judge_inputs(entry, cursor, inner, inputs)
    return replace(
        broken_stage(entry),
        work_at=entry.key_at if node is None else node.at,
        inner=inner,
        edges=inputs.edges,
        named_inputs=inputs.named,
        ports_known=inner is not None and inner.ports_known,
        enabled=cursor.boolean("enabled", default=True),
        description=cursor.text("description"),
    )


def _work(
    entry: Entry, cursor: Cursor, around: Surroundings
) -> tuple[Call | Use | Program, Location]:
    call, use, run = cursor.get("call"), cursor.get("use"), cursor.get("run")
    if isinstance(call, Scalar) and isinstance(call.value, str):
        return _call(cursor, call, around), call.at
    if isinstance(use, Scalar) and isinstance(use.value, str):
        operator = around.stage_types.get(use.value)
        if operator is not None:
            return Use(operator=operator), use.at
        cursor.findings.add(unknown_operator(use.value, around.stage_types), use.at, use.length)
    if run is not None and call is None and use is None:
        program = read_program(cursor, around.program_path)
        if program is not None:
            return program, run.at
    return UNKNOWN_WORK, entry.key_at


def _call(cursor: Cursor, node: Scalar, around: Surroundings) -> Call:
    text = str(node.value)
    found = inspect_call(text, around.folder, around.search_path)
    module, _, attribute = text.partition(":")
    if isinstance(found, Problem):
        cursor.findings.add(found, node.at, node.length)
        return UNKNOWN_WORK
    for doubt in found.problems:
        cursor.findings.add(doubt, node.at, node.length)
    return Call(module=module, attribute=attribute, facts=found.facts)


def _parameters(cursor: Cursor, work: Call | Use | Program, inputs: Inputs) -> Parameters:
    if isinstance(work, Program):
        judge_program(cursor, work, inputs)
        return Parameters()
    if isinstance(work, Use):
        return operator_parameters(cursor, work.operator)
    if inputs.whole and work is not UNKNOWN_WORK:
        _judge_call(cursor, work.facts, inputs)
    return call_parameters(cursor, work.facts)


def _judge_call(cursor: Cursor, facts: CallFacts, inputs: Inputs) -> None:
    """Tell where ``with`` and the inputs do not fit the function."""
    items = tuple(edge.input for edge in inputs.edges) if inputs.named else ()
    count = items if inputs.named else min(1, len(inputs.edges))
    call = cursor.node.entry("call")
    assert call is not None
    unsure = cursor.unread("with", STAGE)
    for one in check_parameters(facts, given_to(cursor), count, tried_for(cursor)):
        if unsure and one.problem.code == "missing-parameter":
            # It may stand there, in what could not be read.
            continue
        at, length = _place_of(cursor, one, call.value)
        cursor.findings.add(one.problem, at, length)


def _place_of(cursor: Cursor, one: Complaint, call: Node) -> tuple[Location, int]:
    """A name that is wrong is told at the name, a value at the value, the rest at the call."""
    if one.place is not None:
        return one.place
    block = cursor.node.get("inputs" if one.port else "with")
    entry = block.entry(one.port or one.parameter) if isinstance(block, Map) else None
    if entry is None:
        return call.at, call.length
    return entry.key_at, entry.key_length


def _ports_known(cursor: Cursor, work: Call | Use | Program) -> bool:
    """Whether what opens ports could be read."""
    given = cursor.inner("with")
    named_by = work.operator.ports_by if isinstance(work, Use) else ""
    if named_by and not isinstance(given.get(named_by) if given else None, Map):
        return False
    policy = cursor.inner("on_error")
    opens = not any(cursor.unread(key, STAGE) for key in ("outputs", "on_error"))
    return opens and (policy is None or not policy.unread("then", ERROR_POLICY))


def _outputs(cursor: Cursor, work: Call | Use | Program) -> tuple[str, ...]:
    node = cursor.get("outputs")
    if isinstance(work, Use) and work.operator.ports_by:
        return _ports_by(cursor, work.operator.ports_by)
    if not isinstance(node, Seq):
        return ()
    if not isinstance(work, Call):
        what = f"operator '{work.operator.name}'" if isinstance(work, Use) else "a program"
        cursor.findings.error(
            node,
            "bad-output",
            f"{what} has no output ports of its own",
            "'outputs' names the ports that your own function writes to with pipeflow.to",
        )
        return ()
    names: list[str] = []
    for index, item in enumerate(node.items):
        if (*cursor.path, "outputs", index) in cursor.wrong or not isinstance(item, Scalar):
            continue
        name = str(item.value)
        if name in {OUT, ERRORS, UNMATCHED}:
            cursor.findings.error(
                item,
                "bad-output",
                f"output port '{name}' belongs to pipeflow",
                "'out' is there always, 'errors' with 'on_error: dead_letter', "
                "'unmatched' with named inputs",
            )
        elif name in names:
            cursor.findings.error(item, "duplicate-name", f"output port '{name}' is listed twice")
        else:
            names.append(name)
    return tuple(names)


def _ports_by(cursor: Cursor, parameter: str) -> tuple[str, ...]:
    """Output ports whose names are the keys of a parameter."""
    given = cursor.inner("with")
    node = given.get(parameter) if given else None
    names: list[str] = []
    for entry in node.entries if isinstance(node, Map) else ():
        if entry.key in {OUT, ERRORS, UNMATCHED}:
            cursor.findings.error(
                entry,
                "bad-output",
                f"output port '{entry.key}' belongs to pipeflow",
                "choose another name for it",
            )
        elif not re.fullmatch(NAME_PATTERN, entry.key):
            cursor.findings.error(
                entry,
                "bad-name",
                f"'{entry.key}' is no name of a port",
                "a letter, then letters, digits, '_' and '-', 64 at most",
            )
        else:
            names.append(entry.key)
    return tuple(names)


def _with_partition(cursor: Cursor, stage: Stage) -> Stage:
    node = cursor.get("partition")
    if node is None:
        return stage
    partition: Partition = Balance()
    match node:
        case Map():
            key = cursor.at(node, "partition").get("key")
            if isinstance(key, Scalar):
                partition = ByKey(_expression(cursor, key))
        case Scalar(value="broadcast"):
            partition = Broadcast()
        case _:
            pass
    return replace(stage, partition=partition, partition_at=node.at)


def _expression(cursor: Cursor, key: Scalar) -> str:
    problem = check_expression("key", key)
    if problem is not None:
        cursor.findings.add(*problem)
    return str(key.value)


def _with_replicas(cursor: Cursor, stage: Stage, defaults: StageDefaults) -> Stage:
    node = cursor.get("replicas")
    if node is not None:
        return replace(stage, replicas=_replicas(node, 1), replicas_at=node.at, replicas_given=True)
    if defaults.replicas_at is None or cursor.tried("replicas") or not _can_have_replicas(stage):
        return stage
    return replace(stage, replicas=defaults.replicas, replicas_at=defaults.replicas_at)


def _can_have_replicas(stage: Stage) -> bool:
    if not stage.edges:
        return False
    if isinstance(stage.work, Program):
        return stage.work.mode is not ProgramMode.STREAM
    if isinstance(stage.work, Use):
        single, keeps = stage.work.operator.single, stage.work.operator.keeps_state
    else:
        single, keeps = False, stage.work.facts.keeps_state
    return not single and not (keeps and isinstance(stage.partition, Balance))


def _with_on_error(cursor: Cursor, stage: Stage, defaults: StageDefaults) -> Stage:
    at = place_of_policy(cursor)
    if at is None:
        if defaults.on_error is None or _knows_only_stop(stage):
            return stage
        at = defaults.on_error_at or stage.at
        return replace(stage, on_error=fitting(defaults.on_error, stage), on_error_at=at)
    policy = judged(cursor, stage, _knows_only_stop(stage))
    return replace(stage, on_error=policy, on_error_at=at)


def _knows_only_stop(stage: Stage) -> str:
    """Why a failing item cannot be told from the rest of this stage; empty if it can."""
    if isinstance(stage.work, Use) or stage.work is UNKNOWN_WORK:
        return ""
    if isinstance(stage.work, Program):
        return "a program for the whole stream" if stage.work.mode is ProgramMode.STREAM else ""
    if stage.work.facts.shape is Shape.STREAM:
        return "a stream function"
    return "" if stage.edges else "a source of your own"


def _replicas(node: Node | None, default: int) -> int | None:
    match node:
        case Scalar(value=bool()):
            return default
        case Scalar(value=int() | float() as count):
            return int(count)
        case Scalar(value="auto"):
            return None
        case _:
            return default


def _resources(cursor: Cursor | None, default: Resources) -> Resources:
    if cursor is None:
        return default
    threads, memory = cursor.integer("threads"), cursor.size("memory")
    return Resources(
        cpus=_numbers(cursor, "cpus") or default.cpus,
        threads=default.threads if threads is None else threads,
        memory=default.memory if memory is None else memory,
        gpus=_numbers(cursor, "gpus") or default.gpus,
        spin=cursor.boolean("spin", default=default.spin),
    )


def _numbers(cursor: Cursor, key: str) -> tuple[int, ...]:
    node = cursor.get(key)
    items = node.items if isinstance(node, Seq) else ()
    return tuple(
        int(item.value)
        for item in items
        if isinstance(item, Scalar) and isinstance(item.value, int | float)
    )


def _env(cursor: Cursor | None) -> dict[str, str]:
    """Values as they are spelled: ``1e3`` stays ``1e3``."""
    if cursor is None:
        return {}
    return {
        entry.key: entry.value.text or str(entry.value.value)
        for entry in cursor.entries()
        if isinstance(entry.value, Scalar)
    }

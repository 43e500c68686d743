"""Rules on one stage and its place: roles, replicas, partitions, errors, outputs.

Each rule yields what it finds; ``checks`` runs them all.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeflow.errors import Finding, Severity
from pipeflow.planner.graph import Network
from pipeflow.planner.listing import listed
from pipeflow.planner.traits import (
    always_alone,
    answers,
    file_written,
    is_join,
    letter_ports,
    needs_partition,
    operator_role,
    ports_of,
    reads_stdin,
    shape_of,
    share_a_database,
    title,
)
from pipeflow.spec.pipeline import Pipeline, PortRef, Stage, Use
from pipeflow.spec.policies import Balance, OnError
from pipeflow.spec.ports import ERRORS, OUT, UNMATCHED
from pipeflow.spec.program import Program
from pipeflow.spec.shapes import Role, Shape


def stage_rules(stage: Stage, *, incomplete: bool) -> Iterator[Finding]:
    """What can be judged without the neighbours.

    Args:
        stage: The stage.
        incomplete: It lost a wrong edge: that it lacks inputs is not its mistake.
    """
    yield from _role(stage, incomplete=incomplete)
    yield from _replicas(stage, incomplete=incomplete)
    yield from _partition(stage, incomplete=incomplete)


def _role(stage: Stage, *, incomplete: bool) -> Iterator[Finding]:
    role = operator_role(stage)
    if role is Role.SOURCE and stage.edges:
        yield Finding(
            at=stage.edges[0].at,
            code="source-with-inputs",
            problem=f"stage '{stage.name}' has inputs, but '{title(stage)}' is a source",
            hint="take `inputs` out, or use an operator that takes items",
            length=len(str(stage.edges[0].source)),
        )
    # What the user's own function needs is judged by its parameters, in config.
    if role in {Role.OPERATOR, Role.SINK} and not stage.edges and not incomplete:
        yield Finding(
            at=stage.at,
            code="missing-inputs",
            problem=f"stage '{stage.name}' has no inputs, but '{title(stage)}' takes items",
            hint="write `inputs:` and the name of the stage that it reads",
            length=len(stage.name),
        )
    if shape_of(stage) is Shape.STREAM and stage.named_inputs:
        yield Finding(
            at=stage.edges[0].at if stage.edges else stage.at,
            code="named-stream",
            problem=f"stage '{stage.name}' has named inputs, but '{title(stage)}' is a "
            f"{_stream_kind(stage)}, which takes one stream",
            hint="give it one input or a list, or zip the inputs in a stage before it",
        )


def _stream_kind(stage: Stage) -> str:
    return "program in mode 'stream'" if isinstance(stage.work, Program) else "stream function"


def _replicas(stage: Stage, *, incomplete: bool) -> Iterator[Finding]:
    several = stage.replicas_given and stage.replicas is not None and stage.replicas > 1
    if not several or incomplete:
        return
    if always_alone(stage):
        what = "is a source" if not stage.edges else f"writes by '{title(stage)}'"
        if stage.edges and isinstance(stage.work, Program):
            what = f"runs '{title(stage)}' for the whole stream"
        yield Finding(
            at=stage.replicas_at,
            code="single-replicas",
            problem=f"stage '{stage.name}' {what}, which has one replica, not {stage.replicas}",
            hint="take `replicas` out",
        )
    elif needs_partition(stage):
        yield Finding(
            at=stage.replicas_at,
            code="stateful-replicas",
            problem=f"stage '{stage.name}' keeps state; {stage.replicas} replicas need a partition",
            hint="write `replicas: 1`, and keep the state in a stage behind it"
            if is_join(stage)
            else "write `partition: {key: EXPR}`, so that equal keys meet in one replica, or "
            "`partition: broadcast`, or `replicas: 1`",
        )


def _partition(stage: Stage, *, incomplete: bool) -> Iterator[Finding]:
    if isinstance(stage.partition, Balance):
        return
    if is_join(stage):
        yield Finding(
            at=stage.partition_at,
            code="join-partition",
            problem=f"stage '{stage.name}' has named inputs, so the join decides how items spread",
            hint="take `partition` out",
        )
    elif not stage.edges and not incomplete:
        yield Finding(
            at=stage.partition_at,
            code="source-partition",
            problem=f"stage '{stage.name}' is a source: there are no items to spread",
            hint="take `partition` out, or write it at the stage that reads",
        )


def network_rules(
    network: Network, maybe_read: frozenset[str], *, part: bool = False
) -> Iterator[Finding]:
    """What can be judged only with the neighbours, in the file as it is written.

    Args:
        network: The pipeline; wrong edges are taken out.
        maybe_read: Stages that those edges were probably meant to read.
        part: It is run as a stage: dead letters that nobody reads come out of it.
    """
    yield from _readers_of_sinks(network)
    if not part:
        yield from _unread_errors(network, maybe_read)
    yield from _shared_stdin(network)
    yield from _shared_files(network)


def nothing_starts(pipeline: Pipeline) -> Finding:
    """No stage is a source, or none that is left."""
    sources = [stage.name for stage in pipeline.stages if not stage.edges]
    problem = "no stage without inputs: nothing would start this pipeline"
    hint = "a source is a stage without `inputs`, such as `use: files`"
    if sources:
        problem = "every source is disabled: nothing would start this pipeline"
        hint = "take `enabled: false` out of " + listed(f"'{name}'" for name in sources)
    return Finding(
        at=pipeline.stages_at, code="no-source", length=len("stages"), problem=problem, hint=hint
    )


def _readers_of_sinks(network: Network) -> Iterator[Finding]:
    for stage in network.stages.values():
        for edge in stage.edges:
            writer = network.stages[edge.source.stage]
            if operator_role(writer) is Role.SINK and edge.source.port == OUT:
                yield Finding(
                    at=edge.at,
                    code="reads-a-sink",
                    problem=f"stage '{stage.name}' reads '{writer.name}', but "
                    f"'{title(writer)}' is a sink and gives nothing",
                    hint=f"read what '{writer.name}' reads; a port may have many readers",
                    length=len(str(edge.source)),
                )


def _unread_errors(network: Network, maybe_read: frozenset[str]) -> Iterator[Finding]:
    for name, stage in network.stages.items():
        if name in maybe_read:
            continue
        for errors in (PortRef(stage.name, port) for port in letter_ports(stage)):
            if errors not in network.readers:
                yield _unread_letters(stage, errors)


def _unread_letters(stage: Stage, errors: PortRef) -> Finding:
    where = f" in {stage.inner.file}" if stage.inner else ""
    return Finding(
        at=stage.at if stage.inner else stage.on_error_at,
        code="unread-errors",
        problem=f"nothing reads '{errors}', where the dead letters of '{stage.name}' go",
        hint=f"add a stage with `inputs: {errors}`, or write `on_error: skip`{where}",
        length=len(stage.name) if stage.inner else 1,
    )


def _shared_stdin(network: Network) -> Iterator[Finding]:
    readers = [stage for stage in network.stages.values() if reads_stdin(stage) and stage.enabled]
    for stage in readers[1:]:
        yield Finding(
            at=stage.parameter_at.get("path", stage.work_at),
            code="stdin-twice",
            problem=f"stages '{readers[0].name}' and '{stage.name}' both read standard input",
            hint="read it in one stage; its port may have many readers",
        )


def _shared_files(network: Network) -> Iterator[Finding]:
    first: dict[str, Stage] = {}
    for stage in network.stages.values():
        file = file_written(stage) if stage.enabled else ""
        if not file:
            continue
        other = first.setdefault(file, stage)
        if other is stage or share_a_database(other, stage):
            continue
        hint = (
            f"give '{stage.name}' a file of its own, or let one stage read both: `inputs: [a, b]`"
        )
        if "table" in other.parameters and "table" in stage.parameters:
            hint = "with `live: true` each of them writes its table of one database"
        yield Finding(
            at=stage.parameter_at.get("path", stage.work_at),
            code="file-twice",
            problem=f"stages '{other.name}' and '{stage.name}' both write '{file}'",
            hint=hint,
        )


def doubts(network: Network, whole: Network, maybe_read: frozenset[str]) -> Iterator[Finding]:
    """Warnings on what will run: results that nobody reads, readers that will get nothing.

    Args:
        network: What will run.
        whole: The same with all that is disabled.
        maybe_read: Stages that wrong edges were probably meant to read.
    """
    for name, stage in network.stages.items():
        yield from _silent(network, stage)
        if name in maybe_read:
            continue
        read = [port for port in ports_of(stage) if PortRef(stage.name, port) in network.readers]
        yield from _unread_outputs(stage, read)
        lost = stage.on_error.then is OnError.DEAD_LETTER and ERRORS not in read
        if lost and PortRef(stage.name, ERRORS) in whole.readers:
            yield Finding(
                at=stage.on_error_at,
                code="unread-errors",
                problem=f"the reader of '{stage.name}.errors' is disabled: dead letters are lost",
                hint=f"enable it, or let another stage read '{stage.name}.errors'",
                severity=Severity.WARNING,
            )


def _unread_outputs(stage: Stage, read: list[str]) -> Iterator[Finding]:
    if stage.home is not None:
        read = [*read, *stage.home.exported]
    if stage.inner is not None:
        yield from _unread_file(stage, read)
        return
    named_in = stage.work.operator.ports_by if isinstance(stage.work, Use) else "outputs"
    for port in stage.outputs:
        if port not in read:
            yield Finding(
                at=stage.at,
                code="unread-output",
                problem=f"nothing reads the output '{stage.name}.{port}'",
                hint=f"read it with `inputs: {stage.name}.{port}`, or take it out of `{named_in}`",
                severity=Severity.WARNING,
                length=len(stage.name),
            )
    # A stage that has ports of its own may send everything there.
    if answers(stage) and not set(read) - {ERRORS, UNMATCHED}:
        yield Finding(
            at=stage.at,
            code="unread-output",
            problem=f"nothing reads the output of '{stage.name}'",
            hint=f"add a stage with `inputs: {stage.name}`; `use: 'null'` takes what nobody needs",
            severity=Severity.WARNING,
            length=len(stage.name),
        )


def _unread_file(stage: Stage, read: list[str]) -> Iterator[Finding]:
    """Of several outputs of a file some may not be needed; all of them would be a mistake."""
    ports = [port for port in ports_of(stage) if port != ERRORS]
    if ports and not set(read) & set(ports):
        names = listed(f"'{PortRef(stage.name, port)}'" for port in ports)
        yield Finding(
            at=stage.at,
            code="unread-output",
            problem=f"nothing reads {names}",
            hint=f"add a stage with `inputs: {PortRef(stage.name, ports[0])}`; "
            "`use: 'null'` takes what nobody needs",
            severity=Severity.WARNING,
            length=len(stage.name),
        )


def _silent(network: Network, stage: Stage) -> Iterator[Finding]:
    readers = network.readers.get(PortRef(stage.name), ())
    if readers and answers(stage) is False:
        yield Finding(
            at=readers[0].edge.at,
            code="never-answers",
            problem=f"stage '{readers[0].stage}' reads '{stage.name}', but '{title(stage)}' never "
            "returns or yields anything",
            hint="did it forget a `return`?",
            severity=Severity.WARNING,
            length=len(str(readers[0].edge.source)),
        )

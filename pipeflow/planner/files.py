"""What one file says as a part of another: its outputs, its inputs, its unread dead letters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeflow.errors import Finding, Severity
from pipeflow.planner.listing import listed
from pipeflow.planner.traits import operator_role, ports_of, title
from pipeflow.spec.pipeline import OutPort, Pipeline, PortRef, Stage
from pipeflow.spec.ports import ERRORS, OUT
from pipeflow.spec.shapes import Role
from pipeflow.suggest import did_you_mean


def output_findings(pipeline: Pipeline) -> Iterator[Finding]:
    """What is wrong with ``outputs`` of a file."""
    stages = {stage.name: stage for stage in pipeline.stages}
    for port in pipeline.outputs:
        yield from _output(pipeline, port, stages)


def unread_inputs(pipeline: Pipeline) -> Iterator[Finding]:
    """Inputs of a file that none of its stages reads."""
    read = {edge.source.stage for stage in pipeline.stages for edge in stage.edges}
    for each in pipeline.inputs:
        if each.name not in read and pipeline.ports_known:
            yield Finding(
                at=each.at,
                code="unread-input",
                problem=f"no stage reads the input '{each.name}'",
                hint=f"add a stage with `inputs: {each.name}`, or take it out of `inputs`",
                severity=Severity.WARNING,
                length=len(each.name),
            )


def not_run_alone(pipeline: Pipeline) -> Iterator[Finding]:
    """That a file with inputs or outputs is a part of another."""
    if pipeline.ports_at is not None:
        yield Finding(
            at=pipeline.ports_at,
            code="part-of-another",
            problem="this file has 'inputs' or 'outputs': it is run as a stage of another file, "
            "not by itself",
            hint=f"in the other file: pipeline: {pipeline.file.rpartition('/')[2]}; "
            "`pipeflow validate` and `pipeflow test` look at this one alone",
            length=len("inputs"),
        )


def limits_unused(pipeline: Pipeline) -> Iterator[Finding]:
    """The limits of a run are those of the file that is run."""
    if pipeline.limits.memory_at or pipeline.limits.processes_at:
        yield Finding(
            at=pipeline.limits_at,
            code="limits-of-a-part",
            problem="the limits of a file that a stage runs are not used: they are those of the "
            "whole run",
            hint="write `limits` in the file that is run",
            severity=Severity.WARNING,
            length=len("limits"),
        )


def _output(pipeline: Pipeline, port: OutPort, stages: Mapping[str, Stage]) -> Iterator[Finding]:
    name, source = port.source.stage, port.source
    stage = stages.get(name)
    if stage is None:
        yield _no_stage(pipeline, port, stages)
        return
    ports = ports_of(stage)
    if stage.ports_known and source.port not in ports:
        near = did_you_mean(source.port, ports)
        meant = f"did you mean '{PortRef(name, near)}'? " if near else ""
        if source.port == ERRORS:
            meant = "It opens with `on_error: dead_letter`. "
        yield _at(
            port,
            "unknown-port",
            f"output '{port.name}' gives '{source}', and '{name}' has no port '{source.port}'",
            f"{meant}The ports of '{name}' are: {listed(ports)}.",
        )
    elif operator_role(stage) is Role.SINK and source.port == OUT:
        yield _at(
            port,
            "reads-a-sink",
            f"output '{port.name}' gives what '{name}' gives, but '{title(stage)}' is a sink and "
            "gives nothing",
            "name a stage that gives items",
        )


def _no_stage(pipeline: Pipeline, port: OutPort, stages: Mapping[str, Stage]) -> Finding:
    name = port.source.stage
    if any(each.name == name for each in pipeline.inputs):
        return _at(
            port,
            "unknown-stage",
            f"output '{port.name}' gives '{name}', which is an input of this file and no stage",
            "who uses this file can read what feeds that input",
        )
    near = did_you_mean(name, stages)
    meant = f"did you mean '{near}' (line {stages[near].at.line})? " if near else ""
    return _at(
        port,
        "unknown-stage",
        f"output '{port.name}' gives '{name}', and no stage has that name",
        f"{meant}The stages are: {listed(stages)}.",
    )


def _at(port: OutPort, code: str, problem: str, hint: str) -> Finding:
    return Finding(
        at=port.source_at, code=code, problem=problem, hint=hint, length=len(str(port.source))
    )

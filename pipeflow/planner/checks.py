"""Checks: every rule on the graph, all findings at once."""

from __future__ import annotations

from collections.abc import Iterator

from pipeflow.errors import Finding, by_place, errors_of
from pipeflow.planner.expand import alone, expand, runs_files
from pipeflow.planner.files import limits_unused, output_findings, unread_inputs
from pipeflow.planner.graph import Network, network, without_disabled
from pipeflow.planner.item_types import item_types
from pipeflow.planner.joins import Zips, find_zips, join_findings, one_worker_each
from pipeflow.planner.listing import listed
from pipeflow.planner.memory import demands_of, limit_findings
from pipeflow.planner.pairing import pairing_findings
from pipeflow.planner.placement import place, process_findings
from pipeflow.planner.references import resolve
from pipeflow.planner.rules import doubts, network_rules, nothing_starts, stage_rules
from pipeflow.planner.shared import manager_count, unused_findings
from pipeflow.planner.traits import is_isolated
from pipeflow.spec.pipeline import Pipeline, Stage


def check(pipeline: Pipeline, *, complete: bool = True) -> tuple[Finding, ...]:
    """Find every mistake and every doubt, sorted by place; nothing is raised.

    A pipeline that earns no error here can be planned, as far as limits allow. Each file is judged
    by itself, in its own names; then all of them as the one graph that they make.

    Args:
        pipeline: As far as it could be read.
        complete: All of its files could be read; else there is no such graph.
    """
    findings = [*_file(pipeline, part=pipeline.ports_at is not None)]
    for inner in _inner_files(pipeline):
        findings += [*_file(inner, part=True, included=True), *limits_unused(inner)]
    if complete and runs_files(pipeline) and not errors_of(findings):
        expanded = expand(pipeline)
        findings += expanded.findings
        told = {(finding.at, finding.code) for finding in findings}
        whole = () if expanded.findings else _file(expanded.pipeline, part=True)
        findings += (each for each in whole if (each.at, each.code) not in told)
    return by_place(findings)


def _inner_files(pipeline: Pipeline) -> Iterator[Pipeline]:
    for stage in pipeline.stages:
        if stage.inner is not None:
            yield stage.inner
            yield from _inner_files(stage.inner)


def _file(pipeline: Pipeline, *, part: bool, included: bool = False) -> list[Finding]:
    """What is wrong with one file, whose stages may run others.

    Args:
        pipeline: The file.
        part: Dead letters that nobody reads come out of it; or it is flat, and that is judged.
        included: A stage of another file runs it.
    """
    findings = list(output_findings(pipeline))
    pipeline = alone(pipeline)
    resolved = resolve(pipeline)
    findings += resolved.findings
    # Where a name is unknown, the stage that was meant may well be the source.
    known = all(finding.code != "unknown-stage" for finding in findings)
    if known and pipeline.stages and all(stage.edges for stage in pipeline.stages):
        findings.append(nothing_starts(pipeline))
    for stage in resolved.pipeline.stages:
        findings += stage_rules(stage, incomplete=stage.name in resolved.incomplete)
    whole = network(resolved.pipeline)
    findings += network_rules(whole, resolved.maybe_read, part=part)
    running = network(without_disabled(resolved.pipeline).pipeline)
    if pipeline.stages and not running.stages:
        findings.append(nothing_starts(pipeline))
    zips = find_zips(running)
    findings += join_findings(running, zips, resolved.incomplete | _open_ends(pipeline))
    findings += _spread_zips(running, zips)
    findings += pairing_findings(running)
    findings += doubts(running, whole, resolved.maybe_read)
    findings += item_types(running)
    findings += unused_findings(pipeline)
    if not resolved.findings:
        findings += unread_inputs(pipeline)
    if not resolved.findings and not included:
        findings += _of_tests(pipeline)
    if included or runs_files(pipeline):
        return findings  # how much all of them need is seen when they are one
    # On any machine there are at least so many; make_plan asks again with what ``auto`` gives.
    fewest = place(running, zips, cores=1)
    beside = sum(fewest[name] for name, stage in running.stages.items() if is_isolated(stage))
    processes = sum(fewest.values()) + beside + manager_count(pipeline)
    findings += process_findings(pipeline, processes)
    findings += limit_findings(pipeline, demands_of(running, fewest))
    return findings


def _open_ends(pipeline: Pipeline) -> frozenset[str]:
    """Stages whose ways are not known in this file: a zip below them is judged in the flat graph.

    Of several inputs nobody knows whether they come from one stage.
    """
    files = {stage.name for stage in pipeline.stages if stage.inner is not None}
    several = len(pipeline.inputs) > 1
    return frozenset(files | ({port.name for port in pipeline.inputs} if several else set()))


def _of_tests(pipeline: Pipeline) -> Iterator[Finding]:
    """What tests say wrong of the graph; which stages are enabled may follow from their params."""
    for test in pipeline.tests:
        from pipeflow.planner.trial.findings import trial_findings  # most files have no tests

        yield from trial_findings(pipeline, test)


def _spread_zips(running: Network, zips: Zips) -> Iterator[Finding]:
    """Replicas that pair by position must be able to tell it by the number of a unit alone."""
    for name, zip_ in zips.by_stage.items():
        stage = running.stages[name]
        by_position = zip_.split is None
        if by_position and _asks_for_several(stage) and not one_worker_each(running, zips, stage):
            yield _several_by_position(stage)


def _asks_for_several(stage: Stage) -> bool:
    return stage.replicas_given and stage.replicas is not None and stage.replicas > 1


def _several_by_position(stage: Stage) -> Finding:
    inputs = listed(f"'{edge.input}'" for edge in stage.edges)
    return Finding(
        at=stage.replicas_at,
        code="join-replicas",
        problem=f"stage '{stage.name}' pairs {inputs} by position; {stage.replicas} replicas need "
        "inputs that each come from a stage with one worker, outside of other joins",
        hint="write `replicas: 1`, and do the heavy work in a stage behind it",
    )

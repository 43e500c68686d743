"""Checks: every rule on the graph, all findings at once."""

from __future__ import annotations

from collections.abc import Iterator

from pipeflow.errors import Finding, Severity
from pipeflow.planner.graph import Network, network, without_disabled
from pipeflow.planner.item_types import item_types
from pipeflow.planner.joins import Zips, find_zips, join_findings, one_worker_each
from pipeflow.planner.listing import listed
from pipeflow.planner.memory import demands_of, limit_findings
from pipeflow.planner.placement import place, process_findings
from pipeflow.planner.references import resolve
from pipeflow.planner.rules import doubts, network_rules, nothing_starts, stage_rules
from pipeflow.planner.shared import manager_count, unused_findings
from pipeflow.spec.pipeline import Pipeline, Stage


def check(pipeline: Pipeline) -> tuple[Finding, ...]:
    """Find every mistake and every doubt, sorted by place; nothing is raised.

    A pipeline that earns no error here can be planned, as far as limits allow.
    """
    resolved = resolve(pipeline)
    findings = list(resolved.findings)
    # Where a name is unknown, the stage that was meant may well be the source.
    known = all(finding.code != "unknown-stage" for finding in findings)
    if known and pipeline.stages and all(stage.edges for stage in pipeline.stages):
        findings.append(nothing_starts(pipeline))
    for stage in resolved.pipeline.stages:
        findings += stage_rules(stage, incomplete=stage.name in resolved.incomplete)
    whole = network(resolved.pipeline)
    findings += network_rules(whole, resolved.maybe_read)
    running = network(without_disabled(resolved.pipeline).pipeline)
    if pipeline.stages and not running.stages:
        findings.append(nothing_starts(pipeline))
    zips = find_zips(running)
    findings += join_findings(running, zips, resolved.incomplete)
    findings += _spread_zips(running, zips)
    findings += doubts(running, whole, resolved.maybe_read)
    findings += item_types(running)
    findings += unused_findings(pipeline)
    if not resolved.findings:
        findings += _of_tests(pipeline)
    # On any machine there are at least so many; make_plan asks again with what ``auto`` gives.
    fewest = place(running, zips, cores=1)
    processes = sum(fewest.values()) + manager_count(pipeline)
    findings += process_findings(pipeline, processes)
    findings += limit_findings(pipeline, demands_of(running, fewest))
    return by_place(findings)


def _of_tests(pipeline: Pipeline) -> Iterator[Finding]:
    """What tests say wrong of the graph; which stages are enabled may follow from their params."""
    for test in pipeline.tests:
        from pipeflow.planner.trial import trial_findings  # most files have no tests

        yield from trial_findings(pipeline, test)


def by_place(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sorted by place, each once."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: (finding.at, finding.code)))


def errors_of(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those that forbid a run."""
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


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

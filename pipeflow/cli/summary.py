"""The last words of a run: items, time, rate, what was given up, and doubts about the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeflow.cli.share import Standing, share_done
from pipeflow.cli.wording import in_one_line, plural, rate, seconds
from pipeflow.planner.listing import listed
from pipeflow.planner.plan import Join, Plan, StagePlan
from pipeflow.spec.ports import ERRORS, UNMATCHED
from pipeflow.telemetry.report import Report, Status


def summary(report: Report, plan: Plan) -> str:
    """One line: ``thumbnails: 1,204 items in 3.2 s (376/s), 3 dead letters``."""
    run = report.run
    sources = {stage.name for stage in plan.stages if not stage.edges_in}
    items = sum(sum(stage.emitted.values()) for stage in report.stages if stage.name in sources)
    name = in_one_line(run.pipeline)
    if run.status is Status.SUCCEEDED:
        text = f"{name}: {plural(items, 'item')} in {seconds(run.wall_s)}"
    else:
        items = int(items * share_done(_standings(report)))
        text = f"{name}: {run.status.value} after {plural(items, 'item')}"
        text += f" and {seconds(run.wall_s)}"
    if items and run.wall_s > 0:
        text += f" ({rate(items / run.wall_s)})"
    return ", ".join([text, *_losses(report, plan), *_early_end(report, plan)])


def _standings(report: Report) -> dict[str, Standing]:
    """How far each stage came."""
    stages: dict[str, Standing] = {}
    for stage in report.stages:
        done = stage.processed + stage.skipped + stage.dead_lettered
        stages[stage.name] = Standing(done, still=max(0, stage.received - done))
    for edge in report.edges:
        stages[edge.target].still += edge.unread
        stages[edge.target].writers.add(edge.source.rpartition(".")[0])
    return stages


def doubts(report: Report, plan: Plan) -> Iterator[str]:
    """Sentences about a run that went well by its numbers, but maybe not as it was meant.

    Stages that pass nothing on are told by the executor, as their own warnings.
    """
    by_position = {stage.name for stage in plan.stages if stage.join is Join.ZIP_BY_POSITION}
    for edge in report.edges:
        if edge.unmatched and edge.target in by_position:
            yield (
                f"stage '{edge.target}': {plural(edge.unmatched, 'item')} of input '{edge.input}'"
                " found no partner, since another input ended before"
            )
    barren = {
        stage.name
        for stage in report.stages
        if not any(stage.emitted.values()) and not stage.ended_early
    }
    for stage in plan.stages:
        if stage.operator == "files" and stage.name in barren:
            yield f"stage '{stage.name}' has found no files: look at its `root` and `pattern`"
        edges = [edge for edge in report.edges if edge.target == stage.name]
        nothing = bool(edges) and all(edge.sent and not edge.delivered for edge in edges)
        if nothing and stage.join in _UNJOINED:
            inputs = listed(f"'{edge.input}'" for edge in edges)
            why = f"no items of {inputs} had {_UNJOINED[stage.join]}"
            yield f"stage '{stage.name}' has joined nothing: {why}"


#: What items lack that found no partner at all.
_UNJOINED: Final = {
    Join.BY_KEY: "equal keys in time; text is never equal to a number",
    Join.ZIP_BY_ID: "the same id; results of an iterator bear ids of their own (`n:7.0`, `n:7.1`)",
}


def _losses(report: Report, plan: Plan) -> Iterator[str]:
    counts = (
        # Of a pair that failed there is one letter, though two items.
        (sum(stage.emitted.get(ERRORS, 0) for stage in report.stages), "dead letter"),
        (sum(edge.dropped for edge in report.edges), "dropped item"),
    )
    # Who joins by key and does not read what is left over may not know that there is any.
    unheard = {
        stage.name
        for stage in plan.stages
        if stage.join is Join.BY_KEY and UNMATCHED not in stage.edges_out
    }
    lost = sum(edge.unmatched for edge in report.edges if edge.target in unheard)
    yield from (plural(number, word) for number, word in counts if number)
    if lost:
        yield f"{lost:,} unmatched"
    skipped = sum(stage.skipped for stage in report.stages)
    if skipped:
        yield f"{skipped:,} skipped"
    retried = sum(stage.retried for stage in report.stages)
    if retried:
        yield f"{retried:,} {'retry' if retried == 1 else 'retries'}"


def _early_end(report: Report, plan: Plan) -> Iterator[str]:
    if report.run.status is not Status.SUCCEEDED:
        return
    ended = {stage.name for stage in report.stages if stage.ended_early}
    early = {
        stage.name
        for stage in plan.stages
        if stage.name in ended
        and (stage.join is not Join.ZIP_BY_POSITION or _was_missed(stage, report, plan))
    }
    for stage in plan.stages:
        readers = {
            plan.stages[plan.edges[edge].target].name
            for edges in stage.edges_out.values()
            for edge in edges
        }
        # The stage that wanted no more, not those before it that ended for want of readers.
        # To end with its first input is what the join of the latest is for.
        as_ever = stage.join is Join.LATEST
        if stage.name in early and stage.edges_in and not (readers & early) and not as_ever:
            yield f"ended early by '{stage.name}'"


def _was_missed(stage: StagePlan, report: Report, plan: Plan) -> bool:
    """Whether anything more would have come to a zip that went with its shortest input.

    It waits a moment for the ends of the others; of one that comes later nobody has lost anything.
    """
    writers = {plan.stages[plan.edges[edge].source].name for edge in stage.edges_in}
    return any(each.unread for each in report.edges if each.target == stage.name) or any(
        each.was_left for each in report.stages if each.name in writers
    )

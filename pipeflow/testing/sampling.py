"""Sampling: the first items of the sources of a pipeline, and what becomes of them at its ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeflow.api import Reading
from pipeflow.errors import UsageError
from pipeflow.planner.shared import with_stages
from pipeflow.planner.traits import without_letters
from pipeflow.spec.pipeline import Call, Edge, Expected, FileTest, Given, Pipeline, PortRef, Stage
from pipeflow.spec.shapes import Shape
from pipeflow.spec.stage_type import CallFacts
from pipeflow.testing.file_tests import try_test
from pipeflow.testing.silent_run import heed_interrupt, run_silently


def sampled(
    reading: Reading, running: Pipeline, ports: Sequence[PortRef], take: int
) -> dict[PortRef, Sequence[object]]:
    """What the sources give, and what comes of it at some ports.

    Args:
        reading: The file, without its tests.
        running: The part of it that is run.
        ports: The ports.
        take: How many items of each source.

    Raises:
        UsageError: The sample cannot be run.
    """
    from pipeflow.stages.importing import forget

    stages = {stage.name: stage for stage in running.stages}
    try:
        sample = _first_items(running, take)
        # With the same modules: the items may be of their classes.
        outcome = try_test(reading, _probe(stages, sample, ports))
    finally:
        forget()
    if not outcome.passed:
        raise UsageError(f"the sample could not be run: {outcome.differences[0].problem}")
    return sample | {each.port: items for each, items in outcome.came}


def _first_items(running: Pipeline, take: int) -> dict[PortRef, Sequence[object]]:
    """What each source gives first; nothing behind it runs."""
    from pipeflow.planner.make import make_plan
    from pipeflow.runtime.machine import read_machine

    read_ports = {edge.source for stage in running.stages for edge in stage.edges}
    sources = [stage for stage in running.stages if not stage.edges]
    ports = [
        port for port in sorted(read_ports, key=str) if port.stage in {s.name for s in sources}
    ]
    takers = [
        _taker(port, take, next(s for s in sources if s.name == port.stage)) for port in ports
    ]
    kept = [without_letters(source, set(ports)) for source in sources]
    plan = make_plan(with_stages(running, (*kept, *takers)), read_machine())
    report, came = run_silently(plan, map(str, ports))
    heed_interrupt(report)
    if report.errors:
        error = report.errors[0]
        raise UsageError(f"no sample: stage '{error.stage}' failed: {error.type}: {error.message}")
    return {port: tuple(came[str(port)]) for port in ports}


def _taker(port: PortRef, take: int, source: Stage) -> Stage:
    facts = CallFacts(shape=Shape.STREAM, keeps_state=True, answers=False)
    return Stage(
        name=f"first of {port}",
        at=source.at,
        work=Call(module="pipeflow.testing.stand_ins", attribute="first", facts=facts),
        work_at=source.at,
        parameters={"count": take, "collection": str(port)},
        edges=(Edge(source=port, at=source.at),),
        replicas_at=source.at,
        partition_at=source.at,
        on_error_at=source.at,
    )


def _probe(
    stages: Mapping[str, Stage],
    sample: Mapping[PortRef, Sequence[object]],
    ports: Sequence[PortRef],
) -> FileTest:
    """A test that expects nothing, and so tells what comes."""
    at = next(iter(stages.values())).at
    return FileTest(
        name="sample",
        at=at,
        given=tuple(Given(port=port, at=at, items=tuple(items)) for port, items in sample.items()),
        expect=tuple(Expected(port=port, at=at, value_at=at) for port in ports),
    )

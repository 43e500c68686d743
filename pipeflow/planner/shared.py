"""State that stages share: which of it runs, what it takes, and what nobody uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeflow.errors import Finding, Severity
from pipeflow.spec.pipeline import Pipeline, Stage
from pipeflow.spec.shared import Shared, names_of
from pipeflow.values import replace


def used_by(pipeline: Pipeline, stages: Iterable[Stage]) -> tuple[Shared, ...]:
    """The state to which some stages refer, in the order of the file."""
    used = frozenset().union(*(names_of(stage.parameters) for stage in stages))
    return tuple(shared for shared in pipeline.shared if shared.name in used)


def with_stages(pipeline: Pipeline, stages: tuple[Stage, ...]) -> Pipeline:
    """The pipeline with other stages, and the state that these share."""
    return replace(pipeline, stages=stages, shared=used_by(pipeline, stages))


def shared_bytes(pipeline: Pipeline) -> int:
    """Bytes of shared memory that values and arrays take, of those that are used."""
    return sum(shared.nbytes for shared in used_by(pipeline, pipeline.stages))


def manager_count(pipeline: Pipeline) -> int:
    """How many processes keep shared dicts and lists: one or none."""
    return int(any(shared.in_manager for shared in used_by(pipeline, pipeline.stages)))


def unused_findings(pipeline: Pipeline) -> Iterator[Finding]:
    """State that no stage gets."""
    used = used_by(pipeline, pipeline.stages)
    for shared in pipeline.shared:
        if shared not in used:
            yield Finding(
                at=shared.at,
                code="unused-shared",
                problem=f"no stage uses shared '{shared.name}'",
                hint=f'give it to a stage: with: {{{shared.name}: "${{shared.{shared.name}}}"}}',
                severity=Severity.WARNING,
                length=len(shared.name),
            )

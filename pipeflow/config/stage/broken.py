"""What stands for a stage, or for its work, that a mistake hides."""

from __future__ import annotations

from typing import Final

from pipeflow.config.nodes import Entry
from pipeflow.spec.pipeline import Call, Stage

#: Stands for work that is not known because of a mistake: the planner then asks nothing of it.
UNKNOWN_WORK: Final = Call(module="", attribute="")


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

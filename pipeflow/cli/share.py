"""What part of a run is done, told from what each stage has done and has still before it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.values import dataclass, field


@dataclass(slots=True)
class Standing:
    """How far a stage is.

    Attributes:
        done: Items that it has taken, or is done with.
        still: Items that wait for it.
        writers: The stages that it reads.
    """

    done: int
    still: int = 0
    writers: set[str] = field(default_factory=set)


def share_done(stages: Mapping[str, Standing]) -> float:
    """The part of all that the sources have given that has gone through every stage, 0 to 1.

    What waits for a stage are the last items that its writers had: of what it was sent, the part
    that is done, of its writers' part, is its own. The least part is that of the run.

    Args:
        stages: All of the run, by name.
    """
    from graphlib import TopologicalSorter  # most runs are over before anything is shown

    part: dict[str, float] = {}
    before = {name: stage.writers for name, stage in stages.items()}
    for name in TopologicalSorter(before).static_order():
        stage = stages[name]
        part[name] = min((part[writer] for writer in stage.writers), default=1.0)
        if stage.still:
            part[name] *= stage.done / (stage.done + stage.still)
    return min(part.values(), default=1.0)

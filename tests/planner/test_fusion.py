"""What a plan says of stages that were to share a process."""

from __future__ import annotations

import pytest

from pipeflow.planner.make import make_plan
from pipeflow.planner.plan import Machine
from tests.planner.building import FILES, MAP, SAVE, pipeline, stage

MACHINE = Machine(cores=16, memory=8 * 2**30, descriptors=4096)


UNEVEN = (
    "`--fuse` changes nothing: 'load' and 'shrink' have 1 and 2 replicas; neighbours share a"
    " process if they have equally many"
)


@pytest.mark.parametrize(
    ("replicas", "said"),
    [(1, "stages load, shrink run in one process (`--fuse`)"), (2, UNEVEN)],
)
def test_neighbours_that_differ_in_replicas_alone_are_told_why_they_are_not_fused(
    replicas: int, said: str
) -> None:
    spec = pipeline(
        stage("find", "", FILES),
        stage("load", "find", MAP),
        stage("shrink", "load", MAP, replicas=replicas),
        stage("save", "shrink", SAVE),
    )

    assert make_plan(spec, MACHINE, fusion=True).notes == (said,)


def test_where_nothing_can_be_fused_that_is_said() -> None:
    spec = pipeline(stage("find", "", FILES), stage("save", "find", SAVE))

    assert make_plan(spec, MACHINE, fusion=True).notes == (
        "`--fuse` changes nothing: no two neighbours are one-to-one stages",
    )

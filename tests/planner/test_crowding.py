"""What a plan says when it has more processes than there are cores."""

from __future__ import annotations

from pipeflow.planner.make import make_plan
from pipeflow.planner.plan import Machine
from pipeflow.spec.pipeline import Pipeline
from tests.planner.building import FILES, MAP, SAVE, pipeline, stage


def chain(replicas: int = 1) -> Pipeline:
    return pipeline(
        stage("find", "", FILES),
        stage("load", "find", MAP, replicas=replicas),
        stage("shrink", "load", MAP, replicas=replicas),
        stage("save", "shrink", SAVE),
    )


def machine(cores: int) -> Machine:
    return Machine(cores=cores, memory=8 * 2**30, descriptors=4096)


def test_a_core_for_each_process_is_nothing_to_speak_of() -> None:
    assert make_plan(chain(), machine(cores=4)).notes == ()


def test_more_processes_than_cores_share_them_and_the_plan_says_what_that_means() -> None:
    (note,) = make_plan(chain(), machine(cores=1)).notes

    assert note == (
        "4 processes share 1 core (affinity and cgroup): while all of them are busy each gets 25 %"
        " of a core; those that wait take none of it; `--fuse` needs 3 processes"
    )


def test_fused_processes_are_counted_as_they_are() -> None:
    assert len(make_plan(chain(), machine(cores=3), fusion=True).notes) == 1

    _, note = make_plan(chain(), machine(cores=2), fusion=True).notes

    assert note.startswith("3 processes share 2 cores (affinity and cgroup): ")
    assert "--fuse" not in note


def test_replicas_beyond_the_cores_are_named() -> None:
    (note,) = make_plan(chain(replicas=3), machine(cores=2)).notes

    assert note.endswith(
        "`--fuse` needs 5 processes, and no more than 2 replicas of 'load', 'shrink' can compute at"
        " a time"
    )


def test_on_one_core_one_replica_can_compute() -> None:
    (note,) = make_plan(chain(replicas=2), machine(cores=1)).notes

    assert note.endswith("and no more than 1 replica of 'load', 'shrink' can compute at a time")

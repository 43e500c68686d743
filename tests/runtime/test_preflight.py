from __future__ import annotations

import os

from pipeflow.runtime.launch.preflight import Needs, refusal
from pipeflow.runtime.launch.standard import open_standard_descriptors

NEEDS = Needs(processes=11, descriptors=200)


def test_a_machine_with_room_enough_refuses_nothing() -> None:
    assert refusal(NEEDS, free=None, hard_descriptors=200) == ""
    assert refusal(NEEDS, free=11, hard_descriptors=4096) == ""


def test_too_few_processes_are_refused_with_both_numbers_and_the_remedy() -> None:
    problem = refusal(NEEDS, free=10, hard_descriptors=4096)

    assert problem == (
        "the run needs 11 processes, and only 10 more may be started"
        " (`ulimit -u`, or pids.max of the control group): lower replicas, or raise the limit"
    )


def test_too_few_descriptors_are_refused_with_both_numbers_and_the_remedy() -> None:
    problem = refusal(NEEDS, free=None, hard_descriptors=40)

    assert problem == (
        "the run needs 200 open files, and the hard limit is 40 (`ulimit -Hn`):"
        " lower replicas, use `transport: queue`, or raise the limit"
    )


def test_open_standard_descriptors_leaves_open_ones_alone() -> None:
    before = [os.fstat(fd).st_ino for fd in range(3)]

    open_standard_descriptors()

    assert [os.fstat(fd).st_ino for fd in range(3)] == before

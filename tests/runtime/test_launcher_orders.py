"""What a worker is started with, decided before any process exists."""

from __future__ import annotations

import pickle

import pytest

from pipeflow.errors import Location
from pipeflow.planner.plan import StagePlan
from pipeflow.runtime.framing import Unframing, frame
from pipeflow.runtime.launch.environment import (
    THREAD_VARIABLES,
    needs_fresh_interpreter,
    stage_environment,
)
from pipeflow.runtime.launch.messages import (
    Exited,
    Launched,
    Reply,
    Request,
    Signal,
)


def stage(**settings: object) -> StagePlan:
    return StagePlan(index=0, name="s", at=Location("p.yaml", 1, 1), **settings)  # type: ignore[arg-type]  # any field


def test_every_library_is_told_how_many_threads_to_start() -> None:
    told = stage_environment(stage(threads=2), replica=0)

    assert told == dict.fromkeys(THREAD_VARIABLES, "2")


def test_what_the_stage_says_itself_wins_and_knows_its_replica() -> None:
    env = {"OMP_NUM_THREADS": "7", "SHARD": "part-${replica}"}

    told = stage_environment(stage(env=env), replica=3)

    assert (told["OMP_NUM_THREADS"], told["MKL_NUM_THREADS"]) == ("7", "1")
    assert told["SHARD"] == "part-3"


def test_replicas_take_turns_with_the_gpus() -> None:
    seen = [stage_environment(stage(gpus=(0, 2)), r)["CUDA_VISIBLE_DEVICES"] for r in range(3)]

    assert seen == ["0", "2", "0"]


@pytest.mark.parametrize("name", ["PYTHONPATH", "LD_PRELOAD", "LC_ALL", "LANG"])
def test_what_is_read_at_the_start_of_a_program_needs_a_fresh_interpreter(name: str) -> None:
    assert needs_fresh_interpreter({name: "x"})
    assert not needs_fresh_interpreter({"SHARD": "x", "OMP_NUM_THREADS": "1"})


def test_messages_come_out_whole_however_the_bytes_arrive() -> None:
    sent: list[Request | Reply] = [
        Launched(1, 100),
        Signal(1, 9),
        Exited(worker=1, pid=100, status=-9),
    ]
    stream = b"".join(frame(message) for message in sent)
    unframing = Unframing()

    came = [message for byte in stream for message in unframing.feed(bytes([byte]))]

    assert came == sent
    assert pickle.loads(pickle.dumps(came)) == sent

"""``with pipeflow.stream(...) as items``: a loop over what a running pipeline gives."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeflow
from pipeflow.errors import InvalidPipeline, PipeflowError, StageFailed, UsageError
from pipeflow.telemetry.events import Event, WorkerReady
from pipeflow.telemetry.report import Report, Status

pytestmark = pytest.mark.processes

DEADLINE_S = 60.0

CODE = """
import os
import signal
import time

import numpy as np

def numbers(stop):
    yield from range(stop)

def big(x):
    return np.full(200_000, x, dtype="int64")

def fails(x, at=5):
    if x == at:
        raise ValueError("on purpose")
    return x

def refuses_odd(x):
    if x % 2:
        raise ValueError("odd")
    return x

def fails_late(x, flag):
    while x == 5 and not os.path.exists(flag):
        time.sleep(0.01)
    return fails(x)

def dies(x):
    if x == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return x

def sleeps(x):
    if x:
        time.sleep(1000)
    return x

def both(x):
    yield x
    yield -x

class Late:
    def __call__(self, x):
        return x

    def finish(self):
        raise RuntimeError("at the end")
"""


def write(folder: Path, call: str, stop: int = 20, **more: Any) -> Path:
    (folder / "looped.py").write_text(CODE)
    stages = {
        "source": {"call": "looped:numbers", "with": {"stop": stop}},
        "work": {"call": f"looped:{call}", "inputs": "source", **more},
        "unused": {"call": "looped:fails", "inputs": "work", "with": {"at": 0}},
        "sink": {"use": "null", "inputs": "unused"},
    }
    file = folder / "pipeline.yaml"
    file.write_text(json.dumps({"stages": stages}))
    return file


def whole(report: Report) -> None:
    assert report.ledger.findings == ()
    assert report.ledger.balanced


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("method", ["", "spawn"])
def test_a_loop_gets_what_the_stage_gives_in_order(
    tmp_path: Path, replicas: int, method: str
) -> None:
    file = write(tmp_path, "both", replicas=replicas)

    with pipeflow.stream(file, stage="work", start_method=method) as items:
        got = list(items)

    assert got == [each for n in range(20) for each in (n, -n)]
    assert items.report.run.status is Status.SUCCEEDED
    whole(items.report)
    # What does not lead to the stage does not run; the loop is a reader like any other.
    assert [stage.name for stage in items.report.stages] == ["source", "work", "loop"]
    (reader,) = items.report.stages[2].workers
    assert reader.pid == os.getpid()
    assert items.report.stages[2].received == 40


def test_arrays_are_not_copied_and_outlive_the_run(tmp_path: Path) -> None:
    file = write(tmp_path, "big", stop=6)

    with pipeflow.stream(file, stage="work") as items:
        kept = list(items)

    assert [int(each.sum()) for each in kept] == [200_000 * n for n in range(6)]
    assert not any(each.flags.writeable for each in kept)
    edge = items.report.edges[-1]
    assert edge.bytes_shared == 6 * kept[0].nbytes
    whole(items.report)


@pytest.mark.parametrize("replicas", [1, 3])
def test_leaving_a_loop_over_dead_letters_early_ends_the_run_too(
    tmp_path: Path, replicas: int
) -> None:
    file = write(tmp_path, "refuses_odd", 10**9, replicas=replicas, on_error="dead_letter")
    text = json.loads(file.read_text())
    text["stages"]["broken"] = {"use": "null", "inputs": "work.errors"}
    file.write_text(json.dumps(text))

    with pipeflow.stream(file, stage="work.errors") as letters:
        got = [next(letters)["item"] for _ in range(3)]

    assert got == [1, 3, 5]
    assert letters.report.run.status is Status.SUCCEEDED
    whole(letters.report)


@pytest.mark.parametrize("stop", [10**9, 3])
def test_leaving_the_loop_early_ends_the_run_cleanly(tmp_path: Path, stop: int) -> None:
    file = write(tmp_path, "big", stop=stop)

    with pipeflow.stream(file, stage="work") as items:
        for item in items:
            if item[0] == 2:
                break

    assert items.report.run.status is Status.SUCCEEDED
    assert items.report.run.exit_code == 0
    whole(items.report)
    with pytest.raises(StopIteration):
        next(items)


def test_an_error_in_the_body_ends_the_run_and_stays_the_error(tmp_path: Path) -> None:
    file = write(tmp_path, "big", stop=10**9)
    reports: list[Report] = []

    def loop() -> None:
        stream = pipeflow.stream(file, stage="work")
        try:
            with stream as items:
                print(1 // int(next(items)[0]))
        finally:
            reports.append(items.report)

    with pytest.raises(ZeroDivisionError):
        loop()

    assert reports[0].run.status is Status.SUCCEEDED


def test_a_stage_that_fails_raises_in_the_loop_with_its_own_traceback(tmp_path: Path) -> None:
    file = write(tmp_path, "fails", stop=10**9)
    got: list[int] = []

    with pipeflow.stream(file, stage="work") as items, pytest.raises(StageFailed) as caught:
        got.extend(items)

    # What was on its way when the run ended is lost, as for any other reader.
    assert got == list(range(len(got)))
    error = caught.value
    assert (error.stage, error.item, error.kind) == ("work", "source:5", "ValueError")
    assert "on purpose" in str(error)
    assert 'raise ValueError("on purpose")' in error.__notes__[0]
    assert items.report.run.status is Status.FAILED
    whole(items.report)


def test_a_stage_that_fails_at_the_end_raises_behind_the_last_item(tmp_path: Path) -> None:
    file = write(tmp_path, "Late", stop=3)

    with pytest.raises(StageFailed, match="at the end"):
        list(pipeflow.stream(file, stage="work"))


def test_a_worker_that_is_killed_raises_in_the_loop(tmp_path: Path) -> None:
    file = write(tmp_path, "dies", stop=10**9)

    with (
        pipeflow.stream(file, stage="work") as items,
        pytest.raises(StageFailed, match="ended by SIGKILL"),
    ):
        list(items)

    whole(items.report)


def test_a_run_that_fails_while_the_body_works_ends_without_it(tmp_path: Path) -> None:
    flag = tmp_path / "taken"
    file = write(tmp_path, "fails_late", stop=10**9, **{"with": {"flag": str(flag)}})
    over = threading.Event()

    def hear(event: Event) -> None:
        if type(event).__name__ == "RunFinished":
            over.set()

    with pipeflow.stream(file, stage="work", listener=hear) as items:
        assert next(items) == 0
        flag.touch()
        assert over.wait(DEADLINE_S)
        with pytest.raises(StageFailed, match="on purpose"):
            list(items)

    whole(items.report)


def test_it_can_be_pickled_and_read_again_and_again_also_in_a_fork(tmp_path: Path) -> None:
    file = write(tmp_path, "both", stop=2)
    stream = pickle.loads(pickle.dumps(pipeflow.stream(file, stage="work", seed=3)))

    def read(end: Connection) -> None:
        end.send(list(stream))

    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=read, args=(theirs,), daemon=True)
    child.start()

    assert ours.poll(DEADLINE_S)
    assert ours.recv() == list(stream) == list(stream) == [0, 0, 1, -1]
    child.join(DEADLINE_S)


def test_two_loops_at_once_do_not_mind_each_other(tmp_path: Path) -> None:
    file = write(tmp_path, "both", stop=50)
    stream = pipeflow.stream(file, stage="work")

    pairs = list(zip(stream, pipeflow.stream(file, stage="source"), strict=False))

    assert pairs[:3] == [(0, 0), (0, 1), (1, 2)]
    assert len(pairs) == 50


def test_it_works_beside_a_running_event_loop_and_outside_of_the_main_thread(
    tmp_path: Path,
) -> None:
    file = write(tmp_path, "both", stop=2)

    async def notebook() -> list[Any]:
        here = list(pipeflow.stream(file, stage="work"))
        there = await asyncio.to_thread(lambda: list(pipeflow.stream(file, stage="work")))
        return [here, there]

    assert asyncio.run(notebook()) == [[0, 0, 1, -1], [0, 0, 1, -1]]


def test_a_loop_that_is_not_finished_ends_its_run_when_it_is_dropped(tmp_path: Path) -> None:
    pids: list[int] = []

    def hear(event: Event) -> None:
        if isinstance(event, WorkerReady):
            pids.append(event.pid)

    loop = iter(pipeflow.stream(write(tmp_path, "both", 10**9), stage="work", listener=hear))
    next(loop)
    del loop

    assert len(pids) == 3
    for pid in set(pids) - {os.getpid()}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


PROGRAM = """
import pipeflow, sys
with pipeflow.stream(sys.argv[1], stage=sys.argv[2]) as items:
    try:
        for item in items:
            print("got", item, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        raise
    finally:
        print("left", flush=True)
"""


@pytest.mark.parametrize("call", ["both", "sleeps"])
def test_control_c_ends_the_loop_and_the_run(tmp_path: Path, call: str) -> None:
    file = write(tmp_path, call, 10**9)
    program = [sys.executable, "-c", PROGRAM, str(file), "work"]

    with subprocess.Popen(
        program, stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "got 0\n"
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=DEADLINE_S)

    assert run.returncode == -signal.SIGINT
    assert out.endswith("interrupted\nleft\n")
    assert err.rstrip().endswith("KeyboardInterrupt")


def test_stages_that_nobody_reads_need_not_be_named_if_there_is_but_one(tmp_path: Path) -> None:
    (tmp_path / "looped.py").write_text(CODE)
    file = tmp_path / "pipeline.yaml"
    source = {"call": "looped:numbers", "with": {"stop": 2}}
    end = {"call": "looped:both", "inputs": "a"}

    file.write_text(json.dumps({"stages": {"a": source, "b": end}}))
    assert list(pipeflow.stream(file)) == [0, 0, 1, -1]

    file.write_text(json.dumps({"stages": {"a": source, "b": end, "c": end}}))
    with pytest.raises(UsageError, match="say which stage to read: stage=NAME"):
        list(pipeflow.stream(file))


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("wrok", "no stage has the name 'wrok'; did you mean 'work'?"),
        ("work.ot", "'work' has no port 'ot'; did you mean 'work'? its ports are: out"),
        ("sink", "'sink' is a sink and gives nothing; read what it reads: 'unused'"),
    ],
)
def test_what_gives_nothing_is_told_before_anything_runs(
    tmp_path: Path, stage: str, words: str
) -> None:
    stream = pipeflow.stream(write(tmp_path, "both"), stage=stage)

    with pytest.raises(UsageError) as caught, stream:
        pass

    assert words in str(caught.value)


def test_a_port_of_dead_letters_can_be_read(tmp_path: Path) -> None:
    file = write(tmp_path, "fails", on_error="dead_letter")
    text = json.loads(file.read_text())
    text["stages"]["letters"] = {"use": "null", "inputs": "work.errors"}
    file.write_text(json.dumps(text))

    (letter,) = pipeflow.stream(file, stage="work.errors")

    assert (letter["id"], letter["item"]) == ("source:5", 5)


def test_a_file_with_mistakes_raises_them_and_the_report_waits_for_the_end(tmp_path: Path) -> None:
    with pytest.raises(InvalidPipeline, match="unknown-stage"):
        list(pipeflow.stream({"stages": {"a": {"use": "print", "inputs": "b"}}}, stage="a"))

    with pipeflow.stream(write(tmp_path, "big"), stage="work") as items:
        with pytest.raises(UsageError, match="the run goes on"):
            _ = items.report
        assert np.asarray(next(items))[0] == 0


def test_a_failure_of_the_run_as_a_whole_is_an_error_too(tmp_path: Path) -> None:
    file = write(tmp_path, "big", stop=10**9)
    text = json.loads(file.read_text())
    text["limits"] = {"memory": "20MiB"}
    file.write_text(json.dumps(text))

    with pytest.raises(PipeflowError, match=r"would pass limits\.memory"):
        list(pipeflow.stream(file, stage="work"))

"""The fixture that looks for leftovers, looked at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import shared_memory

import pytest

from pipeflow.testing.leftovers import Traces, leftovers

AT_ONCE = 0.05


def test_nothing_new_is_no_finding() -> None:
    before = Traces.now()

    assert leftovers(before) == []


def test_an_open_descriptor_is_found() -> None:
    before = Traces.now()
    reading, writing = os.pipe()

    found = leftovers(before, deadline_s=AT_ONCE)

    os.close(reading)
    os.close(writing)
    assert [line.split(" -> ")[0] for line in found] == [
        f"descriptor {reading}",
        f"descriptor {writing}",
    ]


def test_anonymous_memory_is_found() -> None:
    before = Traces.now()
    memory = os.memfd_create("segment")

    found = leftovers(before, deadline_s=AT_ONCE)

    os.close(memory)
    assert len(found) == 1
    assert "memfd:segment" in found[0]


def test_named_memory_is_found() -> None:
    before = Traces.now()
    segment = shared_memory.SharedMemory(create=True, size=4096)

    found = leftovers(before, deadline_s=AT_ONCE)

    segment.close()
    segment.unlink()
    assert f"/dev/shm/{segment.name}" in found


def test_a_thread_that_still_runs_is_found() -> None:
    before = Traces.now()
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="loiterer")
    thread.start()

    found = leftovers(before, deadline_s=AT_ONCE)

    release.set()
    thread.join()
    assert found == ["thread loiterer"]


def test_a_thread_that_is_about_to_end_is_waited_for() -> None:
    before = Traces.now()
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    threading.Timer(0.05, release.set).start()

    assert leftovers(before) == []


@pytest.mark.processes
def test_a_child_that_still_runs_is_found() -> None:
    before = Traces.now()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    found = leftovers(before, deadline_s=AT_ONCE)

    child.communicate()
    assert found[0].startswith(f"process {child.pid}: ")


@pytest.mark.processes
def test_an_orphan_is_found_by_its_mark() -> None:
    before = Traces.now()
    # The child ends at once and leaves a process of its own, which is nobody's child any more.
    program = (
        "import subprocess, sys;"
        "print(subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL).pid)"
    )
    orphan = int(subprocess.check_output([sys.executable, "-c", program]))

    found = leftovers(before, deadline_s=AT_ONCE)

    os.kill(orphan, signal.SIGKILL)
    assert found == [f"process {orphan}: sleep 60"]


@pytest.mark.processes
def test_a_dead_child_counts_as_gone_and_is_reaped() -> None:
    before = Traces.now()
    child = os.spawnlp(os.P_NOWAIT, "true", "true")

    found = leftovers(before)

    assert found == []
    with pytest.raises(ChildProcessError):
        os.waitpid(child, 0)


def test_looking_twice_is_cheap() -> None:
    before = Traces.now()
    rounds = 50
    start = time.process_time()

    for _ in range(rounds):
        leftovers(before)

    assert (time.process_time() - start) / rounds < 0.02  # generous: the aim is 3 ms

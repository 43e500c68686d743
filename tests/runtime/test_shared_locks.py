"""The locks of shared state among processes."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeflow.runtime.shared.locks import FileClaim, Stages

pytestmark = pytest.mark.processes


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "locks", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def held_by_a_child(fd: int) -> int:
    """A child that has the first lock and waits; its process id."""
    ready, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        fcntl.lockf(fd, fcntl.LOCK_EX, 1, 0)
        os.write(say, b"x")
        signal.pause()
    os.read(ready, 1)
    os.close(ready)
    os.close(say)
    return pid


def words(workers: int) -> tuple[memoryview, memoryview]:
    """Two locks, and so many workers."""
    both = memoryview(bytearray(8 * (2 + workers))).cast("Q")
    return both[:2], both[2:]


def test_a_lock_whose_holder_is_killed_is_taken_and_its_death_is_told(file: int) -> None:
    told: list[str] = []
    seen: list[int] = []
    child = held_by_a_child(file)
    holders, waits = words(3)
    holders[0] = 8  # as the child would have noted
    stages = Stages(
        workers={"work": 2},
        log={"work": lambda level, text: told.append(f"{level}: {text}")},
    )
    claim = FileClaim("seen", file, 0, (holders, waits), stages)

    def kill_when_it_waits() -> None:
        while not waits[2]:
            pass
        seen.append(waits[2])
        os.kill(child, signal.SIGKILL)

    thread = threading.Thread(target=kill_when_it_waits)
    thread.start()
    claim.take("work", in_turn=True)
    thread.join()

    assert seen == [1]
    assert (holders[0], waits[2]) == (3, 0)
    text = "whoever held the lock of shared 'seen' has died: what it keeps may be half changed"
    assert told == [f"warning: {text}"]
    claim.give()
    assert holders[0] == 0
    os.waitpid(child, 0)


def test_another_lock_is_free_meanwhile(file: int) -> None:
    child = held_by_a_child(file)
    claim = FileClaim("other", file, 1, words(1), Stages(workers={"work": 0}))

    claim.take("work", in_turn=True)
    claim.give()

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

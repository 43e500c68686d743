"""The locks of shared state among processes."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
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


def test_a_lock_whose_holder_is_killed_is_taken_and_its_death_is_told(file: int) -> None:
    told: list[str] = []
    waits: list[int] = []
    child = held_by_a_child(file)
    holders = memoryview(bytearray(8)).cast("Q")
    holders[0] = 8  # as the child would have noted

    @contextmanager
    def waiting(number: int) -> Iterator[None]:
        waits.append(number)
        os.kill(child, signal.SIGKILL)
        yield

    stages = Stages(
        workers={"work": 2},
        waiting={"work": waiting},
        log={"work": lambda level, text: told.append(f"{level}: {text}")},
    )
    claim = FileClaim("seen", file, 0, holders, stages)

    claim.take("work", in_turn=True)

    assert waits == [0]
    assert holders[0] == 3
    text = "whoever held the lock of shared 'seen' has died: what it keeps may be half changed"
    assert told == [f"warning: {text}"]
    claim.give()
    assert holders[0] == 0
    os.waitpid(child, 0)


def test_another_lock_is_free_meanwhile(file: int) -> None:
    child = held_by_a_child(file)
    holders = memoryview(bytearray(16)).cast("Q")
    claim = FileClaim("other", file, 1, holders, Stages(workers={"work": 0}))

    claim.take("work", in_turn=True)
    claim.give()

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from pipeflow.runtime.board import BUSY_NS, TURNS, WAIT_IN_NS, WORKER_WORDS, Words
from pipeflow.runtime.waits.process import HOPES, ProcessWaits


class Bell:
    def fileno(self) -> int:
        return 0


class Inbox:
    """What has come was always counted, and is always there to be read."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.sent = 0
        self.arrivals = self  # it is both

    def is_sent_more(self) -> bool:
        self.sent += 1
        return self.sent % 2 == 0  # not yet when the wait begins, and then at once

    def ready(self) -> bool:
        return False

    def no_more_calls(self) -> bool:
        return False

    def wake_in(self) -> None:
        return None

    def open_ends(self) -> int:
        return 1

    def descriptors(self) -> list[int]:
        return [self._fd]


class Outbox:
    """Its one reader is gone."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.told: list[frozenset[int]] = []

    def open_ends(self) -> int:
        return 1

    def watched(self) -> list[int]:
        return [self._fd]

    def check_readers(self, gone: frozenset[int]) -> None:
        self.told.append(gone)


@pytest.fixture
def pipes() -> Iterator[tuple[int, int]]:
    """The end of a pipe with something to read, and that of one that nobody reads."""
    full, into = os.pipe()
    unread, gone = os.pipe()
    os.write(into, b"frame")
    os.close(unread)
    yield full, gone
    for fd in (full, into, gone):
        os.close(fd)


def waits_of(inbox: Inbox, outbox: Outbox) -> tuple[ProcessWaits, Words]:
    row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    nothing: Any = None
    waits = ProcessWaits(row, Bell(), lambda: False, nothing, spins=False)  # type: ignore[arg-type]  # only what it uses
    waits.connect(inbox, outbox)  # type: ignore[arg-type]  # likewise
    waits.shown.begin()
    return waits, row


def test_a_reader_that_is_gone_is_noticed_though_input_comes_all_the_time(
    pipes: tuple[int, int],
) -> None:
    full, gone = pipes
    outbox = Outbox(gone)
    waits, _ = waits_of(Inbox(full), outbox)

    for _ in range(HOPES + 1):
        waits.for_input(None)

    assert outbox.told
    assert all(gone in told for told in outbox.told)


def test_waits_that_end_at_once_are_turns_and_their_time_is_told_from_work(
    pipes: tuple[int, int],
) -> None:
    waits, row = waits_of(Inbox(pipes[0]), Outbox(pipes[1]))
    before = row[TURNS]

    for _ in range(5):
        waits.for_input(None)

    assert row[TURNS] == before + 5
    assert row[WAIT_IN_NS] > 0
    assert row[BUSY_NS] > 0

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pipeflow.runtime.board import (
    BUSY_NS,
    STATE,
    TURNS,
    WAIT_IN_NS,
    WORKER_WORDS,
    State,
    Words,
)
from pipeflow.runtime.waits.moderation import ENOUGH
from pipeflow.runtime.waits.process import HOPES, ProcessWaits


class Bell:
    def fileno(self) -> int:
        return 0

    def clear(self) -> None:
        """Nobody rings it."""


class Inbox:
    """What has come was always counted, and is always there to be read."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.sent = 0
        self.frames = 0
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

    def comes_in_turn(self) -> bool:
        return True

    def taken(self) -> tuple[int, bool]:
        self.frames += 1
        return self.frames, False

    def waits_for(self) -> int:
        return 1

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


def waits_of(
    inbox: Inbox, outbox: Outbox, *, spins: bool = False, crowded: bool = False
) -> tuple[ProcessWaits, Words]:
    row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    pool: Any = SimpleNamespace(tidy=lambda: None)
    waits = ProcessWaits(row, Bell(), lambda: False, pool, spins=spins, crowded=crowded)  # type: ignore[arg-type]  # only what it uses
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


@pytest.mark.parametrize(
    ("spins", "crowded", "waits_on_purpose"),
    [(False, True, True), (True, True, False), (False, False, False)],
)
def test_who_reads_in_turn_waits_for_several_frames_where_cores_are_short(
    pipes: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    *,
    spins: bool,
    crowded: bool,
    waits_on_purpose: bool,
) -> None:
    """A frame comes each millisecond, by a clock of our own."""
    clock = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock) / 1000)
    outbox = Outbox(pipes[1])  # its reader is gone, so that no wait lasts
    inbox = Inbox(pipes[0])
    waits, row = waits_of(inbox, outbox, spins=spins, crowded=crowded)
    states: list[int] = []
    monkeypatch.setattr(outbox, "check_readers", lambda _: states.append(row[STATE]))

    for _ in range(ENOUGH + 1):
        waits.for_input(None)

    assert (State.IN_OR_CLOCK in states) == waits_on_purpose

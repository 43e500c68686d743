"""Sources that wait for the clock, for a folder or for standard input, and the one that draws."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeflow.stages.context import StageContext, enter
from pipeflow.stages.sources import opening, waiting
from pipeflow.stages.work import DrainInterrupt
from tests.stages.working import given, source


class Clock:
    """A clock that goes on when somebody rests."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rests: list[float | None] = []
        self.drained_after = 10**9

    def monotonic(self) -> float:
        return self.now

    def rest(self, seconds: float | None, _fd: int) -> None:
        self.rests.append(seconds)
        self.now += max(0.0, seconds or 0.0)

    def stopping(self) -> bool:
        return len(self.rests) >= self.drained_after


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    fake = Clock()
    monkeypatch.setattr(waiting, "time", fake)
    before = enter(StageContext(stage="s", replica=0, rest=fake.rest, stopping=fake.stopping))
    yield fake
    enter(before)


def test_a_timer_gives_a_number_each_interval_and_the_first_at_once(clock: Clock) -> None:
    assert given("timer", every="2s", count=3) == [0, 1, 2]
    assert clock.rests == [2.0, 2.0]


def test_a_timer_leaves_out_what_its_readers_were_too_slow_for(clock: Clock) -> None:
    work = source("timer", every="2s", count=3)
    assert work.source is not None
    ticks = iter(work.source())

    first = next(ticks)
    clock.now += 5.0  # two multiples have passed
    rest = list(ticks)

    assert [first, *rest] == [0, 1, 2]
    assert clock.rests == [1.0, 2.0]


def test_a_timer_ends_in_the_middle_of_an_interval_when_the_run_is_drained(clock: Clock) -> None:
    clock.drained_after = 2

    assert given("timer", every="1h") == [0, 1]


def test_random_draws_the_same_for_one_seed_and_other_numbers_for_another() -> None:
    def drawn(seed: int, **parameters: object) -> list[Any]:
        before = enter(StageContext(stage="dice", replica=0, seed=seed))
        try:
            return given("random", **parameters)
        finally:
            enter(before)

    assert drawn(1, count=2000) == drawn(1, count=2000) != drawn(2, count=2000)
    assert drawn(1, count=2000)[:5] == drawn(1, count=5)
    assert set(drawn(1, count=500, kind="integer", low=1, high=6)) == {1, 2, 3, 4, 5, 6}
    assert abs(np.mean(drawn(1, count=2000, kind="normal", mean=9, deviation=0.1)) - 9) < 0.1
    assert [a.shape for a in drawn(1, count=2, shape=[2, 3])] == [(2, 3), (2, 3)]
    assert all(-2 <= each < -1 for each in drawn(3, count=500, low=-2, high=-1))


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"low": 2}, "'high' is 1, and 'low' 2"),
        ({"kind": "integer", "low": 0.5, "high": 3}, "are whole numbers"),
        ({"shape": [2, "x"]}, "'shape' is a list of whole numbers, and has 'x'"),
    ],
)
def test_random_refuses_what_it_cannot_draw(parameters: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        source("random", **parameters)


def test_lines_come_from_standard_input_while_it_is_still_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin, os.fdopen(writing, "w") as end:
        monkeypatch.setattr(sys, "stdin", stdin)
        work = source("stdin")
        assert work.source is not None
        lines = iter(work.source())

        end.write("one\ntwo\nthr")
        end.flush()
        early = [next(lines), next(lines)]
        end.write("ee")
        end.close()

        assert early + list(lines) == ["one", "two", "three"]


def test_half_a_line_of_standard_input_is_left_out_when_the_run_is_drained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drained = False

    def rest(_seconds: float | None, _fd: int) -> None:
        nonlocal drained
        drained = bool(asked)
        asked.append(1)

    asked: list[int] = []
    reading, writing = os.pipe()
    before = enter(StageContext(stage="s", replica=0, rest=rest, stopping=lambda: drained))
    try:
        with os.fdopen(reading) as stdin, os.fdopen(writing, "w") as end:
            monkeypatch.setattr(sys, "stdin", stdin)
            end.write("one\nha")
            end.flush()
            work = source("lines", path="-")
            assert work.source is not None
            lines = iter(work.source())

            first = next(lines)
            with pytest.raises(DrainInterrupt):
                next(lines)

        assert first == "one"
    finally:
        enter(before)


def test_a_plain_file_is_never_waited_for(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "a").write_text("1\n2\n")

    assert given("lines", path=str(tmp_path / "a")) == ["1", "2"]
    assert clock.rests == []
    assert opening.STDIN == "-"


def test_watch_gives_new_files_when_they_have_rested(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    moment = threading.Event()

    def write_once_and_rest(_seconds: float | None, _fd: int) -> None:
        if not (tmp_path / "a.txt").exists():  # it rests for the first time: it has begun
            for name in ("b.txt", "c.csv", ".hidden.txt", "d.txt.partial", "a.txt"):
                (tmp_path / name).write_text("new")
        moment.wait(0.01)

    before = enter(StageContext(stage="s", replica=0, rest=write_once_and_rest))
    try:
        found = given("watch", root=str(tmp_path), pattern="*.txt", settle="10ms", count=2)
    finally:
        enter(before)

    assert sorted(path.name for path in found) == ["a.txt", "b.txt"]


def test_watch_gives_what_is_there_first_if_asked_and_ends_when_drained(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    for name in ("b", "a", "deep/c"):
        (tmp_path / "in" / name).write_text(name)
        os.utime(tmp_path / "in" / name, (1, 1))
    stopping = False
    before = enter(StageContext(stage="s", replica=0, stopping=lambda: stopping))
    try:
        work = source("watch", root=str(tmp_path / "in"), existing=True, recursive=True)
        assert work.source is not None
        paths = iter(work.source())

        found = [next(paths), next(paths), next(paths)]
        stopping = True

        assert list(paths) == []
        assert [path.relative_to(tmp_path / "in").as_posix() for path in found] == [
            "a",
            "b",
            "deep/c",
        ]
    finally:
        enter(before)


def test_watch_gives_a_file_again_that_has_changed_again(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    work = source("watch", root=str(tmp_path), existing=True, settle="1ms", count=2)
    assert work.source is not None
    paths = iter(work.source())

    first = next(paths)
    file.write_text("22")

    assert [first, *paths] == [file, file]


def test_watch_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        source("watch", root=str(tmp_path / "none"))
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'pipeflow\[watch\]'"):
        source("watch", root=str(tmp_path))

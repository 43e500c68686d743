from __future__ import annotations

import os
from pathlib import Path

import pipeflow
from pipeflow.executors.base import RunOptions
from pipeflow.executors.inline import InlineExecutor
from pipeflow.executors.inline.pauses import NAP_S, await_input, pause
from pipeflow.telemetry.report import Status


class FakeClock:
    """Time that passes while somebody sleeps, and a moment at which there is no more need to."""

    def __init__(self, enough_s: float = 1e9) -> None:
        self.now_s, self.enough_s = 0.0, enough_s
        self.naps: list[float] = []

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now_s += seconds

    def enough(self) -> bool:
        return self.now_s >= self.enough_s


def test_a_pause_takes_as_long_as_it_should_by_short_naps() -> None:
    clock = FakeClock()

    pause(1.02, clock.enough, now=clock.now, sleep=clock.sleep)

    assert 1.02 <= clock.now_s < 1.0201
    assert max(clock.naps) <= NAP_S


def test_a_pause_is_over_when_there_is_no_more_need() -> None:
    clock = FakeClock(enough_s=0.2)

    pause(3600, clock.enough, now=clock.now, sleep=clock.sleep)

    assert clock.now_s < 0.2 + NAP_S


def test_an_inline_run_pauses_before_each_further_try(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text("def fail(item): raise ValueError(item)\n")
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        "stages:\n"
        "  count: {use: range, with: {stop: 2}}\n"
        "  work:\n"
        "    call: steps:fail\n"
        "    inputs: count\n"
        "    on_error: {then: skip, retries: 3, backoff: 20s}\n"
    )
    pauses: list[float] = []

    report = InlineExecutor(pause=lambda seconds, _: pauses.append(seconds)).run(
        pipeflow.plan(file), RunOptions(), lambda _: None
    )

    assert pauses == [20.0, 30.0, 30.0] * 2
    assert report.run.status is Status.SUCCEEDED
    (work,) = [stage for stage in report.stages if stage.name == "work"]
    assert (work.skipped, work.retried) == (2, 6)


def test_a_wait_for_input_ends_when_it_comes_when_time_is_up_and_when_there_is_no_more_need() -> (
    None
):
    reading, writing = os.pipe()
    looks: list[int] = []

    def enough() -> bool:
        looks.append(1)
        return len(looks) == 2

    try:
        await_input(reading, 0.01, lambda: False)
        await_input(reading, None, enough)
        os.write(writing, b"x")
        await_input(reading, None, lambda: False)
    finally:
        os.close(reading)
        os.close(writing)

    assert len(looks) == 2

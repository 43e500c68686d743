"""The failures that the supervisor has heard of, and the stop that they bring about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pipeflow
from pipeflow.runtime.messages import Failure
from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.causes import Causes
from pipeflow.runtime.watch.heirs import heirs
from pipeflow.runtime.watch.stopping import Stopping
from pipeflow.runtime.watch.verdict import Verdict
from pipeflow.runtime.watch.watched import Watched
from pipeflow.runtime.watch.workers import Workers

PLAN = pipeflow.plan(
    {
        "stages": {
            "a": {"use": "range", "with": {"stop": 10}},
            "b": {"use": "map", "with": {"expr": "item"}, "inputs": "a"}
            | {"on_error": "dead_letter"},
            "c": {"use": "null", "inputs": "b"},
            "log": {"use": "null", "inputs": "b.errors"},
        }
    }
)
A, B, C, LOG = 0, 1, 2, 3
NOW = 100.0


class Ending:
    """Keeps who is asked to end, and who is killed."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.killed: list[list[int]] = []

    def ask(self, workers: Iterable[Watched]) -> None:
        self.asked.append([watched.plan.index for watched in workers])

    def kill(self, workers: Iterable[Watched]) -> None:
        self.killed.append([watched.plan.index for watched in workers])


def stopping() -> tuple[Stopping, Ending, Alarms]:
    ending: Any = Ending()
    alarms = Alarms()
    return Stopping(Workers(PLAN), ending, alarms), ending, alarms


def failure(*, victim: bool = False) -> Failure:
    return Failure(phase="item", kind="ValueError", message="no", victim=victim)


def test_who_reads_the_letters_of_what_failed_is_asked_and_killed_later_than_the_others() -> None:
    stop, ending, alarms = stopping()

    stop.begin(NOW, heirs(PLAN, B))
    stop.kill()
    stop.end_heirs(NOW + 10)
    stop.kill()

    assert ending.asked == [[A, B, C], [A, B, C, LOG]]
    assert ending.killed == [[A, B, C], [A, B, C, LOG]]
    assert alarms.is_set(Alarm.KILL)


def test_a_stop_begins_once_and_asked_again_nobody_is_spared() -> None:
    stop, ending, _ = stopping()

    stop.begin(NOW, heirs(PLAN, B))
    stop.begin(NOW, heirs(PLAN, B))
    stop.kill_all()

    assert ending.asked == [[A, B, C]]
    assert ending.killed == [[A, B, C, LOG]]


def test_failures_are_new_until_they_are_judged() -> None:
    causes = Causes()
    causes.note(B, failure(victim=True))
    before = causes.has_new

    told = causes.judge(ended_one=False, over=False)

    assert (before, told, causes.has_new) == (True, Verdict.WAIT, False)
    assert causes.is_victim(B)
    assert not causes.is_victim(A)


def test_victims_of_a_worker_that_nobody_needed_are_forgotten() -> None:
    causes = Causes()
    causes.note(B, failure(victim=True))
    told = causes.judge(ended_one=True, over=False)

    excused = causes.excuse()

    assert (told, excused, causes.known, causes.root) == (Verdict.EXCUSE, [B], (), None)
    causes.note_run("Deadlock", "nobody moves")
    assert causes.has_new
    assert causes.root is causes.known[0]

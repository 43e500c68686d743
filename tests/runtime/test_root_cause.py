from __future__ import annotations

import signal

import pytest

from pipeflow.runtime.messages import Failure
from pipeflow.runtime.watch.root_cause import Cause, death, root_cause, split_status
from pipeflow.runtime.watch.verdict import Verdict, verdict


def cause(worker: int, order: int, *, victim: bool = False, phase: str = "item") -> Cause:
    failure = Failure(phase=phase, kind="ValueError", message="no", victim=victim)
    return Cause(worker=worker, failure=failure, order=order)


def test_the_earliest_failure_that_is_no_victim_is_the_cause() -> None:
    victim, first, second = cause(2, 1, victim=True), cause(1, 2), cause(0, 3)

    assert root_cause([second, victim, first]) is first


def test_victims_alone_give_the_earliest_of_them() -> None:
    late, early = cause(0, 5, victim=True), cause(2, 4, victim=True)

    assert root_cause([late, early]) is early


def test_of_one_moment_who_says_why_comes_before_a_silent_death() -> None:
    dead, told = cause(0, 3, phase="death"), cause(1, 3)

    assert root_cause([dead, told]) is told


def test_without_a_failure_there_is_no_cause() -> None:
    assert root_cause([]) is None


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (-signal.SIGSEGV, "SIGSEGV: it touched memory that is not its own"),
        (0, "ended without an end of input, with exit status 0"),
        (9, "ended without a word, with exit status 9"),
    ],
)
def test_a_death_is_told_by_its_status(status: int, told: str) -> None:
    failure = death(status=status, item="find:17", out_of_memory=False, started=True)

    assert told in failure.message
    assert failure.message.endswith("it had item find:17 in hand")


def test_a_kill_says_that_memory_ran_out_only_if_it_did() -> None:
    known = death(status=-9, item="", out_of_memory=True, started=True)
    other = death(status=-9, item="", out_of_memory=False, started=True)
    untold = death(status=-9, item="", out_of_memory=None, started=False)

    assert "ran out of memory" in known.message
    assert other.message == (
        "the worker was ended by SIGKILL, which somebody sent: memory had not run out"
    )
    assert untold.message == "the worker was ended by SIGKILL, while its stage was being loaded"


def test_a_status_is_an_exit_code_or_a_signal() -> None:
    assert split_status(3) == (3, None)
    assert split_status(-9) == (None, "SIGKILL")
    assert split_status(-64) == (None, "SIGRTMAX")
    assert split_status(-40) == (None, "signal 40")


def test_a_run_fails_at_the_first_failure_that_is_no_victim() -> None:
    causes = [cause(1, 1, victim=True), cause(0, 2)]

    assert verdict(causes, ended_one=False, over=False) is Verdict.FAIL
    assert verdict(causes, ended_one=True, over=False) is Verdict.FAIL


def test_victims_alone_are_waited_for_until_nobody_is_left() -> None:
    causes = [cause(1, 1, victim=True)]

    assert verdict(causes, ended_one=False, over=False) is Verdict.WAIT
    assert verdict(causes, ended_one=False, over=True) is Verdict.FAIL


def test_victims_of_a_worker_that_we_ended_have_not_failed() -> None:
    assert verdict([cause(1, 1, victim=True)], ended_one=True, over=True) is Verdict.EXCUSE
    assert verdict([], ended_one=True, over=True) is Verdict.GO_ON

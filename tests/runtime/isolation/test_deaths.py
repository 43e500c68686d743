"""What follows when a runner is gone."""

from __future__ import annotations

import pytest

from pipeflow.runtime.isolation.deaths import (
    MOST_DEATHS,
    Follows,
    InHand,
    Situation,
    Verdict,
    after_death,
    died,
    overdue,
)
from pipeflow.spec.policies import ErrorPolicy, OnError
from pipeflow.values import replace

FOUND = Situation(
    in_hand=1, died=True, tried=1, emitted=0, replaceable=True, at_end=False, deaths=1
)
SKIP = ErrorPolicy(then=OnError.SKIP)
TRIES = ErrorPolicy(then=OnError.SKIP, retries=2, backoff_s=0.5)


def test_without_retries_the_item_in_hand_is_given_up() -> None:
    assert after_death(FOUND, SKIP) == Verdict(Follows.GIVE_UP)


def test_with_retries_it_is_tried_again_after_longer_and_longer_waits() -> None:
    assert after_death(FOUND, TRIES) == Verdict(Follows.TRY_AGAIN, 0.5)
    assert after_death(replace(FOUND, tried=2), TRIES) == Verdict(Follows.TRY_AGAIN, 1.0)
    assert after_death(replace(FOUND, tried=3), TRIES) == Verdict(Follows.GIVE_UP)


def test_what_has_given_results_is_never_tried_again() -> None:
    assert after_death(replace(FOUND, emitted=1), TRIES) == Verdict(Follows.GIVE_UP)


def test_of_a_batch_each_item_has_a_try_of_its_own_unless_the_policy_is_to_stop() -> None:
    found = replace(FOUND, in_hand=64)

    assert after_death(found, SKIP) == Verdict(Follows.ONE_BY_ONE)
    assert after_death(found, TRIES) == Verdict(Follows.ONE_BY_ONE)
    assert after_death(found, ErrorPolicy()) == Verdict(Follows.END)


def test_a_death_between_two_items_is_nobodys_failure() -> None:
    assert after_death(replace(FOUND, in_hand=0, tried=0), SKIP) == Verdict(Follows.GO_ON)


def test_when_the_run_is_drained_they_cost_that_item_alone() -> None:
    found = replace(FOUND, deaths=MOST_DEATHS, draining=True)

    assert after_death(found, replace(TRIES, retries=99)) == Verdict(Follows.GIVE_UP)
    assert after_death(replace(found, in_hand=2), TRIES) == Verdict(Follows.ONE_BY_ONE)
    assert after_death(replace(found, in_hand=0), TRIES) == Verdict(Follows.END)
    assert after_death(replace(found, deaths=1), TRIES) == Verdict(Follows.TRY_AGAIN, 0.5)


@pytest.mark.parametrize("policy", [SKIP, TRIES])
@pytest.mark.parametrize("in_hand", [0, 1])
def test_five_deaths_in_a_row_end_the_run(policy: ErrorPolicy, in_hand: int) -> None:
    found = replace(FOUND, in_hand=in_hand)

    assert after_death(replace(found, deaths=MOST_DEATHS - 1), policy).follows is not Follows.END
    assert after_death(replace(found, deaths=MOST_DEATHS), policy).follows is Follows.END


def test_items_that_take_too_long_are_no_deaths_in_a_row() -> None:
    found = replace(FOUND, died=False, deaths=MOST_DEATHS)

    assert after_death(found, SKIP) == Verdict(Follows.GIVE_UP)


def test_what_keeps_state_and_what_was_at_its_end_cannot_go_on() -> None:
    assert after_death(replace(FOUND, replaceable=False), TRIES).follows is Follows.END
    assert after_death(replace(FOUND, at_end=True, in_hand=0), TRIES).follows is Follows.END


def test_a_death_is_told_with_the_item_and_how_often_it_was_tried() -> None:
    hand = InHand(item="find:7", view="'a.jpg'", tried=3, emitted=2)

    failure = died(hand, status=-11, out_of_memory=False, stack="Stack\n", loaded=True)

    assert (failure.phase, failure.kind) == ("death", "WorkerDied")
    assert "SIGSEGV" in failure.message
    assert (failure.item, failure.view) == ("find:7", "'a.jpg'")
    assert (failure.attempt, failure.emitted, failure.traceback) == (3, 2, "Stack\n")


def test_an_overdue_item_is_told_with_its_limit() -> None:
    failure = overdue(InHand(item="find:7"), timeout_s=1.5, stack="")

    assert (failure.phase, failure.kind, failure.item) == ("item", "TimeoutError", "find:7")
    assert "1.5 s" in failure.message

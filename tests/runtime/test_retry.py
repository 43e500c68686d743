from __future__ import annotations

import pytest

from pipeflow.runtime.retry import is_spent, wait_before_next
from pipeflow.spec.policies import Budget, ErrorPolicy, OnError


def test_the_wait_is_doubled_for_each_further_try_and_ends_with_the_retries() -> None:
    policy = ErrorPolicy(retries=4, backoff_s=0.2)

    assert [wait_before_next(policy, tried) for tried in range(1, 6)] == [0.2, 0.4, 0.8, 1.6, None]


def test_no_wait_grows_longer_than_half_a_minute() -> None:
    policy = ErrorPolicy(retries=10**6, backoff_s=10)

    assert [wait_before_next(policy, tried) for tried in (2, 3, 10**6)] == [20, 30, 30]


def test_a_first_wait_that_is_longer_stays_as_it_was_given() -> None:
    policy = ErrorPolicy(retries=2, backoff_s=90)

    assert [wait_before_next(policy, tried) for tried in (1, 2)] == [90, 90]


def test_no_backoff_is_no_wait() -> None:
    assert wait_before_next(ErrorPolicy(retries=1, backoff_s=0), 1) == 0


def test_without_retries_nothing_is_tried_again() -> None:
    assert wait_before_next(ErrorPolicy(then=OnError.SKIP), 1) is None


def test_a_number_may_be_given_up_and_no_more() -> None:
    assert not is_spent(Budget(100), given_up=100, seen=101)
    assert is_spent(Budget(100), given_up=101, seen=5000)
    assert is_spent(Budget(0), given_up=1, seen=1)


@pytest.mark.parametrize(
    ("given_up", "seen", "over", "spent"),
    [
        (50, 99, False, False),  # too few to be judged
        (1, 100, False, False),
        (2, 100, False, True),
        (50, 5000, False, False),
        (51, 5000, False, True),
        (1, 99, True, True),
        (0, 3, True, False),
    ],
)
def test_a_percentage_is_judged_from_a_hundred_items_on_and_at_the_end(
    given_up: int, seen: int, over: bool, spent: bool
) -> None:
    budget = Budget(1, percent=True)

    assert is_spent(budget, given_up=given_up, seen=seen, over=over) is spent


def test_binary_fractions_do_not_decide() -> None:
    for amount, given_up, seen in ((0.07, 7, 10_000), (0.29, 29, 10_000), (1.1, 11, 1000)):
        budget = Budget(amount, percent=True)

        assert not is_spent(budget, given_up=given_up, seen=seen)
        assert is_spent(budget, given_up=given_up + 1, seen=seen)

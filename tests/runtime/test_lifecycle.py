from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.watch.lifecycle import ENDED, NEXT, Happening, ImpossibleMove, Life, move


def test_a_worker_that_says_that_it_is_done_and_exits_is_done() -> None:
    life = Life.STARTING

    for happening in (Happening.READY, Happening.FINISHED, Happening.EXITED):
        life = move(life, happening)

    assert life is Life.DONE


@pytest.mark.parametrize("before", [Life.STARTING, Life.RUNNING])
def test_a_worker_that_exits_without_a_word_has_failed(before: Life) -> None:
    assert move(before, Happening.EXITED) is Life.FAILED


def test_what_a_stopped_worker_still_says_does_not_make_it_a_failure() -> None:
    life = move(move(Life.RUNNING, Happening.STOP), Happening.FAILED)

    assert move(life, Happening.EXITED) is Life.STOPPED


def test_a_worker_that_finished_may_be_killed_without_having_failed() -> None:
    life = move(move(Life.RUNNING, Happening.FINISHED), Happening.STOP)

    assert move(life, Happening.EXITED) is Life.DONE


def test_an_impossible_move_raises_and_names_both() -> None:
    with pytest.raises(ImpossibleMove, match="a worker that is done cannot see 'ready'"):
        move(Life.DONE, Happening.READY)


def test_every_state_has_its_row_and_only_the_ends_are_empty() -> None:
    assert set(NEXT) == set(Life)
    assert {life for life, moves in NEXT.items() if not moves} == ENDED


@given(st.lists(st.sampled_from(Happening), max_size=20))
def test_whatever_happens_an_exit_ends_a_worker(happenings: list[Happening]) -> None:
    life = Life.STARTING

    for happening in happenings:
        if happening in NEXT[life]:
            life = move(life, happening)

    assert life in ENDED or move(life, Happening.EXITED) in ENDED

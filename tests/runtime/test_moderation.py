"""When a reader waits on purpose, so that it wakes once for several frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.waits.moderation import AFTER_VAIN, ENOUGH, LONGEST_S, PACE_S, Moderation


class Reader:
    """A reader over a clock of its own, to whom frames come at a pace."""

    def __init__(self, pace_s: float) -> None:
        self.pace_s = pace_s
        self.now, self.frames = 100.0, 0
        self.moderation = Moderation(self.now)

    def look(self, *, held_up: bool = False) -> float:
        return self.moderation.wait_s(self.frames, self.now, held_up=held_up)

    def hear(self, frames: int = 1) -> float:
        """So many frames come, and it looks."""
        self.frames += frames
        self.now += frames * self.pace_s
        return self.look()

    def first_wait(self, most: int = 1000) -> tuple[int, float]:
        """After how many frames it waits, and how long; (most, 0): it does not."""
        for count in range(1, most):
            wait_s = self.hear()
            if wait_s:
                return count, wait_s
        return most, 0.0


def test_small_frames_at_a_steady_pace_are_waited_for_several_at_a_time() -> None:
    count, wait_s = Reader(500e-6).first_wait()

    assert count == ENOUGH
    assert wait_s == pytest.approx(6 * 500e-6)


def test_no_wait_is_longer_than_half_of_what_replicas_are_dealt() -> None:
    assert Reader(1.2e-3).first_wait() == (ENOUGH, LONGEST_S)


@pytest.mark.parametrize("pace_s", [PACE_S[0] / 2, PACE_S[1] * 2, 1.0])
def test_nobody_waits_who_has_enough_to_do_or_gets_little(pace_s: float) -> None:
    assert Reader(pace_s).first_wait() == (1000, 0)


def test_it_goes_on_as_long_as_waits_merge_frames() -> None:
    reader = Reader(500e-6)
    reader.first_wait()

    assert all(reader.hear(6) for _ in range(100))


def test_after_a_wait_for_one_frame_it_takes_long_until_the_next() -> None:
    reader = Reader(500e-6)
    reader.first_wait()

    assert reader.hear(1) == 0
    assert reader.first_wait()[0] == AFTER_VAIN


def test_a_writer_that_is_held_up_ends_it() -> None:
    reader = Reader(500e-6)
    reader.first_wait()
    reader.frames += 6

    assert reader.look(held_up=True) == 0
    assert reader.first_wait()[0] == AFTER_VAIN


def test_a_pace_that_slows_down_ends_it() -> None:
    reader = Reader(500e-6)
    reader.first_wait()
    reader.pace_s = 2e-3

    waits = [reader.hear(3) for _ in range(10)]

    assert waits[-1] == 0


@given(rounds=st.lists(st.tuples(st.integers(0, 9), st.floats(0, 0.1), st.booleans())))
def test_whatever_comes_no_wait_is_longer_than_that_and_two_in_vain_never_follow(
    rounds: list[tuple[int, float, bool]],
) -> None:
    moderation, frames, now = Moderation(0.0), 0, 0.0
    vain = [False]
    for came, spent_s, held_up in rounds:
        frames, now = frames + came, now + spent_s
        wait_s = moderation.wait_s(frames, now, held_up=held_up)
        assert 0 <= wait_s <= LONGEST_S
        assert not (wait_s and (held_up or (vain[-1] and came < 3)))
        vain.append(wait_s > 0)

from __future__ import annotations

from pipeflow.transports.pause import LookOut


class Time:
    """A clock that goes on with each look at it."""

    def __init__(self) -> None:
        self.us = 0

    def __call__(self) -> float:
        self.us += 1
        return self.us * 1e-6


def never() -> bool:
    return False


def test_what_comes_about_soon_is_seen() -> None:
    looks = iter([False, False, True])

    assert LookOut(30e-6, Time()).sees(lambda: next(looks))


def test_a_look_out_ends_with_its_time() -> None:
    time = Time()

    assert not LookOut(30e-6, time).sees(never)
    assert 30 <= time.us <= 33


def test_who_has_looked_in_vain_rarely_looks_again() -> None:
    time = Time()
    look = LookOut(30e-6, time)

    for _ in range(160):
        look.sees(never)

    assert time.us < 160 * 30 / 8


def test_who_has_seen_something_looks_again() -> None:
    time = Time()
    look = LookOut(30e-6, time)
    for _ in range(3):
        look.sees(never)
    while not look.sees(lambda: True):
        pass
    before = time.us

    look.sees(never)

    assert time.us - before >= 30

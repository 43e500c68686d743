"""When a pool that found the limit of memory reached gives up."""

from __future__ import annotations

from pipeflow.transports.hope import LONGEST_S, STILL_S, Hope


def test_it_is_over_when_all_have_waited_for_a_while() -> None:
    hope = Hope(0.0)

    assert not hope.is_over(1.0, seen=1, stirs=False)
    assert not hope.is_over(1.0 + STILL_S / 2, seen=1, stirs=False)
    assert hope.is_over(1.0 + STILL_S, seen=1, stirs=False)


def test_it_goes_on_while_somebody_is_at_work_but_not_for_ever() -> None:
    hope = Hope(0.0)

    assert not hope.is_over(0.0, seen=1, stirs=True)
    assert not hope.is_over(LONGEST_S - 1, seen=1, stirs=True)
    assert hope.is_over(LONGEST_S, seen=1, stirs=True)


def test_it_goes_on_as_long_as_memory_moves() -> None:
    hope = Hope(0.0)

    assert not any(hope.is_over(float(n), seen=n % 2, stirs=False) for n in range(100))

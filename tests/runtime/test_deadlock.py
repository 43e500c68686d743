from __future__ import annotations

from pipeflow.runtime.watch.deadlock import (
    SAME_LOOKS,
    Link,
    Lock,
    Look,
    Stillness,
    Wait,
    find_circle,
)

#: a feeds b, b feeds c, and a feeds c as well: a diamond's half.
LINKS = (
    Link("a -> b", (0,), (1,)),
    Link("b -> c", (1,), (2,)),
    Link("a -> c", (0,), (2,)),
)
NAMES = {0: "a", 1: "b", 2: "c"}


def test_a_circle_of_waits_is_named_in_order() -> None:
    looks = {
        0: Look(Wait.ROOM, 2, 7),  # a waits for room on a -> c
        1: Look(Wait.ITEMS, 0, 3),
        2: Look(Wait.ITEMS, 1, 5),  # c waits for b, and b for a
    }

    circle = find_circle(looks, LINKS, NAMES)

    assert circle == (
        "a waits for room on edge a -> c; c waits for items on edge b -> c;"
        " b waits for items on edge a -> b"
    )


def test_one_busy_worker_may_wake_the_others() -> None:
    looks = {
        0: Look(Wait.NOT, -1, 7),
        1: Look(Wait.ITEMS, 0, 3),
        2: Look(Wait.ITEMS, 1, 5),
    }

    assert find_circle(looks, LINKS, NAMES) == ""


def waits(turns: int = 5) -> dict[int, Look]:
    return {0: Look(Wait.ROOM, 0, 7), 1: Look(Wait.ITEMS, 0, turns)}


def asleep(_worker: int) -> bool:
    return True


def test_a_stillness_is_believed_after_some_looks() -> None:
    stillness = Stillness()

    lasts = [stillness.lasts(waits(), asleep) for _ in range(SAME_LOOKS + 2)]

    assert lasts == [*[False] * SAME_LOOKS, True, True]


def test_a_turn_between_two_looks_is_progress() -> None:
    stillness = Stillness()

    lasts = [stillness.lasts(waits(turns=look // SAME_LOOKS), asleep) for look in range(99)]

    assert not any(lasts)


def test_who_gets_no_processor_is_not_believed_to_wait() -> None:
    """Its items have come, and on the board it waits until it runs."""
    stillness = Stillness()

    lasts = [stillness.lasts(waits(), lambda worker: worker == 0) for _ in range(99)]

    assert not any(lasts)


def test_one_sleep_may_have_begun_before_all_stood_still() -> None:
    stillness, naps = Stillness(), {1: 1, 0: 99}

    def dozes(worker: int) -> bool:
        naps[worker] -= 1
        return naps[worker] >= 0

    lasts = [stillness.lasts(waits(), dozes) for _ in range(50)]
    naps[1] = 1  # the second time it has looked around before
    lasts += [stillness.lasts(waits(), dozes) for _ in range(1)]

    assert lasts == [*[False] * 50, True]


def test_nobody_asks_who_sleeps_while_somebody_is_at_work() -> None:
    stillness, asked = Stillness(), list[int]()
    looks = waits() | {2: Look(Wait.NOT, -1, 7)}

    def note(worker: int) -> bool:
        asked.append(worker)
        return True

    for _ in range(SAME_LOOKS + 2):
        stillness.lasts(looks, note)

    assert asked == []


def test_a_wait_for_a_worker_that_is_gone_is_named_too() -> None:
    looks = {1: Look(Wait.ITEMS, 0, 3)}

    circle = find_circle(looks, LINKS, NAMES)

    assert circle == "b waits for items on edge a -> b, and nobody is left to end the wait"


def test_a_wait_for_any_of_several_inputs_follows_their_writers() -> None:
    looks = {0: Look(Wait.ROOM, -1, 1), 1: Look(Wait.ROOM, 1, 1), 2: Look(Wait.ITEMS, -1, 1)}

    circle = find_circle(looks, LINKS, NAMES)

    assert circle == "b waits for room on edge b -> c; c waits for items on its inputs"


def test_a_run_without_live_workers_is_in_no_circle() -> None:
    assert find_circle({}, LINKS, NAMES) == ""


def test_who_waits_for_a_lock_waits_for_its_holder() -> None:
    looks = {
        0: Look(Wait.ROOM, 0, 7),  # a holds the lock, and waits for room on a -> b
        1: Look(Wait.LOCK, 0, 3),
    }

    circle = find_circle(looks, LINKS, NAMES, [Lock("seen", 0)])

    assert circle == (
        "a waits for room on edge a -> b; b waits for the lock of shared 'seen', which a holds"
    )


def test_a_lock_that_nobody_holds_is_no_circle_while_somebody_works() -> None:
    looks = {0: Look(Wait.NOT, -1, 7), 1: Look(Wait.LOCK, 0, 3)}

    assert find_circle(looks, LINKS, NAMES, [Lock("seen", -1)]) == ""
